"""The joint estimate over all cases: influence, sources, raters, and whom to set aside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np

from upturn.labels.calibration import CalibrationReport, Curve
from upturn.labels.influence import influence
from upturn.labels.latent import Floats
from upturn.labels.model import Model, fit_model, news
from upturn.labels.raters import RaterReport, Tally, report_raters
from upturn.labels.reading import Reading
from upturn.labels.reviews import check_against_reviews
from upturn.labels.rule import Says
from upturn.labels.rules import LabelRules
from upturn.labels.table import Case, Flags, Table, build


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What was estimated over all cases; N readings in the order of the cases.

    Attributes:
        table, model: all readings, and what was made of those that count.
        news: how much each reading tells (N).
        burst, distrusted: which readings were set aside (N).
        raters: everybody who judged.
        calibration: how the probabilities compare with reviews; curve: what bends them.
    """

    table: Table
    model: Model
    news: Floats
    burst: Flags
    distrusted: Flags
    raters: tuple[RaterReport, ...]
    calibration: CalibrationReport | None
    curve: Curve | None


def judge(cases: Sequence[Case], rules: LabelRules) -> Judgement:
    """Estimates what is right and who is reliable, from all readings of all cases."""
    found = influence(cases, rules.influence)
    work = _Work(cases, build(cases, spread=rules.spread), found.weight)
    votes = values = Tally(cases, work.table, work.model)
    if work.without(votes.blind_voters(rules.trust), Says.VALUE, inverse=True):
        values = Tally(cases, work.table, work.model)
    aside = compress(_readings(cases), found.burst.tolist())
    raters = report_raters(votes, values, aside, rules.trust)
    work.without(frozenset(r.rater for r in raters if "values" in r.ignored), Says.VALUE)
    report, curve = check_against_reviews(cases, work.table, work.weight, rules.min_reviewed)
    return Judgement(
        table=work.table,
        model=work.model,
        news=news(work.table, work.model),
        burst=found.burst,
        distrusted=work.distrusted,
        raters=raters,
        calibration=report,
        curve=curve,
    )


class _Work:
    """The table and model of what still counts. What a rater who is set aside made of the
    reliability of others goes with them."""

    def __init__(self, cases: Sequence[Case], table: Table, weight_N: Floats) -> None:
        self._cases = cases
        self.table = table
        self.weight = weight_N
        self.distrusted: Flags = np.zeros(len(weight_N), dtype=bool)
        self.model = fit_model(table, weight_N)

    def without(self, raters: frozenset[str], says: Says, *, inverse: bool = False) -> bool:
        """Leaves out what some raters said of one kind, or of all others; False for none."""
        if not raters:
            return False
        flags = (
            not r.rule.implicit and r.rater in raters and (r.says is says) is not inverse
            for r in _readings(self._cases)
        )
        self.distrusted |= np.fromiter(flags, dtype=bool, count=len(self.weight))
        self.weight = np.where(self.distrusted, 0.0, self.weight)
        self.model = fit_model(self.table, self.weight)
        return True


def _readings(cases: Sequence[Case]) -> Iterator[Reading]:
    return (reading for case in cases for reading in case.readings)
