"""The decision as markdown: what a reviewer reads in MLflow, in a pull request or in a mail."""

from __future__ import annotations

from upturn.report.changes import changes, setting_changes
from upturn.report.templating import environment
from upturn.report.turn import TurnReport

HEADLINES = {
    "PROMOTE": "The challenger is better on rows nothing was tuned on.",
    "HOLD": "The champion stays.",
    "INCONCLUSIVE": "There is no answer yet. The champion stays.",
    "NO DECISION": "The turn ended before the gate. The champion stays.",
}


def render_decision(turn: TurnReport) -> str:
    """Returns the decision: verdict first, then evidence, guards, changes, cost, next commands."""
    found = changes(turn.champion, turn.challenger) if turn.challenger else []
    settings = setting_changes(turn.champion, turn.challenger) if turn.challenger else []
    template = environment(html=False).get_template("decision.md.j2")
    return template.render(
        turn=turn,
        gate=turn.gate,
        changes=found,
        settings=settings,
        headline=HEADLINES[turn.verdict],
    )
