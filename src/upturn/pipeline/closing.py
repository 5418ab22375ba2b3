"""How a turn ends: the challenger is registered, the report is written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from upturn.gate import GateReport
from upturn.pipeline.judge import Judgement
from upturn.pipeline.parts import Parts
from upturn.pipeline.recording import Recorder
from upturn.pipeline.release import Releases
from upturn.pipeline.workspace import write_text
from upturn.programs import Program
from upturn.records import Candidate, Json, Verdict
from upturn.report import TurnReport, render_decision, render_page
from upturn.report.figures import TrialPoint, search_figure
from upturn.search import Finalist, SearchResult
from upturn.tracking import RunKind, Tracker


def draw(search: SearchResult, program: str) -> bytes:
    """Returns the figure of a search as PNG."""
    fresh = {f.name: f.fresh.score for f in search.finalists}
    points = [
        TrialPoint(
            number=t.number,
            score=t.estimate,
            pruned=not t.finished,
            fresh_score=fresh.get(t.name),
        )
        for t in search.trials
        if not t.repeated
    ]
    return search_figure(
        points,
        champion=search.start.searched.score,
        champion_fresh=search.start.fresh.score,
        title=f"{program}: search on dev",
    )


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
    figure: bytes,
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
        figure_png=figure,
    )
    decision = render_decision(report)
    write_text(folder / "report.html", page)
    write_text(folder / "decision.md", decision)
    files = {"report.html": page.encode(), "decision.md": decision.encode()}
    tracker.log_files(files | ({"search.png": figure} if figure else {}))
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
