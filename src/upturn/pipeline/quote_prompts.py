"""The dry pass of a quote: real prompts are formatted and counted, and nothing is called."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from upturn.config import Config
from upturn.config.search import SpaceSection
from upturn.errors import UpturnError
from upturn.lm.counting import TokenCounter
from upturn.pipeline.proposing import default_proposers
from upturn.programs import Program
from upturn.propose import Evidence, Proposal, Proposer, ask, find
from upturn.propose.labelled import LabelledProposer
from upturn.records import Candidate, Example, Json, PromptState, canonical_json
from upturn.report.quote import Range

#: Train rows that prompts are made from, and rows that each prompt is counted on.
TRAIN_ROWS, SAMPLE_ROWS = 400, 24
#: What stands in for a field that no row knows, since another predictor will write it.
_FILLER = "word "


@dataclass(frozen=True, kw_only=True)
class RowTokens:
    """Tokens that one row of one candidate reads and writes, over all predictors."""

    reads: Range
    writes: Range


@dataclass(frozen=True, kw_only=True)
class DryPass:
    """What the prompts of a turn look like.

    Attributes:
        start: a row of what runs now.
        searched: a row of the candidates, from the shortest to the longest prompt.
        candidates: combinations of the choices that were proposed.
        runners: proposers that run the program themselves.
        skipped: proposers that said that something is missing, such as a strong model.
        prompts: the shortest and the longest candidate, for probes.
    """

    start: RowTokens
    searched: RowTokens
    candidates: int
    runners: tuple[str, ...]
    skipped: tuple[str, ...]
    prompts: tuple[Candidate, Candidate]


class _RunsTheProgramError(UpturnError):
    """A proposer asked for a model."""


class _NoModel:
    """Stands for the evaluator: whoever asks it is a proposer that runs the program."""

    def evaluate(self, *_: Any, **__: Any) -> NoReturn:
        raise _RunsTheProgramError("a dry pass runs nothing")

    evaluate_all = trace = evaluate


def dry_pass(
    config: Config,
    program: Program,
    train: Sequence[Example],
    *,
    start: Candidate,
    counter: TokenCounter,
    root: Path,
) -> DryPass:
    """Asks the proposers that need no model, and counts the prompts that they make."""
    rng = np.random.default_rng([config.seed, *b"quote"])
    rows = [train[i] for i in rng.permutation(len(train))[:TRAIN_ROWS]]
    told: list[str] = []
    evidence = Evidence(
        program=program,
        start=start,
        train=rows,
        failures=(),
        evaluator=_NoModel(),
        max_demos=config.search.max_demos,
        max_demo_chars=config.search.max_demo_chars,
        max_prompt_chars=config.search.max_prompt_chars,
        seed=config.seed,
        tell=lambda proposer, sentence: told.append(proposer),
    )
    asked = config.search.proposers
    if asked is None:
        asked = default_proposers(program, train, writes=config.proposer_model is not None)
    names = dict.fromkeys(("seed", *asked))
    found, runners = _asked([find(name, root) for name in names], evidence)
    proposals = [p for own in found.values() for p in own]
    if runners and evidence.max_demos and not any(p.demos for p in proposals):
        # Demos that are made by running the program are made of the same rows.
        proposals += ask(LabelledProposer(), evidence)
    short, long = (_spelled(start, proposals, pick) for pick in (min, max))
    if config.search.space.n_demos:
        short = _cut(short, min(config.search.space.n_demos))
    count = _Counting(program, rows[:SAMPLE_ROWS], counter, config.model.max_tokens)
    first, last = count.row(short), count.row(long)
    middle = (first.reads.expected + last.reads.expected) / 2
    return DryPass(
        start=count.row(start),
        searched=RowTokens(
            reads=Range(low=first.reads.low, expected=middle, high=last.reads.high),
            writes=first.writes,
        ),
        candidates=_combinations(proposals, config.search.space),
        runners=tuple(runners),
        skipped=tuple(n for n in dict.fromkeys(told) if not found.get(n)),
        prompts=(short, long),
    )


def _asked(
    proposers: Sequence[Proposer], evidence: Evidence
) -> tuple[dict[str, list[Proposal]], list[str]]:
    """Returns what each proposer offers, and the names of those that run the program first."""
    found: dict[str, list[Proposal]] = {}
    runners: list[str] = []
    for proposer in proposers:
        try:
            found[proposer.name] = ask(proposer, evidence)
        except _RunsTheProgramError:
            runners.append(proposer.name)
    return found, runners


def _spelled(start: Candidate, proposals: Sequence[Proposal], pick: Any) -> Candidate:
    """The candidate of each predictor's shortest (or longest) instruction and demos."""
    states: dict[str, PromptState] = {}
    for name, state in start.states.items():
        own = [p for p in proposals if p.predictor == name]
        texts = [p.instruction for p in own if p.instruction is not None]
        sets = [p.demos for p in own if p.demos]
        states[name] = PromptState(
            instruction=pick(texts or [state.instruction], key=len),
            demos=pick(sets or [state.demos], key=_chars),
        )
    return replace(start, states=states)


def _chars(demos: Sequence[Mapping[str, Json]]) -> int:
    return sum(len(str(d)) for d in demos)


def _cut(candidate: Candidate, n_demos: int) -> Candidate:
    states = {k: replace(s, demos=s.demos[:n_demos]) for k, s in candidate.states.items()}
    return replace(candidate, states=states)


def _combinations(proposals: Sequence[Proposal], space: SpaceSection) -> int:
    options: dict[tuple[str, str], set[str]] = {}
    for p in proposals:
        content = p.instruction if p.demos is None else canonical_json([*map(dict, p.demos)])
        options.setdefault((p.predictor, p.kind), set()).add(str(content))
    # Beside the values that a setting may take stands the config's own.
    settings = [1 + len(values) for values in space.model_dump().values()]
    return math.prod([*map(len, options.values()), *settings])


class _Counting:
    """Counts the prompts of a candidate on some rows."""

    def __init__(
        self, program: Program, rows: Sequence[Example], counter: TokenCounter, max_tokens: int
    ) -> None:
        import dspy

        self._program, self._rows = program, rows
        self._counter, self._max_tokens = counter, max_tokens
        self._adapter: Any = dspy.ChatAdapter(use_json_adapter_fallback=False)

    def row(self, candidate: Candidate) -> RowTokens:
        """Returns what a row reads and writes, summed over the predictors."""
        predictors: Sequence[tuple[str, Any]] = self._program.build(candidate).named_predictors()
        reads = [self._reads(p) for _, p in predictors]
        writes = [self._writes(p.signature) for _, p in predictors]
        zero = Range.of(0.0)
        return RowTokens(reads=sum(reads, zero), writes=sum(writes, zero))

    def _reads(self, predictor: Any) -> Range:
        """Low and high differ where an input is another predictor's output."""
        inner = not set(predictor.signature.input_fields) <= set(self._rows[0].inputs)
        fillers = (0, self._max_tokens // 2, self._max_tokens) if inner else (0,)
        means = [self._mean_prompt(predictor, _FILLER * n) for n in fillers]
        low, expected, high = means if inner else means * 3
        margin = self._counter.margin
        return Range(low=low * (1 - margin), expected=expected, high=high * (1 + margin))

    def _mean_prompt(self, predictor: Any, filler: str) -> float:
        names = predictor.signature.input_fields
        counts = [
            self._counter.prompt(
                self._adapter.format(
                    predictor.signature,
                    predictor.demos,
                    {n: row.inputs.get(n, filler) for n in names},
                )
            )
            for row in self._rows
        ]
        return float(np.mean(counts))

    def _writes(self, signature: Any) -> Range:
        """From the labels, written as the prompt format asks, to the most that may be written."""
        texts = [
            self._adapter.format_assistant_message_content(
                signature, {n: row.labels.get(n, "") for n in signature.output_fields}
            )
            for row in self._rows
        ]
        low = float(np.mean([self._counter.text(t) for t in texts])) * (1 - self._counter.margin)
        high = float(max(self._max_tokens, low))
        known = all(n in row.labels for row in self._rows for n in signature.output_fields)
        expected = low / (1 - self._counter.margin) if known else (low + high) / 2
        return Range(low=low, expected=min(expected, high), high=high)
