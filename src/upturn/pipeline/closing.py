"""How a turn ends: the challenger is registered, the report is written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from upturn.gate import GateReport
from upturn.pipeline.judge import Judgement
from upturn.pipeline.parts import Parts
from upturn.pipeline.recording import Recorder
from upturn.pipeline.releases.release import Releases
from upturn.pipeline.reports import DATA_CARD, PAGE, data_card, origin_of, write_document
from upturn.pipeline.weights import files_of
from upturn.pipeline.workspace import write_text
from upturn.programs import Program
from upturn.records import Candidate, Json, Verdict
from upturn.report import TurnReport, document
from upturn.report.search import SearchReport
from upturn.search import Finalist, SearchResult
from upturn.tracking import RunKind, Tracker
from upturn.tracking.versions import ORIGINS
from upturn.weights.adapter import Adapter


def register(
    judgement: Judgement,
    challenger: Finalist,
    *,
    parts: Parts,
    releases: Releases,
    recorder: Recorder,
    search: SearchResult,
    decision: str,
    facts: Mapping[str, Json],
    origins: bytes,
    adapter: Adapter | None = None,
) -> str:
    """Logs both sides on the holdout and registers a challenger that may be promoted.

    Idempotent: a turn that was killed in here does the rest when it is resumed.

    Returns:
        The registered version, or "" where the verdict is not PROMOTE.
    """
    report = judgement.report
    sides = (
        (RunKind.CHAMPION, "champion", judgement.baseline, search.start),
        (RunKind.CHALLENGER, "challenger", judgement.challenger, challenger),
    )
    run_id = ""
    for kind, name, evaluation, finalist in sides:
        if judgement.released.withheld:
            run_id = recorder.withheld(kind, name, evaluation, finalist)
        else:
            run_id = recorder.holdout(kind, name, evaluation, finalist, judgement.examples)
    if report.verdict is not Verdict.PROMOTE:
        return ""
    candidate = challenger.candidate
    return releases.registry.register(
        candidate,
        program=parts.config.name,
        turn=report.turn,
        report_json=report.to_json(),
        files={
            "program.json": parts.program.state_json(candidate).encode(),
            "decision.md": decision.encode(),
            "prompt.json": _prompt(parts.program, candidate),
            ORIGINS: origins,
            **files_of(adapter),
        },
        facts=facts,
        run_id=run_id,
    )


def _prompt(program: Program, candidate: Candidate) -> bytes:
    """The chat messages with every input as ``{field}``, for servers that do not run DSPy."""
    holes = {name: f"{{{name}}}" for name in program.fields.inputs}
    return json.dumps(program.messages(candidate, holes), indent=2, ensure_ascii=False).encode()


def write_report(
    report: TurnReport,
    *,
    parts: Parts,
    tracker: Tracker,
    judgement: Judgement | None,
    search: SearchReport | None,
) -> str:
    """Writes the report as HTML, Markdown and JSON into the turn's folder and the tracker.

    Returns:
        The path of the HTML file.
    """
    folder = parts.workspace.turn(report.turn)
    folder.mkdir(parents=True, exist_ok=True)
    card = data_card(parts, report.snapshot_id)
    # Rows of the holdout tell more than the scores that are withheld.
    told = judgement if judgement and not judgement.released.withheld else None
    made = document(
        report,
        champion=told.baseline if told else None,
        challenger=told.challenger if told else None,
        examples=told.examples if told else (),
        search=search,
        origin=origin_of(report, parts=parts, judgement=judgement, has_card=bool(card)),
    )
    texts = write_document(folder, made)
    if card:
        write_text(folder / DATA_CARD, card)
        texts[DATA_CARD] = card
    files = {name: text.encode() for name, text in texts.items()}
    tracker.log_files(files | (search.files if search else {}))
    return str(folder / PAGE)


def next_steps(
    parts: Parts, gate: GateReport | None, version: str, *, promoted: bool
) -> Sequence[str]:
    """Returns the commands worth typing next, the most useful first."""
    name, config = parts.config.name, parts.path
    if promoted:
        return (
            f"upturn export {name} --out exported/{name}",
            f"upturn rollback {name}",
            f"upturn ui {config}",
        )
    if version:
        return (f"upturn approve {name}", f"upturn why {name} {version}", f"upturn ui {config}")
    if gate and gate.rows_needed:
        return (
            f"bring feedback for a holdout of about {gate.rows_needed} rows, then: "
            f"upturn run {config}",
            f"upturn ui {config}",
        )
    return (f"upturn ui {config}", f"upturn history {name}")
