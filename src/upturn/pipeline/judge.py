"""The gate's part of a turn: open the holdout once, run both, decide."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from upturn.config.sections import GateSection
from upturn.datasets import Snapshot, Split
from upturn.datasets.history import hashes_in
from upturn.evaluate import CandidateRunner
from upturn.gate import (
    GateReport,
    GateRules,
    Guards,
    Holdout,
    Remaining,
    Told,
    design,
    look_alpha,
    remaining,
    sketch_rows,
)
from upturn.gate.automatic import AutomaticSlices
from upturn.gate.challengers import decide_among, preferred
from upturn.gate.frozen import Inputs, inputs_of
from upturn.gate.ladder import best_released, released
from upturn.gate.reading import open_holdout
from upturn.gate.sequence import Decided
from upturn.ledger import EntryKind, Ledger
from upturn.pipeline.sides import Sides
from upturn.records import Candidate, Evaluation, Example, Json, Look


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A decision with the rows that it rests on: those of the stages that were run.

    Attributes:
        report: the decision on the challenger that counts, exact.
        released: the same as people and the tracker get it; see ``gate.ladder``.
        chosen: which of the challengers counts.
        examples, baseline, challenger: the rows, and what both sides made of them.
        inputs: all that ``gate.decide`` was given for each challenger, to derive it again.
        others: the rows of the other challengers.
    """

    report: GateReport
    released: GateReport
    chosen: int
    examples: tuple[Example, ...]
    baseline: Evaluation
    challenger: Evaluation
    inputs: tuple[Inputs, ...]
    others: tuple[Evaluation, ...] = ()

    @property
    def sides(self) -> tuple[Evaluation, ...]:
        """All that ran."""
        return (self.baseline, self.challenger, *self.others)


def gate_rules(section: GateSection) -> GateRules:
    """The gate's rules as a config states them."""
    values: dict[str, Json] = section.model_dump()
    guards = values["guards"]
    # Which other tasks, and how far they may fall, comes with their rows.
    del guards["forgetting"]
    # What a judge must show is asked before the turn starts.
    del values["judge"]
    # Suites are run before the holdout is opened, and come as guards.
    del values["suites"]
    for how_it_runs in ("challengers", "replicates", "scores"):
        del values[how_it_runs]
    values["guards"] = Guards(**guards)
    values["design"] = design(values["design"], values.pop("design_settings"))
    return GateRules(**values)


@dataclass(frozen=True, kw_only=True)
class Running:
    """How the rows of a look are run, and what of it is told.

    Attributes:
        replicates: runs of each row on each side.
        exact: tell exact scores of every look, not those of the ladder.
    """

    replicates: int = 1
    exact: bool = False


ONCE = Running()


def judge(
    champion: Candidate,
    challengers: Sequence[Candidate],
    *,
    snapshot: Snapshot,
    evaluator: CandidateRunner,
    rules: GateRules,
    ledger: Ledger,
    turn: str,
    program: str,
    seed: int,
    told: Sequence[Told],
    running: Running = ONCE,
    on_open: Callable[[int], None] = lambda n: None,
) -> Judgement:
    """Records a look, opens the holdout, runs champion and challengers on it, and decides.

    A design with stages runs both on one stage after the other and stops when it may; the look, and
    its error level, is one for all of them, and one for all challengers. A resumed turn gets the
    look that it recorded before, and the same answers stage by stage, so a kill costs no second
    look and changes no verdict.

    Args:
        champion: the running candidate, run again now.
        challengers: the best finalists, at least one.
        snapshot: holds the seal.
        evaluator: runs all on the same rows; failures become rows, not exceptions.
        rules: what a promotion takes.
        ledger: records the look first.
        turn: id of the turn that looks.
        program: the config's name.
        seed: for the gate's random subsets.
        told: for each challenger as for ``gate.decide``; known before the holdout is opened.
        running: how often each row is run, and what is told.
        on_open: told how many rows the holdout has.

    Raises:
        CorruptionError: the holdout does not match its seal.
    """
    look = open_look(ledger, snapshot, rules, turn=turn, program=program)
    examples = _opened(ledger, snapshot, rules, look)
    on_open(len(examples))
    sides = Sides(
        evaluator=evaluator, champion=champion, examples=examples, replicates=running.replicates
    )
    found = decide_among(
        [sides.against(c) for c in challengers],
        Holdout(sizes=Counter(e.group for e in examples)),
        rules=rules,
        look=look,
        seed=seed,
        told=told,
    )
    inputs = tuple(
        inputs_of(f, rules=rules, look=look, seed=seed, told=t)
        for f, t in zip(found, told, strict=True)
    )
    best = None if running.exact else best_released(_earlier(ledger, look), champion.id)
    return _judgement(found, inputs, examples, best)


def open_look(
    ledger: Ledger, snapshot: Snapshot, rules: GateRules, *, turn: str, program: str
) -> Look:
    """Records a look at a snapshot's holdout; what its rows have been through is charged to it."""
    return ledger.open_look(
        snapshot.holdout.sha256,
        turn=turn,
        program=program,
        alpha=lambda number, spent: look_alpha(rules.alpha, number, spent=spent),
        sketch=_sketch(snapshot),
    )


def looks_left(ledger: Ledger, snapshot: Snapshot, *, alpha: float, turn: str) -> Remaining | None:
    """Returns what is left at a snapshot's holdout, or None where the turn has its look already."""
    holdout = snapshot.holdout
    if any(look.turn == turn for look in ledger.looks(holdout.sha256)):
        return None
    seen = ledger.exposure(holdout.sha256, _sketch(snapshot))
    return remaining(alpha, looks=seen.looks, spent=seen.spent, rows=holdout.rows)


def _sketch(snapshot: Snapshot) -> tuple[str, ...]:
    return sketch_rows(hashes_in(snapshot.manifest, Split.HOLDOUT, "rows"))


def _opened(
    ledger: Ledger, snapshot: Snapshot, rules: GateRules, look: Look
) -> tuple[Example, ...]:
    examples = open_holdout(snapshot, look, recorded=ledger.is_recorded)
    if not rules.guards.automatic_slices:
        return examples
    # Cut from train, before any row is run: neither the holdout nor an answer shapes them.
    return AutomaticSlices.of(snapshot.train).apply(examples)


def _judgement(
    found: Sequence[Decided],
    inputs: tuple[Inputs, ...],
    examples: Sequence[Example],
    best: float | None,
) -> Judgement:
    """The judgement of the challenger that counts; ``best`` is the ladder's, None for no ladder."""
    chosen = preferred([f.report for f in found])
    decided, by_id = found[chosen], {e.id: e for e in examples}
    return Judgement(
        report=decided.report,
        released=decided.report if best is None else released(decided.report, best),
        chosen=chosen,
        examples=tuple(by_id[r.example_id] for r in decided.baseline.rows),
        baseline=decided.baseline,
        challenger=decided.challenger,
        inputs=inputs,
        others=tuple(f.challenger for i, f in enumerate(found) if i != chosen),
    )


def _earlier(ledger: Ledger, look: Look) -> list[GateReport]:
    """Exact reports of the earlier looks at the same holdout, in order."""
    number = {past.turn: past.number for past in ledger.looks(look.holdout)}
    found = [
        GateReport.from_json(e.data["report"])
        for e in ledger.entries()
        if e.kind is EntryKind.DECISION
        and number.get(e.data["turn"], look.number) < look.number
        and "verdict" in e.data["report"]
    ]
    return sorted((r for r in found if r.holdout == look.holdout), key=lambda r: r.look)
