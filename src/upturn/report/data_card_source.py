"""Fills a data card from a frozen snapshot, and keeps the evidence that belongs to it as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from upturn.datasets.curate import week_of
from upturn.datasets.snapshot import Snapshot
from upturn.labels.calibration import Bin
from upturn.labels.labelling import Labelling
from upturn.labels.propensity import SelectionReport
from upturn.records import Example, Json, canonical_json
from upturn.report.data_card import (
    Calibration,
    CardEvidence,
    DataCard,
    Rater,
    Selection,
    Week,
)

#: Where a snapshot's provenance keeps the evidence.
EVIDENCE = "evidence"


def card_of(
    snapshot: Snapshot, *, title: str = "", evidence: CardEvidence | None = None
) -> DataCard:
    """Returns the card of a snapshot; the holdout is not opened.

    Args:
        snapshot: the snapshot.
        title: what the data is called; where it is "", the config of its provenance.
        evidence: what else is known; where it is None, what the provenance kept under
            ``evidence``.
    """
    manifest = snapshot.manifest
    provenance: Mapping[str, Json] = manifest["provenance"]
    if evidence is None:
        evidence = evidence_from_json(provenance.get(EVIDENCE, {}))
    rows = snapshot.train + snapshot.dev
    if not evidence.weeks:
        evidence = replace(evidence, weeks=_weeks(rows))
    return DataCard(
        title=title or str(provenance.get("config") or "Labelled data"),
        snapshot=snapshot.id,
        sizes={name: manifest["sizes"][name] for name in ("train", "dev", "holdout")},
        holdout_from=snapshot.holdout.oldest,
        holdout_to=snapshot.holdout.newest,
        labels=manifest["labels"],
        slices=_slices(rows),
        consent=_consent(rows),
        weights={
            name: sum(e.weight for e in part) / len(part)
            for name, part in (("train", snapshot.train), ("dev", snapshot.dev))
        },
        abstained=manifest["abstained"],
        dropped=manifest["dropped"],
        grouping=manifest["grouping"],
        rules=_rules(manifest),
        sources=_sources(provenance),
        evidence=evidence,
    )


def evidence_of(
    labelling: Labelling,
    *,
    weeks: Sequence[Week] = (),
    cluster_sizes: Mapping[int, int] | None = None,
    selection: SelectionReport | None = None,
    raters: int = 20,
) -> CardEvidence:
    """Returns the evidence that a compilation of labels gives.

    Args:
        labelling: the labels with their reports.
        weeks: volumes; see :func:`weeks_from_counts`.
        cluster_sizes: from the report on groups.
        selection: the report on who gives feedback.
        raters: how many are told, those who judged most.
    """
    told = sorted(labelling.raters, key=lambda r: (r.trusted, -(r.thumbs + r.claims), r.rater))
    return CardEvidence(
        weeks=tuple(weeks),
        cluster_sizes=dict(cluster_sizes or {}),
        raters=tuple(
            Rater(
                name=r.rater,
                judged=r.thumbs + r.claims,
                compared=r.right_votes + r.wrong_votes + r.claims_compared,
                agreement=r.agreement if r.right_votes + r.wrong_votes else None,
                low=r.low if r.right_votes + r.wrong_votes else None,
                high=r.high if r.right_votes + r.wrong_votes else None,
                trusted=r.trusted,
                note=r.why.removeprefix(f"{r.rater}: ") if not r.trusted else "",
            )
            for r in told[:raters]
        ),
        selection=None if selection is None else _selection(selection),
        calibration=_calibration(labelling),
    )


def weeks_from_counts(**times: Mapping[str, int]) -> tuple[Week, ...]:
    """Returns volumes by week.

    Args:
        times: ``requests``, ``feedback`` and ``labelled``: week, such as ``week_of`` gives it ->
            how many.
    """
    names = sorted({week for counts in times.values() for week in counts if week})
    return tuple(
        Week(week=week, **{kind: counts.get(week, 0) for kind, counts in times.items()})
        for week in names
    )


def evidence_to_json(evidence: CardEvidence) -> dict[str, Json]:
    """Returns the evidence as JSON, for a snapshot's provenance."""
    value: dict[str, Json] = asdict(evidence)
    sizes = {str(size): count for size, count in evidence.cluster_sizes.items()}
    return {**value, "cluster_sizes": sizes}


def evidence_from_json(value: Mapping[str, Json]) -> CardEvidence:
    """Returns what :func:`evidence_to_json` gave."""
    return CardEvidence(
        weeks=tuple(Week(**week) for week in value.get("weeks", ())),
        cluster_sizes={int(size): n for size, n in value.get("cluster_sizes", {}).items()},
        raters=tuple(Rater(**rater) for rater in value.get("raters", ())),
        selection=_selection_from(value.get("selection")),
        calibration=_calibration_from(value.get("calibration")),
    )


def _selection_from(value: Mapping[str, Json] | None) -> Selection | None:
    if value is None:
        return None
    ranges = {name: tuple(value[name]) for name in ("naive_range", "weighted_range")}
    made: dict[str, Json] = {**value, **ranges}
    return Selection(**made)


def _calibration_from(value: Mapping[str, Json] | None) -> Calibration | None:
    if value is None:
        return None
    made: dict[str, Json] = {**value, "bins": tuple(Bin(**b) for b in value["bins"])}
    return Calibration(**made)


def _selection(report: SelectionReport) -> Selection:
    return Selection(
        what="answers that are right",
        naive=report.naive.share,
        naive_range=(report.naive.low, report.naive.high),
        weighted=report.weighted.share,
        weighted_range=(report.weighted.low, report.weighted.high),
        judged=report.judged,
        requests=report.requests,
        effective=report.effective,
        warning=report.warning,
    )


def _calibration(labelling: Labelling) -> Calibration | None:
    report = labelling.calibration
    if report is None:
        return None
    used = report.after if report.applied else report.before
    return Calibration(
        n=used.n, brier=used.brier, ece=used.ece, bins=used.bins, note=report.sentence
    )


def _weeks(rows: Sequence[Example]) -> tuple[Week, ...]:
    """Returns the labelled rows of train and dev by week."""
    return weeks_from_counts(labelled=Counter(week_of(e.time) for e in rows))


def _slices(rows: Sequence[Example]) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        for name, value in row.slices.items():
            counts.setdefault(name, Counter())[value] += 1
    return {name: dict(counts[name]) for name in sorted(counts)}


def _consent(rows: Sequence[Example]) -> dict[str, int]:
    stated = Counter(e.consent for e in rows)
    return {
        "not stated" if consent is None else " and ".join(sorted(consent)): n
        for consent, n in stated.most_common()
    }


def _rules(manifest: Mapping[str, Json]) -> dict[str, Json]:
    terms = manifest.get("history", {}).get("terms", {})
    balance = [
        f"{b['field']} by {b['method']} to {b['ratio']:g}:1" for b in terms.get("balance", ())
    ]
    return {
        **{f"split.{name}": value for name, value in manifest["rules"].items()},
        **({"unstated consent": terms["unstated_consent"]} if terms else {}),
        **({"balance of train": "; ".join(balance)} if balance else {}),
        **({"earlier snapshots": len(terms["previous"])} if terms.get("previous") else {}),
    }


def _sources(provenance: Mapping[str, Json]) -> tuple[str, ...]:
    """Returns a line per fact of the provenance; files with the first digits of their hash."""
    lines: list[str] = []
    for name, value in provenance.items():
        if name == "sources":
            lines += [
                f"{s['path']}: {s['lines']:,} lines, sha256 {s['sha256'][:12]}" for s in value
            ]
        elif isinstance(value, Mapping) and name != EVIDENCE:
            lines += [f"{key.replace('_', ' ')}: {_plain(v)}" for key, v in value.items()]
        elif name != EVIDENCE and value not in (None, "", []):
            lines.append(f"{name.replace('_', ' ')}: {_plain(value)}")
    return tuple(lines)


def _plain(value: Json) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return value if isinstance(value, str) else canonical_json(value)
