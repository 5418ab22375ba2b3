"""What the gate is told besides the rows: found elsewhere, before the holdout is opened."""

from __future__ import annotations

from dataclasses import dataclass

from upturn.gate.report import GuardResult


@dataclass(frozen=True, kw_only=True)
class Told:
    """Findings on other rows than the holdout's, and what is known of the rows to come.

    Attributes:
        guards: already judged, such as what an adapter unlearned or a suite that must pass.
        notices: what a reader must know before the verdict, such as that a metric is a judge which
            nobody calibrated. They change no verdict.
        rows_per_day: fresh holdout rows that come in on a day at the present rate; None where that
            is not known.
        human_part: name of the part of a row's score that is a person's, where the metric is a
            judge and people scored some rows; "" where there is none.
    """

    guards: tuple[GuardResult, ...] = ()
    notices: tuple[str, ...] = ()
    rows_per_day: float | None = None
    human_part: str = ""


NOTHING = Told()
