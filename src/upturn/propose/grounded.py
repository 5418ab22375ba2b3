"""Instructions by DSPy's grounded proposer: from the program's source, its data and a tip."""

from __future__ import annotations

import copy
import io
import logging
import random
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any

from upturn.propose.base import Evidence, Proposal, events_of, labelled_demo
from upturn.propose.strong_quoting import plain, texts_in
from upturn.propose.writing import Failed, accepted, ask_all, roomy
from upturn.records import Candidate, Example

#: One instruction a predictor for each; ``dspy.propose.grounded_proposer.TIPS`` has the texts.
TIPS = ("none", "simple", "description", "creative", "persona")


@dataclass(frozen=True)
class GroundedProposer:
    """Runs ``dspy.propose.GroundedProposer`` on the strong model, one instruction a tip.

    It reads the program's source, a summary of some train rows that it writes itself (at most
    three calls for twenty rows), and three labelled rows. The instruction that it starts from is
    the best survivor's, or the one that runs now. It answers at temperature 1, so that tips differ;
    an answer that was paid for is the answer for ever.
    """

    name: str = "grounded"
    tips: tuple[str, ...] = TIPS
    rows: int = 20
    demos: int = 3

    def propose(self, evidence: Evidence) -> Iterable[Proposal]:
        if evidence.strong is None:
            evidence.tell(self.name, "no proposer_model is configured")
            return
        base = evidence.survivors[0].candidate if evidence.survivors else evidence.start
        picks = evidence.rng(self.name).permutation(len(evidence.train))[: self.rows]
        shown = [evidence.train[i] for i in picks]
        quoted = [text for e in shown for text in texts_in([e.inputs, e.labels])]
        places = [(p, tip) for p in evidence.program.predictors for tip in self.tips]
        for (predictor, tip), answer in zip(places, self._ask(evidence, base, shown), strict=True):
            instruction = accepted(
                evidence,
                answer,
                asked=(self.name, f"{predictor}, tip {tip}"),
                current=base.states[predictor].instruction,
                quoted=quoted,
            )
            if instruction is not None:
                yield Proposal(
                    predictor=predictor,
                    origin=f"{self.name}:{tip}",
                    instruction=instruction,
                    example_ids=tuple(e.id for e in shown),
                    event_ids=events_of(shown),
                )

    def _ask(
        self, evidence: Evidence, base: Candidate, shown: Sequence[Example]
    ) -> Sequence[str | Failed]:
        """Asks for all tips of all predictors, in the order of both."""
        strong = evidence.strong
        assert strong is not None
        module = evidence.program.build(base)
        demos = self._demos(evidence, base, shown)

        def reader() -> Any:
            from dspy.propose import GroundedProposer as Grounded

            return Grounded(
                prompt_model=roomy(strong),
                program=module,
                trainset=[_example(e) for e in shown],
                use_instruct_history=False,
                set_tip_randomly=False,
                set_history_randomly=False,
                num_demos_in_context=self.demos,
                rng=random.Random(evidence.seed),
            )

        with _quiet():
            (made,) = ask_all(strong, [reader])
            if isinstance(made, Failed):
                return [made] * (len(demos) * len(self.tips))
            if not made.use_dataset_summary:
                evidence.tell(self.name, "went on without a summary of the data: its calls failed")
            asks = [
                _asking(made, module, number, tip, demos)
                for number in range(len(demos))
                for tip in self.tips
            ]
            return ask_all(strong, asks)

    def _demos(self, evidence: Evidence, base: Candidate, shown: Sequence[Example]) -> list[Any]:
        """Returns, for each predictor, an empty set and one of rows: DSPy skips the first."""
        sets: list[Any] = []
        for predictor, fields in evidence.program.predictors.items():
            made = [d for e in shown if (d := labelled_demo(fields, e)) is not None]
            rows = made[: self.demos] or list(base.states[predictor].demos[: self.demos])
            sets.append([[], [{**plain(row), "augmented": True} for row in rows]])
        return sets


def _example(row: Example) -> Any:
    import dspy

    return dspy.Example(**plain(row.inputs), **plain(row.labels)).with_inputs(*row.inputs)


def _asking(
    made: Any, module: Any, number: int, tip: str, demos: Sequence[Any]
) -> Callable[[], str]:
    from dspy.propose.grounded_proposer import TIPS as TEXTS

    # The tip is part of the proposer's state, and several tips are asked for at once.
    own = copy.copy(made)
    own.use_tip = bool(TEXTS[tip])

    def ask() -> str:
        return own.propose_instruction_for_predictor(
            program=module,
            predictor=None,
            pred_i=number,
            demo_candidates=demos,
            demo_set_i=1,
            trial_logs={},
            tip=TEXTS[tip],
        )

    return ask


@contextmanager
def _quiet() -> Generator[None]:
    """DSPy prints the program's source, and warns of fields that it passes and does not read."""
    logger = logging.getLogger("dspy.predict.predict")
    logger.addFilter(_nothing)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.removeFilter(_nothing)


def _nothing(record: logging.LogRecord) -> bool:
    return False


PROPOSER = GroundedProposer
