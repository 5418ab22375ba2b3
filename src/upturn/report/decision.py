"""The decision as markdown: what a reviewer reads in MLflow, in a pull request or in a mail."""

from __future__ import annotations

from collections.abc import Sequence

from upturn.report.changes import changes, setting_changes
from upturn.report.sentence import HEADLINES
from upturn.report.templating import environment
from upturn.report.turn import TurnReport


def render_decision(turn: TurnReport, *, overrides: Sequence[str] = ()) -> str:
    """Returns the decision: verdict first, then evidence, guards, changes, cost, next commands.

    Args:
        turn: the turn.
        overrides: promotions without the gate's word, a sentence each; said before all else.
    """
    found = changes(turn.champion, turn.challenger) if turn.challenger else []
    settings = setting_changes(turn.champion, turn.challenger) if turn.challenger else []
    template = environment(html=False).get_template("decision.md.j2")
    return template.render(
        turn=turn,
        overrides=overrides,
        gate=turn.gate,
        changes=found,
        settings=settings,
        headline=HEADLINES[turn.verdict],
    )
