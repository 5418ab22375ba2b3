"""Made-up worlds with a known truth: for strategies as arrays, for the live search as rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from upturn.errors import BudgetExceededError
from upturn.propose import Proposal
from upturn.records import Candidate, Evaluation, Example, Outcome, PromptState, Row, content_hash
from upturn.search import Catalogue
from upturn.search.space import Space
from upturn.search.strategies.racing import RacingStrategy
from upturn.search.study import Study, StudyRules


class World:
    """An arena in which a candidate is right on a row where its level beats the row's draw.

    Draws are shared in part, so candidates agree more often than by chance.
    """

    def __init__(self, levels: dict[str, float], *, rows: int = 200, seed: int = 0, shared=0.5):
        rng = np.random.default_rng([seed, 9])
        self.levels = levels
        self.units = np.arange(rows)
        ease_R = rng.random(rows)
        own = {name: rng.random(rows) for name in levels}
        pick_R = rng.random(rows) < shared
        self._values = {
            name: (np.where(pick_R, ease_R, own[name]) < level).astype(float)
            for name, level in levels.items()
        }
        self.refused: dict[str, str] = {}
        self.spent = 0

    @property
    def space(self) -> Space:
        names = tuple(sorted(self.levels))
        return Space(
            options={"p": names}, origins={"p": {n: f"k:{n}" for n in names}}, chars=lambda c: 0
        )

    def run(self, work):
        self.spent += sum(len(span) for _, span in work)
        return [self._values[c["p"]][s.start : s.stop].copy() for c, s in work]

    def refusal(self, choices):
        return self.refused.get(choices["p"], "")


def study(world, sampler, *, seed=0, start=None, **rules) -> Study:
    made = Study(
        space=world.space,
        arena=world,
        sampler=sampler,
        rules=StudyRules(**rules),
        rng=np.random.default_rng([seed, 1]),
    )
    made.enter({"p": start or min(world.levels)})
    return made


class ScriptedRunner:
    """A candidate's true score is written in its instruction and demos; rows differ in ease."""

    def __init__(self, limit: int = 10**9) -> None:
        self.paid = 0
        self.limit = limit
        self.seen: set[tuple[str, str]] = set()

    def evaluate(self, candidate, examples, *, tolerant=False):
        rows = [self._row(candidate, e) for e in examples]
        return Evaluation(candidate_id=candidate.id, rows=tuple(rows))

    def evaluate_all(self, work, *, tolerant=False):
        return [self.evaluate(c, examples) for c, examples in work]

    def trace(self, candidate, example):
        raise AssertionError("a search traces nothing")

    def _row(self, candidate: Candidate, e: Example) -> Row:
        if (candidate.id, e.id) not in self.seen:
            self.seen.add((candidate.id, e.id))
            self.paid += 1
            if self.paid > self.limit:
                raise BudgetExceededError("calls must stay below the cap")
        right = uniform(e.id) * 0.5 + uniform(candidate.id, e.id) * 0.5 < skill(candidate)
        return Row(
            example_id=e.id,
            group=e.group,
            outcome=Outcome.SCORED,
            score=float(right),
            cost_usd=0.001 * len(candidate.states["p"].demos),
            latency_s=0.1,
        )


def skill(candidate: Candidate) -> float:
    state = candidate.states["p"]
    return float(state.instruction) + sum(d["gain"] for d in state.demos)


def uniform(*key: str) -> float:
    return int(content_hash(key, length=12), 16) / 16**12


def proposals() -> list[Proposal]:
    instructions = [0.3, 0.4, 0.5]
    gains = [-0.1, 0.0, 0.05, 0.1, 0.2]
    return [
        *(Proposal(predictor="p", origin="a", instruction=f"{v:.2f}") for v in instructions),
        *(Proposal(predictor="p", origin="b", demos=({"gain": g},)) for g in gains),
        Proposal(predictor="p", origin="none", demos=()),
    ]


def catalogue() -> Catalogue:
    return Catalogue.build(proposals())


def examples(prefix: str, n: int) -> Sequence[Example]:
    return [
        Example(id=f"{prefix}{i}", inputs={}, labels={}, group=f"{prefix}{i}") for i in range(n)
    ]


START = Candidate(states={"p": PromptState(instruction="0.40")})
RACING = RacingStrategy()
