"""Everything that one decision rested on, frozen, so that anybody can derive it again.

What ``decide`` was given becomes one JSON value: the rows of both sides, the plan, the rules, the
look, the seed and what the gate was told. Nothing in it says who the rows are about. Examples and
groups are ordinals, handed out in the order of their names: wherever the gate goes by the order of
names it takes the same order, so every sum is added in the same order and every draw meets the same
group. Inputs, answers and messages are left out, because no number rests on them.

``rederive`` gives the report that ``decide`` gave, to the last digit on the same numpy and kind of
processor; elsewhere numpy may add in another order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice

from upturn.gate.decide import decide
from upturn.gate.designs import Plan, design
from upturn.gate.evidence import Sample
from upturn.gate.report import GateReport, Rival
from upturn.gate.rules import GateRules
from upturn.gate.sequence import Decided
from upturn.gate.thawing import read_as
from upturn.gate.told import Told
from upturn.records import Evaluation, FailureKind, Json, Look, Outcome, Row, canonical_json

#: Format of the frozen value.
FORMAT = 1
#: Columns of numbers and words, one value for each row.
_COLUMNS = (
    *("score", "latency_s", "cost_usd", "input_tokens", "output_tokens", "calls"),
    *("outcome", "failure"),
)


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What ``decide`` is given; see there.

    Attributes:
        look: with the error level of this challenger, where several share the look.
        rivals: what the reports of the others told; the report shows it.
    """

    baseline: Evaluation
    challenger: Evaluation
    rules: GateRules
    look: Look
    seed: int
    told: Told
    sample: Sample
    rivals: tuple[Rival, ...] = ()

    def decide(self) -> GateReport:
        """Returns the report that the inputs lead to."""
        report = decide(
            self.baseline,
            self.challenger,
            rules=self.rules,
            look=self.look,
            seed=self.seed,
            told=self.told,
            sample=self.sample,
        )
        return replace(report, rivals=self.rivals)


def inputs_of(decided: Decided, *, rules: GateRules, look: Look, seed: int, told: Told) -> Inputs:
    """Returns what a decision was given; the look is the one that was recorded."""
    return Inputs(
        baseline=decided.baseline,
        challenger=decided.challenger,
        rules=rules,
        look=replace(look, alpha=decided.report.alpha),
        seed=seed,
        told=told,
        sample=decided.sample,
        rivals=decided.report.rivals,
    )


def freeze(inputs: Inputs) -> Json:
    """Returns the inputs of a decision as JSON without a name, a text or an answer."""
    sides = (inputs.baseline, inputs.challenger)
    rows = [row for side in sides for row in side.rows]
    weights = inputs.sample.weights
    examples = _ordinals([*(r.example_id for r in rows), *(weights or ())])
    groups = _ordinals([*(r.group for r in rows), *inputs.sample.plan.order])
    plan = inputs.sample.plan
    return {
        "format": FORMAT,
        "rules": asdict(inputs.rules),
        "look": asdict(inputs.look),
        "seed": inputs.seed,
        "told": asdict(inputs.told),
        "rivals": [asdict(r) for r in inputs.rivals],
        "plan": {
            "order": [groups[name] for name in plan.order],
            "sizes": list(plan.sizes),
            "cuts": list(plan.cuts),
            "stages_run": inputs.sample.stages_run,
        },
        "weights": None if weights is None else [[examples[k], w] for k, w in weights.items()],
        "baseline": _frozen_side(inputs.baseline, examples, groups),
        "challenger": _frozen_side(inputs.challenger, examples, groups),
    }


def thaw(frozen: Mapping[str, Json]) -> Inputs:
    """Returns the inputs that ``freeze`` was given, with ordinals for names.

    Raises:
        ValueError, KeyError, TypeError: the value is not what ``freeze`` writes.
        ConfigError: a rule or a design is none that this version knows.
    """
    if frozen["format"] != FORMAT:
        raise ValueError(f"frozen evidence must have format {FORMAT}, got {frozen['format']!r}")
    plan, weights, rules = frozen["plan"], frozen["weights"], dict(frozen["rules"])
    settings = dict(rules.pop("design"))
    named = design(settings.pop("name"), settings)
    return Inputs(
        baseline=_thawed_side(frozen["baseline"]),
        challenger=_thawed_side(frozen["challenger"]),
        rules=read_as(GateRules, {**rules, "design": named}),
        look=read_as(Look, frozen["look"]),
        seed=frozen["seed"],
        told=read_as(Told, frozen["told"]),
        sample=Sample(
            plan=Plan(
                order=tuple(_name(g) for g in plan["order"]),
                sizes=tuple(plan["sizes"]),
                cuts=tuple(plan["cuts"]),
            ),
            stages_run=plan["stages_run"],
            weights=None if weights is None else {_name(k): w for k, w in weights},
        ),
        rivals=read_as(tuple[Rival, ...], frozen["rivals"]),
    )


def rederive(frozen: Mapping[str, Json]) -> GateReport:
    """Returns the report that the frozen inputs lead to.

    Raises:
        ValueError, KeyError, TypeError, UpturnError: the value is not what ``freeze`` writes.
    """
    return thaw(frozen).decide()


def _ordinals(names: Iterable[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(sorted(set(names)))}


def _name(ordinal: int) -> str:
    """A name whose order among others is that of the numbers."""
    return f"{ordinal:012d}"


def _frozen_side(
    side: Evaluation, examples: Mapping[str, int], groups: Mapping[str, int]
) -> dict[str, Json]:
    """One side's rows, and where rows were run several times all runs, row after row."""
    runs = [run for row in side.rows for run in row.runs]
    return {
        "candidate": side.candidate_id,
        "rows": _table(side.rows, examples, groups),
        "runs": _table(runs, examples, groups) if runs else None,
        "runs_of_row": [len(row.runs) for row in side.rows] if runs else None,
    }


def _table(
    rows: Sequence[Row], examples: Mapping[str, int], groups: Mapping[str, int]
) -> dict[str, Json]:
    """A list for each column; slices by the number of their combination."""
    texts = [canonical_json(dict(row.slices)) for row in rows]
    kinds = {text: place for place, text in enumerate(sorted(set(texts)))}
    by_text = dict(zip(texts, rows, strict=True))
    return {
        "example": [examples[row.example_id] for row in rows],
        "group": [groups[row.group] for row in rows],
        **{name: [getattr(row, name) for row in rows] for name in _COLUMNS},
        "parts": [dict(row.parts) for row in rows] if any(row.parts for row in rows) else None,
        "slices": [dict(by_text[text].slices) for text in kinds],
        "slice": [kinds[text] for text in texts],
    }


def _thawed_side(value: Mapping[str, Json]) -> Evaluation:
    rows = _thawed_rows(value["rows"])
    if value["runs"] is not None:
        runs = iter(_thawed_rows(value["runs"]))
        counts = zip(rows, value["runs_of_row"], strict=True)
        rows = [replace(row, runs=tuple(islice(runs, count))) for row, count in counts]
    return Evaluation(candidate_id=value["candidate"], rows=tuple(rows))


def _thawed_rows(value: Mapping[str, Json]) -> list[Row]:
    made: Sequence[tuple[str, Callable[[Json], Json]]] = (
        ("outcome", Outcome),
        ("failure", lambda kind: None if kind is None else FailureKind(kind)),
    )
    columns = {name: value[name] for name in _COLUMNS}
    columns |= {name: [read(v) for v in columns[name]] for name, read in made}
    columns["example_id"] = [_name(k) for k in value["example"]]
    columns["group"] = [_name(k) for k in value["group"]]
    columns["slices"] = [value["slices"][k] for k in value["slice"]]
    if value["parts"] is not None:
        columns["parts"] = value["parts"]
    cells = zip(*columns.values(), strict=True)
    return [Row(**dict(zip(columns, row, strict=True))) for row in cells]
