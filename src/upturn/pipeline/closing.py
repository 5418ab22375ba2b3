"""How a turn ends: the challenger is registered, the report is written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from upturn.gate import GateReport
from upturn.pipeline.judge import Judgement
from upturn.pipeline.parts import Parts
from upturn.pipeline.recording import Recorder
from upturn.pipeline.release import Releases
from upturn.pipeline.weights import files_of
from upturn.pipeline.workspace import write_text
from upturn.programs import Program
from upturn.records import Candidate, Json, Verdict
from upturn.report import TurnReport, render_decision, render_page
from upturn.report.search import SearchReport
from upturn.search import Finalist, SearchResult
from upturn.tracking import RunKind, Tracker
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
    adapter: Adapter | None = None,
) -> str:
    """Logs both sides on the holdout and registers a challenger that may be promoted.

    Idempotent: a turn that was killed in here does the rest when it is resumed.

    Returns:
        The registered version, or "" where the verdict is not PROMOTE.
    """
    report, examples = judgement.report, judgement.examples
    recorder.holdout(RunKind.CHAMPION, "champion", judgement.baseline, search.start, examples)
    run_id = recorder.holdout(
        RunKind.CHALLENGER, "challenger", judgement.challenger, challenger, examples
    )
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
    """Writes the decision as HTML and Markdown into the turn's folder and the tracker.

    Returns:
        The path of the HTML file.
    """
    folder = parts.workspace.turn(report.turn)
    folder.mkdir(parents=True, exist_ok=True)
    page = render_page(
        report,
        champion=judgement.baseline if judgement else None,
        challenger=judgement.challenger if judgement else None,
        examples=judgement.examples if judgement else (),
        search=search,
    )
    decision = render_decision(report)
    write_text(folder / "report.html", page)
    write_text(folder / "decision.md", decision)
    files = {"report.html": page.encode(), "decision.md": decision.encode()}
    drawn = {"search.png": search.figure_png, "pareto.png": search.pareto_png} if search else {}
    tracker.log_files(files | {name: png for name, png in drawn.items() if png})
    return str(folder / "report.html")


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
        return (f"upturn promote {name} {version}", f"upturn ui {config}")
    if gate and gate.rows_needed:
        return (
            f"bring feedback for a holdout of about {gate.rows_needed} rows, then: "
            f"upturn run {config}",
            f"upturn ui {config}",
        )
    return (f"upturn ui {config}", f"upturn history {name}")
