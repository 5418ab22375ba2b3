"""A turn's report in its folder: ``report.json`` is the record; the page is made of it."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from upturn.datasets import Snapshot
from upturn.errors import CorruptionError, UpturnError
from upturn.pipeline.judge import Judgement
from upturn.pipeline.parts import Parts
from upturn.pipeline.workspace import read_json, write_json, write_text
from upturn.report import Document, Origin, TurnReport, render_decision, render_page
from upturn.report.data_card import render_card_html
from upturn.report.data_card_source import card_of

RECORD, PAGE, DECISION = "report.json", "report.html", "decision.md"
DATA_CARD = "data_card.html"
_PACKAGES = ("upturn", "dspy", "optuna", "mlflow", "numpy", "torch", "transformers", "peft")


def write_document(folder: Path, document: Document) -> dict[str, str]:
    """Writes a report, its record first, and returns the files by name."""
    texts = _render(document, folder / RECORD)
    for name in (PAGE, DECISION):
        write_text(folder / name, texts[name])
    return texts


def read_document(path: Path) -> Document:
    """Reads a report's record.

    Raises:
        CorruptionError: it is none, was changed, or was written by a later release.
    """
    value = read_json(path)
    try:
        return Document.from_json(value)
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptionError(
            f"must be a report of this release or an earlier one, got: {error}",
            where=str(path),
            fix=f"read {path.with_name(PAGE)}, or install the release that wrote it",
        ) from None


def refresh(folder: Path) -> list[Path]:
    """Makes page and Markdown anew wherever the record beside them is another than they show.

    A page marks words within texts, so that what was taken out of a record cannot be searched for
    in it. May be killed and run again.

    Args:
        folder: searched with all folders in it.

    Returns:
        The records whose pages were made anew.
    """
    changed: list[Path] = []
    for path in records(folder):
        page = path.with_name(PAGE)
        stamp = json.loads(path.read_text(encoding="utf-8"))["sha256"]
        if page.exists() and stamp in page.read_text(encoding="utf-8")[:2_000]:
            continue
        document = read_document(path)
        write_text(path.with_name(DECISION), render_decision(document.turn))
        write_text(page, render_page(document, stamp=stamp))
        changed.append(path)
    return changed


def _render(document: Document, record: Path) -> dict[str, str]:
    write_json(record, document.to_json())
    text = record.read_text(encoding="utf-8")
    # Made of what was read back: the page shows what the record holds.
    made = read_document(record)
    page = render_page(made, stamp=json.loads(text)["sha256"])
    return {RECORD: text, PAGE: page, DECISION: render_decision(made.turn)}


def records(folder: Path) -> Iterator[Path]:
    """Records of reports; a registered version's file of the same name is a gate's alone."""
    for path in sorted(folder.rglob(RECORD)):
        head = path.read_text(encoding="utf-8")[:40]
        if '"sha256"' in head:
            yield path


def data_card(parts: Parts, snapshot_id: str) -> str:
    """Returns the data card of a snapshot as HTML; "" where the snapshot is gone."""
    folder = parts.workspace.snapshots / snapshot_id[:12]
    try:
        snapshot = Snapshot.load(folder)
    except (UpturnError, OSError):
        return ""
    return render_card_html(card_of(snapshot, title=parts.config.name))


def origin_of(
    report: TurnReport, *, parts: Parts, judgement: Judgement | None, has_card: bool
) -> Origin:
    """Returns what it takes to ask a turn's question again."""
    facts = {
        "seed": str(parts.config.seed),
        "model": report.model_id,
        "snapshot": report.snapshot_id,
        "program": f"{parts.config.program} {parts.program.fingerprint}",
        "metric": f"{parts.config.metric} {parts.metric.fingerprint}",
    }
    if judgement is not None:
        facts |= {
            "holdout": judgement.report.holdout,
            "champion": judgement.report.baseline_id,
            "challenger": judgement.report.challenger_id,
        }
    return Origin(
        facts={**facts, "versions": _versions()},
        config=parts.config.to_yaml(),
        commands=(
            f"upturn run {parts.path}",
            f"upturn report {report.turn} --out report.html",
            f"upturn snapshot card {report.snapshot_id[:12]} --out card",
        ),
        data_card=DATA_CARD if has_card else "",
    )


def _versions() -> str:
    found = [f"python {platform.python_version()}"]
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)
