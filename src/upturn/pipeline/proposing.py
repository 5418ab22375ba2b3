"""From evidence to a catalogue: every proposer is asked, and what it runs is counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from upturn.config.search import SearchSection
from upturn.evaluate import CandidateRunner
from upturn.pipeline.weights import SETTING, Weights
from upturn.programs import Program
from upturn.propose import PROPOSERS, Evidence, Proposal, Proposer, Survivor, ask, find
from upturn.propose.settings import SettingsProposer
from upturn.propose.sources import Sources
from upturn.records import Candidate, Evaluation, Example, Json, Row
from upturn.search import Catalogue

if TYPE_CHECKING:
    from upturn.lm.connect import Connection

#: Rows that bootstrapping may run: this share of the budget, and never more than so many.
BOOTSTRAP_SHARE, MAX_BOOTSTRAP_ROWS = 0.05, 48
#: Proposers that let a strong model write.
WRITERS = frozenset({"grounded", "reflective"})


class CountingRunner:
    """Counts the distinct rows that proposers run, so that the search can do with the rest."""

    def __init__(self, runner: CandidateRunner) -> None:
        self._runner = runner
        self._seen: set[tuple[str, str]] = set()

    @property
    def rows(self) -> int:
        return len(self._seen)

    def evaluate(
        self, candidate: Candidate, examples: Sequence[Example], *, tolerant: bool = False
    ) -> Evaluation:
        self._seen |= {(candidate.id, e.id) for e in examples}
        return self._runner.evaluate(candidate, examples, tolerant=tolerant)

    def evaluate_all(
        self, work: Sequence[tuple[Candidate, Sequence[Example]]], *, tolerant: bool = False
    ) -> list[Evaluation]:
        self._seen |= {(c.id, e.id) for c, examples in work for e in examples}
        return self._runner.evaluate_all(work, tolerant=tolerant)

    def trace(self, candidate: Candidate, example: Example) -> dict[str, dict[str, Json]]:
        return self._runner.trace(candidate, example)


@dataclass(kw_only=True)
class Proposing:
    """Asks the proposers of a config.

    Attributes:
        program: the program.
        start: the candidate that runs now.
        train: rows that proposers read.
        runner: runs candidates; counts what proposers run.
        section: the config's search section.
        root: the folder that a user's own proposers are named from.
        seed: the turn's seed.
        strong: a model that can write instructions, or None.
        tell: told (proposer, sentence) where one is skipped or falls short.
        weights: the adapters that may be chosen, each with the prompt it was trained under.
    """

    program: Program
    start: Candidate
    train: Sequence[Example]
    runner: CandidateRunner
    section: SearchSection
    root: Path
    seed: int
    strong: Connection | None
    tell: Callable[[str, str], None]
    weights: Weights = field(default_factory=Weights)
    _counting: CountingRunner = field(init=False)

    def __post_init__(self) -> None:
        self._counting = CountingRunner(self.runner)

    @property
    def rows(self) -> int:
        """Rows that proposers have run."""
        return self._counting.rows

    def catalogue(
        self,
        searched: Sequence[Example],
        baseline: Evaluation,
        *,
        survivors: Sequence[Survivor] = (),
        generation: int = 1,
    ) -> Catalogue:
        """Freezes the choices of one generation.

        Args:
            searched: the search's part of dev, in running order.
            baseline: what runs now did on its first rows.
            survivors: the best of the generation before; their parts are choices again.
            generation: from 1.

        Raises:
            ProgramError: a proposer of the user's own does not load, or failed.
            OutageError, BudgetExceededError, MetricError: from the evaluator.
        """
        evidence = Evidence(
            program=self.program,
            start=self.start,
            train=self.train,
            failures=_failures(searched, baseline),
            evaluator=self._counting,
            max_demos=self.section.max_demos,
            max_demo_chars=self.section.max_demo_chars,
            max_prompt_chars=self.section.max_prompt_chars,
            seed=self.seed + generation - 1,
            bootstrap_rows=self._bootstrap_rows(),
            searched=searched,
            baseline=baseline,
            survivors=survivors,
            generation=generation,
            strong=self.strong,
            tell=self.tell,
        )
        asked = [p for proposer in self._proposers() for p in ask(proposer, evidence)]
        trained = _trained_parts(self.weights, evidence)
        return Catalogue.build([*asked, *trained, *_survivors_parts(evidence)])

    def first(self, catalogue: Catalogue) -> list[Candidate]:
        """Each adapter with the prompt that it was trained under: they enter before all others."""
        prompts = [p for _, p in self.weights.trained() if _fits(p, self.start)]
        return [catalogue.candidate(catalogue.choices(p)) for p in prompts]

    def _proposers(self) -> list[Proposer]:
        asked = self.section.proposers
        if asked is None:
            asked = default_proposers(self.program, self.train, writes=self.strong is not None)
            for name in sorted(WRITERS - set(asked)):
                self.tell(name, "left out: no proposer_model is configured")
        names = ["seed", *(n for n in asked if n != "seed")]
        return [*(find(name, self.root) for name in names), SettingsProposer(self._space())]

    def _space(self) -> dict[str, list[Json]]:
        """The settings that may be chosen; those of what runs now are always among them, since a
        search must be able to stay."""
        space: dict[str, list[Json]] = {
            k: list(v) for k, v in self.section.space.model_dump().items() if v
        }
        space.pop(SETTING, None)  # names, where candidates need ids
        if self.weights.searched:
            space[SETTING] = list(self.weights.searched)
        prompts = [p for _, p in self.weights.trained() if _fits(p, self.start)]
        for candidate in (self.start, *prompts):
            for name, value in candidate.settings.items():
                known = space.setdefault(name, [])
                if value not in known:
                    known.append(value)
        return space

    def _bootstrap_rows(self) -> int:
        return min(MAX_BOOTSTRAP_ROWS, round(BOOTSTRAP_SHARE * self.section.evaluations))


def default_proposers(program: Program, train: Sequence[Example], *, writes: bool) -> list[str]:
    """All that can help here: writers need a model, and rows with labels need no tracing.

    Args:
        writes: whether a strong model is configured.
    """
    left_out = set[str]() if writes else set(WRITERS)
    predictors = program.predictors.values()
    if all(o in e.labels for p in predictors for o in p.outputs for e in train):
        left_out.add("bootstrapped")
    return [name for name in PROPOSERS if name not in left_out]


def _failures(searched: Sequence[Example], baseline: Evaluation) -> list[tuple[Example, Row]]:
    pairs = zip(searched, baseline.rows, strict=False)
    return [(e, r) for e, r in pairs if r.value is not None and r.value < 1.0]


def _fits(prompt: Candidate, start: Candidate) -> bool:
    """Whether a prompt that an adapter brought is one of this program."""
    return set(prompt.states) == set(start.states)


def _trained_parts(weights: Weights, evidence: Evidence) -> list[Proposal]:
    """The prompts that adapters were trained under, as choices; never cut, as weights expect them
    whole."""
    sources = Sources(evidence.train)
    parts: list[Proposal] = []
    for adapter, prompt in weights.trained():
        origin = f"adapter:{adapter.id}"
        if not _fits(prompt, evidence.start):
            evidence.tell(origin, "its prompt left out: it was trained for another program")
            continue
        events = tuple(str(i) for i in adapter.card.get("event_ids") or ())
        for name, state in prompt.states.items():
            text = Proposal(
                predictor=name, origin=origin, instruction=state.instruction, event_ids=events
            )
            parts += [text, sources.proposal(name, origin, state.demos)]
    return parts


def _survivors_parts(evidence: Evidence) -> list[Proposal]:
    """The survivors' own parts as choices, so that the next generation can spell them."""
    sources = Sources(evidence.train)
    parts: list[Proposal] = []
    for candidate in (s.candidate for s in evidence.survivors):
        for name, state in candidate.states.items():
            text = state.instruction
            parts.append(Proposal(predictor=name, origin="survivor", instruction=text))
            parts.append(sources.proposal(name, "survivor", state.demos))
        for setting in candidate.settings.items():
            parts.append(Proposal(predictor="", origin="survivor", setting=setting))
    return parts
