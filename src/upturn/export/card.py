"""The card of an exported version: what it is, how good, on what it rests, what it cannot do."""

from __future__ import annotations

from collections.abc import Mapping

from upturn.export.card_use import use
from upturn.records import Json
from upturn.tracking.versions import RegisteredVersion
from upturn.weights.adapter import CONFIG

_TEMPLATE = """\
# {program}, version {version}

A state of the DSPy program `{program}`{ref}: instructions and demos for {predictors}, candidate
`{candidate}`. {holds}

## Score

{score}

## Lineage

{lineage}

## Use

{use}

`manifest.json` holds the sha256 of every file, `report.json` the whole decision, and
`report.html`, where there is one, shows it.

## Limits

{limits}
"""

_HOLDS = "It holds no weights and no key."
_HOLDS_WEIGHTS = "It holds the weights of a LoRA adapter, not those of its base, and no key."


def card(found: RegisteredVersion, run: Mapping[str, Json]) -> str:
    """Returns the card as markdown. Scores are fractions.

    Args:
        found: the version.
        run: how ``predict.py`` runs it; empty where the bundle has none.

    Raises:
        ConfigError: the version has a setting that nothing here can apply.
    """
    program_ref = found.manifest.get("facts", {}).get("program", "")
    ref = f" (`{program_ref}`)" if program_ref else ""
    return _TEMPLATE.format(
        program=found.program,
        version=found.version,
        ref=ref,
        predictors=", ".join(f"`{name}`" for name in found.candidate.states),
        candidate=found.candidate.id,
        holds=_HOLDS_WEIGHTS if CONFIG in found.files else _HOLDS,
        score=_score(found.report),
        lineage=_lineage(found),
        use=use(found, ref, run),
        limits=_limits(found),
    )


def _score(report: Mapping[str, Json]) -> str:
    if report.get("effect") is None:
        return (
            "Never judged by a gate: this is the program as it was written, or as it was adopted."
        )
    numbers = {k: float(report[k]) for k in ("challenger_score", "baseline_score", "effect")}
    return (
        f"{numbers['challenger_score']:.3f} on {report['n']} holdout rows in {report['groups']} "
        f"groups, where the champion before it had {numbers['baseline_score']:.3f}: "
        f"{numbers['effect']:+.3f}, {report['confidence']:.4g} interval {report['low']:+.3f} to "
        f"{report['high']:+.3f}. Verdict {report['verdict']} at look {report['look']}, "
        f"one-sided p = {report['p_value']:.4g}, allowed {report['alpha']:.4g} ({report['test']})."
    )


def _lineage(found: RegisteredVersion) -> str:
    facts = dict(found.manifest.get("facts", {}))
    lines = [f"- turn: `{found.turn}`"]
    if found.report.get("holdout"):
        lines.append(f"- holdout: `{found.report['holdout']}`")
    lines += [f"- {name}: `{value}`" for name, value in sorted(facts.items())]
    lines += [f"- {name}: `{choice}`" for name, choice in found.candidate.choices.items()]
    return "\n".join(lines)


def _limits(found: RegisteredVersion) -> str:
    model = found.manifest.get("facts", {}).get("model")
    on = f"`{model}`" if model else "the model that it was measured on"
    lines = [
        f"- The score holds for {on} and for requests like the holdout's.",
        "  Another model needs another turn.",
        "- Demos, and the rows that a report shows, are users' own texts: this folder is for those",
        "  who may read them.",
    ]
    if "stale" in found.manifest:
        lines.append(
            "- Something in it was forgotten after it was measured: nobody measured what is left."
        )
    for guard in found.report.get("guards", ()):
        if guard["note"].startswith("not judged"):
            lines.append(f"- {guard['name']}: {guard['note']}.")
    return "\n".join(lines)
