"""The gate's part of a turn: open the holdout once, run both, decide."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from upturn.config.sections import GateSection
from upturn.datasets import Snapshot
from upturn.evaluate import CandidateRunner
from upturn.gate import (
    GateReport,
    GateRules,
    Guards,
    Holdout,
    Told,
    decide_in_stages,
    design,
    look_alpha,
)
from upturn.gate.reading import open_holdout
from upturn.ledger import Ledger
from upturn.records import Candidate, Evaluation, Example, Json


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A decision with the rows that it rests on: those of the stages that were run."""

    report: GateReport
    examples: tuple[Example, ...]
    baseline: Evaluation
    challenger: Evaluation


def gate_rules(section: GateSection) -> GateRules:
    """The gate's rules as a config states them."""
    values: dict[str, Json] = section.model_dump()
    guards = values["guards"]
    # Which other tasks, and how far they may fall, comes with their rows.
    del guards["forgetting"]
    values["guards"] = Guards(**guards)
    values["design"] = design(values["design"], values.pop("design_settings"))
    return GateRules(**values)


def judge(
    champion: Candidate,
    challenger: Candidate,
    *,
    snapshot: Snapshot,
    evaluator: CandidateRunner,
    rules: GateRules,
    ledger: Ledger,
    turn: str,
    program: str,
    seed: int,
    told: Told,
    on_open: Callable[[int], None] = lambda n: None,
) -> Judgement:
    """Records a look, opens the holdout, runs champion and challenger on it, and decides.

    A design with stages runs both on one stage after the other and stops when it may; the look, and
    its error level, is one for all of them. A resumed turn gets the look that it recorded before,
    and the same answers stage by stage, so a kill costs no second look and changes no verdict.

    Args:
        champion: the running candidate, run again now.
        challenger: the best finalist.
        snapshot: holds the seal.
        evaluator: runs both on the same rows; failures become rows, not exceptions.
        rules: what a promotion takes.
        ledger: records the look first.
        turn: id of the turn that looks.
        program: the config's name.
        seed: for the gate's random subsets.
        told: as for ``gate.decide``; known before the holdout is opened.
        on_open: told how many rows the holdout has.

    Raises:
        CorruptionError: the holdout does not match its seal.
    """
    look = ledger.open_look(
        snapshot.holdout.sha256,
        turn=turn,
        program=program,
        alpha=lambda number, spent: look_alpha(rules.alpha, number, spent=spent),
    )
    examples = open_holdout(snapshot, look, recorded=ledger.is_recorded)
    on_open(len(examples))

    def run(groups: frozenset[str]) -> tuple[Evaluation, Evaluation]:
        rows = [e for e in examples if e.group in groups]
        before = evaluator.evaluate(champion, rows, tolerant=True)
        return before, evaluator.evaluate(challenger, rows, tolerant=True)

    holdout = Holdout(sizes=Counter(e.group for e in examples))
    decided = decide_in_stages(run, holdout, rules=rules, look=look, seed=seed, told=told)
    by_id = {e.id: e for e in examples}
    return Judgement(
        report=decided.report,
        examples=tuple(by_id[r.example_id] for r in decided.baseline.rows),
        baseline=decided.baseline,
        challenger=decided.challenger,
    )
