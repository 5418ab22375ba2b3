"""The validation report: one HTML file that needs nothing else. Outside text is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from upturn.gate.report import GateReport
from upturn.report.changes import changes, setting_changes
from upturn.report.document import Document
from upturn.report.forest import Bar, bar, forest
from upturn.report.limits import limits
from upturn.report.sentence import sentence
from upturn.report.templating import environment


def render_page(document: Document, *, stamp: str = "", overrides: Sequence[str] = ()) -> str:
    """Returns a report as HTML.

    Args:
        document: the report.
        stamp: hash of the report's JSON, by which a page is known to be older than it.
        overrides: promotions without the gate's word, a sentence each; said before all else.
    """
    turn, gate = document.turn, document.turn.gate
    lines = forest(gate.slices, gate.guards, document.slice_limits) if gate else []
    # What stands in the plot is not said twice.
    drawn = {line.guard.name for line in lines if line.guard}
    template = environment(html=True).get_template("page.html.j2")
    return template.render(
        document=document,
        turn=turn,
        gate=gate,
        stamp=stamp,
        sentence=sentence(turn),
        changes=changes(turn.champion, turn.challenger) if turn.challenger else [],
        settings=setting_changes(turn.champion, turn.challenger) if turn.challenger else [],
        fixed=document.fixed,
        broken=document.broken,
        interval=_interval(gate),
        forest=lines,
        guards=[g for g in gate.guards if g.name not in drawn] if gate else [],
        overrides=overrides,
        limits=limits(document),
        search=document.search,
    )


@dataclass(frozen=True, kw_only=True)
class Interval:
    """The effect's bar and how far its axis reaches to both sides of zero."""

    bar: Bar
    reach: float


def _interval(gate: GateReport | None) -> Interval | None:
    if gate is None or gate.effect is None or gate.low is None or gate.high is None:
        return None
    reach = 1.15 * max(abs(gate.low), abs(gate.high), 0.01)
    return Interval(bar=bar(gate.effect, gate.low, gate.high, reach), reach=reach)
