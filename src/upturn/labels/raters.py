"""Who is reliable, in words: everybody's judgements against what all others made of the same.

A vote is comparable where the others, weighed by the joint model, make one side more probable than
not. Agreement is counted apart on right and on wrong answers, because a rater who always votes up
agrees often with a good program and still tells nothing:

    a_right = (A + agreements on right answers) / (A + B + votes on right answers)
    a_wrong = (A + agreements on wrong answers) / (A + B + votes on wrong answers)
    agreement = (a_right + a_wrong) / 2

Each is the mean of a Beta(A + agreements, B + disagreements) posterior; blind votes tend to 0.5 at
any share of right answers. (Balanced accuracy with a conjugate prior: Brodersen et al., "The
balanced accuracy and its posterior distribution", ICPR 2010.) Values that somebody names are
counted in one piece, because nobody names the right one blindly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import sqrt

from upturn.labels.model import Model, others
from upturn.labels.reading import Reading
from upturn.labels.rule import Says
from upturn.labels.rules import TrustRules
from upturn.labels.table import Case, Table

Z95 = 1.959963984540054


@dataclass(frozen=True, kw_only=True, slots=True)
class RaterReport:
    """One rater's judgements against the evidence of others.

    Attributes:
        rater: who; thumbs: their votes of right or wrong, of any explicit kind.
        right_votes, right_agreed: comparable votes on right answers, and how many said so.
        wrong_votes, wrong_agreed: comparable votes on wrong answers, and how many said so.
        agreement: the posterior mean in (0, 1); low, high: its 95 % interval.
        claims: values they named; claims_compared, claims_agreed: with others' evidence.
        claims_agreement: the posterior mean.
        burst: how many of their signals were set aside as part of a burst.
        trusted: False where votes or values are ignored; ``why`` says which.
    """

    rater: str
    thumbs: int
    right_votes: int
    right_agreed: int
    wrong_votes: int
    wrong_agreed: int
    agreement: float
    low: float
    high: float
    claims: int
    claims_compared: int
    claims_agreed: int
    claims_agreement: float
    burst: int
    ignored: tuple[str, ...]

    @property
    def trusted(self) -> bool:
        return not self.ignored

    @property
    def why(self) -> str:
        """The report's sentence about this rater."""
        verdict = f"{' and '.join(self.ignored)} ignored" if self.ignored else "trusted"
        said = list[str]()
        if self.thumbs or not self.claims:
            said.append(
                f"agreement {self.agreement:.2f} with others (up on {self.right_agreed} of "
                f"{self.right_votes} right answers, down on {self.wrong_agreed} of "
                f"{self.wrong_votes} wrong ones)"
            )
        if self.claims:
            said.append(
                f"named the value that others make likely in {self.claims_agreed} of "
                f"{self.claims_compared} cases"
            )
        if self.burst:
            said.append(f"{self.burst} signals set aside as part of a burst")
        return f"{self.rater}: {verdict}, {'; '.join(said)}"


@dataclass(slots=True)
class _Count:
    """What one rater did. Votes are kept by request: one vote on several fields is one vote."""

    votes: dict[int, tuple[bool, bool | None]] = field(default_factory=dict)
    claims: int = 0
    compared: int = 0
    agreed: int = 0
    burst: set[str] = field(default_factory=set[str])


class Tally:
    """What everybody did, and how often the others agree.

    Args:
        cases, table, model: the readings, and what was made of those that count.
    """

    def __init__(self, cases: Sequence[Case], table: Table, model: Model) -> None:
        self._counts: dict[str, _Count] = {}
        found = others(table, model)
        columns = (f.tolist() for f in (model.weight > 0, found.decided, found.agrees, found.right))
        flags = zip(*columns, strict=True)
        for number, case in enumerate(cases):
            for reading, (counted, *flag) in zip(case.readings, flags, strict=False):
                if counted and not reading.rule.implicit:
                    self._add(number, reading, *flag)

    def _add(self, case: int, reading: Reading, decided: bool, agrees: bool, right: bool) -> None:
        count = self.of(reading.rater)
        if reading.says is Says.VALUE:
            count.claims += 1
            count.compared += decided
            count.agreed += decided and agrees
        else:
            _add_vote(count, case, reading.says is Says.RIGHT, right, decided)

    def of(self, rater: str) -> _Count:
        return self._counts.setdefault(rater, _Count())

    def names(self) -> set[str]:
        return set(self._counts)

    def blind_voters(self, rules: TrustRules) -> frozenset[str]:
        """Returns whose votes agree with the others as often as chance does."""
        return frozenset(r for r, c in self._counts.items() if _votes_blindly(c, rules))


def report_raters(
    votes: Tally, values: Tally, burst: Iterable[Reading], rules: TrustRules
) -> tuple[RaterReport, ...]:
    """Returns a report on everybody who ever judged, sorted by rater.

    Args:
        votes: everybody's votes; values: the values named, once blind voters are set aside. (Two
            who differ would otherwise accuse each other, and he who votes blindly the other too.)
        burst: explicit readings that were set aside.
        rules: when somebody is ignored.
    """
    for reading in burst:
        votes.of(reading.rater).burst.add(reading.events[0])
    names = sorted(votes.names() | values.names())
    return tuple(_report(name, votes.of(name), values.of(name), rules) for name in names)


def _add_vote(count: _Count, case: int, up: bool, right: bool, decided: bool) -> None:
    """An answer is right where all fields are: one wrong field is enough to make it wrong."""
    known = right if decided else None
    _, before = count.votes.get(case, (up, None))
    if before is not None and (known is None or known):
        known = before
    count.votes[case] = (up, known)


def _compared(count: _Count) -> tuple[list[bool], list[bool]]:
    """Returns whether each comparable vote agreed, on right answers and on wrong ones."""
    votes = count.votes.values()
    on_right = [up for up, right in votes if right is True]
    return on_right, [not up for up, right in votes if right is False]


def _votes_blindly(count: _Count, rules: TrustRules) -> bool:
    on_right, on_wrong = _compared(count)
    agreement = (_beta(on_right, rules)[0] + _beta(on_wrong, rules)[0]) / 2
    return len(on_right) + len(on_wrong) >= rules.min_votes and agreement < rules.min_agreement


def _report(rater: str, votes: _Count, values: _Count, rules: TrustRules) -> RaterReport:
    on_right, on_wrong = _compared(votes)
    (right, right_var), (wrong, wrong_var) = (_beta(a, rules) for a in (on_right, on_wrong))
    agreement, spread = (right + wrong) / 2, Z95 * sqrt((right_var + wrong_var) / 4)
    claims_agreement = _mean(values.agreed, values.compared, rules)
    ignored = ["thumbs"] if _votes_blindly(votes, rules) else []
    size = rules.prior_agree + rules.prior_disagree + values.compared
    surely = claims_agreement + Z95 * sqrt(claims_agreement * (1 - claims_agreement) / (size + 1))
    if values.compared >= rules.min_votes and surely < rules.min_claims_agreement:
        ignored.append("values")
    return RaterReport(
        rater=rater,
        thumbs=len(votes.votes),
        right_votes=len(on_right),
        right_agreed=sum(on_right),
        wrong_votes=len(on_wrong),
        wrong_agreed=sum(on_wrong),
        agreement=agreement,
        low=max(agreement - spread, 0.0),
        high=min(agreement + spread, 1.0),
        claims=values.claims,
        claims_compared=values.compared,
        claims_agreed=values.agreed,
        claims_agreement=claims_agreement,
        burst=len(votes.burst),
        ignored=tuple(ignored),
    )


def _mean(agreed: int, compared: int, rules: TrustRules) -> float:
    a, b = rules.prior_agree, rules.prior_disagree
    return (a + agreed) / (a + b + compared)


def _beta(agreed: list[bool], rules: TrustRules) -> tuple[float, float]:
    """Returns mean and variance of the posterior of one kind of agreement."""
    size = rules.prior_agree + rules.prior_disagree + len(agreed)
    mean = _mean(sum(agreed), len(agreed), rules)
    return mean, mean * (1 - mean) / (size + 1)
