"""The validation report: one HTML file that needs nothing else. Outside text is escaped."""

from __future__ import annotations

from collections.abc import Sequence

from upturn.records import Evaluation, Example
from upturn.report.changes import changes, setting_changes
from upturn.report.decision import HEADLINES
from upturn.report.rows import row_changes
from upturn.report.search import SearchReport
from upturn.report.templating import environment
from upturn.report.turn import TurnReport


def render_page(
    turn: TurnReport,
    *,
    champion: Evaluation | None = None,
    challenger: Evaluation | None = None,
    examples: Sequence[Example] = (),
    search: SearchReport | None = None,
) -> str:
    """Returns the report as HTML.

    Args:
        turn: the turn.
        champion, challenger: their rows on the holdout, both or none, for the lists of rows fixed
            and broken.
        examples: the holdout's examples, whose texts are shown beside the answers.
        search: its trials and figures; left out where there is none.
    """
    pairs = row_changes(champion, challenger, examples) if champion and challenger else ([], [])
    template = environment(html=True).get_template("page.html.j2")
    return template.render(
        turn=turn,
        gate=turn.gate,
        headline=HEADLINES[turn.verdict],
        changes=changes(turn.champion, turn.challenger) if turn.challenger else [],
        settings=setting_changes(turn.champion, turn.challenger) if turn.challenger else [],
        fixed=pairs[0],
        broken=pairs[1],
        interval=_interval(turn),
        search=search or SearchReport(),
    )


def _interval(turn: TurnReport) -> dict[str, float] | None:
    """Positions, in percent of the bar's width, of zero, the effect and its interval.

    The axis is symmetric about zero, so that a gain always points right.
    """
    gate = turn.gate
    if gate is None or gate.effect is None or gate.low is None or gate.high is None:
        return None
    reach = 1.15 * max(abs(gate.low), abs(gate.high), 0.01)
    low, mid, high = (50 + 50 * v / reach for v in (gate.low, gate.effect, gate.high))
    return {"low": low, "effect": mid, "width": high - low, "reach": reach}
