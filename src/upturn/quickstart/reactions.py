"""What people did with the answers: agents correct, customers vote, most say nothing.

Nobody here reads the truth into the log. People see a message, believe something about it that is
mostly right, and sometimes act on that belief. Rates are per request.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from upturn.events import Feedback, Role, Signal
from upturn.records import Json, content_hash

TEAMS = ("Technical", "Returns", "Sales", "Billing", "Delivery", "Account")
PRIORITIES = ("low", "normal", "high")
AGENTS = tuple(f"agent-{k:02d}" for k in range(1, 13))
#: Clicks thumbs on whatever is open, up or down alike.
CARELESS = "agent-13"
#: How often an agent believes the wrong team, and the wrong priority.
MISTAKEN_TEAM, MISTAKEN_PRIORITY = 0.03, 0.04

_DOWN_COMMENTS = ("wrong team again", "had to explain twice", "not my question", "slow", None, None)
_UP_COMMENTS = ("quick", "thanks, solved", None, None, None)
_AGENT_COMMENTS = (
    "rerouted",
    "wrong queue",
    "see the first line",
    "customer called",
    None,
    None,
    None,
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A request as the people who deal with it meet it.

    Attributes:
        request_id, user, time: of the request.
        answer: what the program said; None where it failed.
        truth: what would be right; people know it mostly.
    """

    request_id: str
    user: str
    time: datetime
    answer: Mapping[str, str] | None
    truth: Mapping[str, str]


class Desk:
    """Draws the reactions to one case after the other.

    Args:
        rng: all chance.
        end: what happens later is not in the log yet.
    """

    def __init__(self, rng: random.Random, end: datetime) -> None:
        self._rng = rng
        self._end = end

    def react(self, case: Case) -> list[Feedback]:
        """Returns what came back about one case, up to the end of the log."""
        events = [*self._agent(case), *self._customer(case), *self._careless(case)]
        stamped = (_event(case, k, e) for k, e in enumerate(events))
        return [f for f in stamped if f.time < self._end.isoformat()]

    def _agent(self, case: Case) -> Iterator[_Act]:
        """The agent who closes the matter: corrects, edits, leaves it, or says nothing."""
        rng, agent = self._rng, self._rng.choice(AGENTS)
        belief = self._belief(case.truth)
        wrong = {f: v for f, v in belief.items() if (case.answer or {}).get(f) != v}
        when = case.time + self._delay()
        if not wrong:
            yield from self._agrees(case, agent, when)
        elif rng.random() < 0.58:
            value = belief if rng.random() < 0.3 else wrong
            yield self._act(agent, Role.AGENT, when, Signal.CORRECTION, value, _AGENT_COMMENTS)
            yield from self._contradicts(case, belief, when)
        elif rng.random() < 0.55:
            yield self._act("desk", Role.SYSTEM, when, Signal.EDIT, belief, (None,))
        elif rng.random() < 0.3:
            reopened = when + timedelta(hours=rng.uniform(5, 90))
            yield self._act("desk", Role.SYSTEM, reopened, Signal.REOPENED, True, (None,))

    def _agrees(self, case: Case, agent: str, when: datetime) -> Iterator[_Act]:
        if self._rng.random() < 0.25:
            yield self._act(agent, Role.AGENT, when, Signal.THUMBS, True, _UP_COMMENTS)
        if self._rng.random() < 0.6:
            closed = when + timedelta(hours=self._rng.uniform(12, 120))
            yield self._act("desk", Role.SYSTEM, closed, Signal.KEPT, True, (None,))

    def _contradicts(self, case: Case, belief: Mapping[str, str], when: datetime) -> Iterator[_Act]:
        """Now and then a reviewer sees it otherwise, for better or worse, days later."""
        rng = self._rng
        if rng.random() < 0.05:
            other = rng.choice([t for t in TEAMS if t != belief["team"]])
            value = {"team": case.truth["team"] if rng.random() < 0.5 else other}
            later = when + timedelta(days=rng.uniform(1, 9))
            reviewer = f"reviewer-{rng.randint(1, 2)}"
            yield self._act(reviewer, Role.REVIEWER, later, Signal.CORRECTION, value, (None,))

    def _customer(self, case: Case) -> Iterator[_Act]:
        """Customers see whether the right people wrote back; the unhappy ones vote more."""
        rng = self._rng
        if case.answer is None:
            return
        good = case.answer["team"] == case.truth["team"]
        if rng.random() < (0.1 if good else 0.16):
            up = good != (rng.random() < 0.08)
            when = case.time + timedelta(hours=rng.uniform(1, 80))
            comments = _UP_COMMENTS if up else _DOWN_COMMENTS
            yield self._act(case.user, Role.CUSTOMER, when, Signal.THUMBS, up, comments)

    def _careless(self, case: Case) -> Iterator[_Act]:
        if case.answer is not None and self._rng.random() < 0.12:
            when = case.time + timedelta(hours=self._rng.uniform(0.2, 30))
            up = self._rng.random() < 0.5
            yield self._act(CARELESS, Role.AGENT, when, Signal.THUMBS, up, (None,))

    def _belief(self, truth: Mapping[str, str]) -> dict[str, str]:
        rng, belief = self._rng, dict(truth)
        if rng.random() < MISTAKEN_TEAM:
            belief["team"] = rng.choice([t for t in TEAMS if t != truth["team"]])
        if rng.random() < MISTAKEN_PRIORITY:
            belief["priority"] = rng.choice([p for p in PRIORITIES if p != truth["priority"]])
        return belief

    def _delay(self) -> timedelta:
        """Hours mostly; one in fourteen waits for one to three weeks."""
        if self._rng.random() < 0.07:
            return timedelta(days=self._rng.uniform(6, 21))
        return timedelta(hours=min(self._rng.lognormvariate(2.0, 1.0), 70.0))

    def _act(
        self,
        rater: str,
        role: Role,
        time: datetime,
        signal: Signal,
        value: Json,
        comments: tuple[str | None, ...],
    ) -> _Act:
        comment = self._rng.choice(comments)
        return _Act(rater=rater, role=role, time=time, signal=signal, value=value, comment=comment)


@dataclass(frozen=True, kw_only=True)
class _Act:
    rater: str
    role: Role
    time: datetime
    signal: Signal
    value: Json
    comment: str | None


def _event(case: Case, number: int, act: _Act) -> Feedback:
    return Feedback(
        id=f"fb-{content_hash([case.request_id, number], length=10)}",
        request_id=case.request_id,
        time=act.time.replace(microsecond=0).isoformat(),
        signal=act.signal,
        value=dict(act.value) if isinstance(act.value, Mapping) else act.value,
        rater=act.rater,
        role=act.role,
        comment=act.comment,
    )
