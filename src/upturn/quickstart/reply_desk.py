"""What people did with drafted answers: agents choose, rewrite and cut; customers vote.

Nobody reads the truth into the log. An agent believes something that is mostly right, and likes
an answer for what it says, for its faults, and partly for its length: some like long ones. What
customers like is a promise, and length. Rates are per request.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from upturn.events import Feedback, Role, Signal
from upturn.quickstart.reply_texts import Draft, Facts, mistaken, word
from upturn.records import Json, content_hash

AGENTS = tuple(f"agent-{k:02d}" for k in range(1, 13))
#: Agents who take the longer of two answers for the kinder one, and write so themselves.
WORDY = frozenset(AGENTS[:3])
#: Agents who let promises stand; the customer is glad of them.
EASY_GOING = frozenset(AGENTS[3:10])
#: Clicks thumbs on whatever is open, up or down alike.
CARELESS = "agent-13"
#: How often an agent believes each fact wrongly.
MISTAKEN = 0.03


#: After these the customer was sent something else than the program's answer.
_REPLACED = (Signal.CHOSEN, Signal.CORRECTION, Signal.EDIT)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A request as the people who deal with it meet it.

    Attributes:
        request_id, user, time: of the request.
        drafts: the answers that were drafted; the first is the program's answer. An agent who gets
            several chooses one.
        truth: what would be right; people know it mostly.
    """

    request_id: str
    user: str
    time: datetime
    drafts: Sequence[Draft]
    truth: Facts


class ReplyDesk:
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
        made = [*self._agent(case)]
        if not any(act.signal in _REPLACED for act in made):
            made += self._customer(case)
        made += self._careless(case)
        stamped = (_event(case, k, act) for k, act in enumerate(made))
        return [f for f in stamped if f.time < self._end.isoformat()]

    def _agent(self, case: Case) -> Iterator[_Act]:
        rng, agent = self._rng, self._rng.choice(AGENTS)
        belief = mistaken(case.truth, rng, chance=MISTAKEN)
        when = case.time + timedelta(hours=min(rng.lognormvariate(2.0, 1.0), 70.0))
        if len(case.drafts) > 1:
            yield from self._chooses(case, agent, belief, when)
        elif _is_fine(case.drafts[0], agent, belief):
            yield from self._agrees(agent, when)
        else:
            yield from self._mends(case.drafts[0], agent, belief, when)

    def _chooses(self, case: Case, agent: str, belief: Facts, when: datetime) -> Iterator[_Act]:
        """The agent takes the draft that is liked best; nobody compares quite alike twice."""
        liked = [self._liking(d, agent, belief) + self._rng.gauss(0, 0.5) for d in case.drafts]
        best = case.drafts[liked.index(max(liked))]
        others: list[Json] = [{"answer": d.text} for d in case.drafts if d.text != best.text]
        if not others:
            return
        value: Json = {"chosen": {"answer": best.text}, "rejected": others}
        yield _Act(agent, Role.AGENT, when, Signal.CHOSEN, value)
        if not _is_fine(best, agent, belief) and self._rng.random() < 0.35:
            later = when + timedelta(minutes=self._rng.uniform(1, 9))
            yield from self._mends(best, agent, belief, later)

    def _liking(self, draft: Draft, agent: str, belief: Facts) -> float:
        taste = 0.05 if agent in WORDY else -0.01
        faults = 1.5 * draft.placeholder + (agent not in EASY_GOING) * 1.5 * draft.promises
        return 1.5 * belief.agreement(draft.facts) - faults + taste * draft.words

    def _mends(self, draft: Draft, agent: str, belief: Facts, when: datetime) -> Iterator[_Act]:
        """Rewrites the answer, or sends another one without a word, or lets it go."""
        fillers = int(agent in WORDY and self._rng.random() < 0.7)
        value: Json = {"answer": word(belief, self._rng, fillers=fillers).text}
        chance = self._rng.random()
        if chance < 0.62:
            yield _Act(agent, Role.AGENT, when, Signal.CORRECTION, value)
        elif chance < 0.75:
            yield _Act("desk", Role.SYSTEM, when, Signal.EDIT, value)
        elif draft.promises and chance < 0.85:
            later = when + timedelta(hours=self._rng.uniform(5, 90))
            yield _Act("desk", Role.SYSTEM, later, Signal.REOPENED, True)

    def _agrees(self, agent: str, when: datetime) -> Iterator[_Act]:
        if self._rng.random() < 0.4:
            yield _Act(agent, Role.AGENT, when, Signal.THUMBS, True)
        if self._rng.random() < 0.6:
            closed = when + timedelta(hours=self._rng.uniform(12, 120))
            yield _Act("desk", Role.SYSTEM, closed, Signal.KEPT, True)

    def _customer(self, case: Case) -> Iterator[_Act]:
        """Customers vote on what they were sent; they cannot know whether it is so."""
        if self._rng.random() > 0.3:
            return
        draft = case.drafts[0]
        pull = -0.6 + 1.5 * draft.promises + 0.04 * (draft.words - 15) - draft.placeholder
        up = self._rng.random() < 1 / (1 + math.exp(-pull))
        when = case.time + timedelta(hours=self._rng.uniform(1, 80))
        yield _Act(case.user, Role.CUSTOMER, when, Signal.THUMBS, up)

    def _careless(self, case: Case) -> Iterator[_Act]:
        if self._rng.random() < 0.06:
            when = case.time + timedelta(hours=self._rng.uniform(0.2, 30))
            yield _Act(CARELESS, Role.AGENT, when, Signal.THUMBS, self._rng.random() < 0.5)


@dataclass(frozen=True)
class _Act:
    rater: str
    role: Role
    time: datetime
    signal: Signal
    value: Json


def _is_fine(draft: Draft, agent: str, belief: Facts) -> bool:
    bold = draft.promises and agent not in EASY_GOING
    return draft.facts == belief and not bold and not draft.placeholder


def _event(case: Case, number: int, act: _Act) -> Feedback:
    return Feedback(
        id=f"fb-{content_hash([case.request_id, number], length=10)}",
        request_id=case.request_id,
        time=act.time.replace(microsecond=0).isoformat(),
        signal=act.signal,
        value=act.value,
        rater=act.rater,
        role=act.role,
    )
