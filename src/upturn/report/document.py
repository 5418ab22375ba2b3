"""A report as data: what its page, its Markdown and its JSON are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from upturn.gate.report import GateReport
from upturn.records import Candidate, Evaluation, Example, Json
from upturn.report.forest import Limits, slice_limits
from upturn.report.masking import mask, masked_candidate, masked_row
from upturn.report.quote import Range, Spent
from upturn.report.rows import RowChange, Tally, row_changes, tally
from upturn.report.search import SearchReport
from upturn.report.turn import TurnCost, TurnReport


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What it takes to ask the same question again.

    Attributes:
        facts: name -> value: versions, seeds, hashes.
        config: the resolved config as YAML.
        commands: to type, in order.
        data_card: where the snapshot's card is, relative to the report; "" where there is none.
    """

    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    config: str = ""
    commands: tuple[str, ...] = ()
    data_card: str = ""


@dataclass(frozen=True, kw_only=True)
class Document:
    """One turn's report, without personal items.

    Attributes:
        turn: the turn. Prompts are masked, so ids of candidates are the gate's, not theirs.
        search: its trials.
        tally: the paired table; None where nothing was judged.
        fixed, broken: the rows with the largest changes.
        slice_limits: slice -> the ends of its effect's interval, where it has one.
        origin: how to ask the same again.
    """

    turn: TurnReport
    search: SearchReport = field(default_factory=SearchReport)
    tally: Tally | None = None
    fixed: tuple[RowChange, ...] = ()
    broken: tuple[RowChange, ...] = ()
    slice_limits: Limits = field(default_factory=dict[str, tuple[float, float]])
    origin: Origin = field(default_factory=Origin)

    def to_json(self) -> dict[str, Json]:
        """Returns the report as JSON; texts in it are as they are on the page."""
        return {
            "turn": _turn_json(self.turn),
            "search": self.search.to_json(),
            "tally": asdict(self.tally) if self.tally else None,
            "fixed": [asdict(r) for r in self.fixed],
            "broken": [asdict(r) for r in self.broken],
            "slice_limits": {k: list(v) for k, v in self.slice_limits.items()},
            "origin": asdict(self.origin),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Document:
        """Reads what ``to_json`` wrote."""
        origin = value["origin"]
        made: dict[str, Any] = {**origin, "commands": tuple(origin["commands"])}
        return cls(
            turn=_turn(value["turn"]),
            search=SearchReport.from_json(value["search"]),
            tally=Tally(**value["tally"]) if value["tally"] else None,
            fixed=tuple(RowChange(**r) for r in value["fixed"]),
            broken=tuple(RowChange(**r) for r in value["broken"]),
            slice_limits={k: (v[0], v[1]) for k, v in value["slice_limits"].items()},
            origin=Origin(**made),
        )


def document(
    turn: TurnReport,
    *,
    champion: Evaluation | None = None,
    challenger: Evaluation | None = None,
    examples: Sequence[Example] = (),
    search: SearchReport | None = None,
    origin: Origin | None = None,
) -> Document:
    """Returns a turn's report, with what is personal masked.

    Args:
        turn: the turn.
        champion, challenger: their rows on the holdout, both or none. Nothing is shown of them
            where the gate withholds its scores.
        examples: the holdout's examples, whose texts are shown beside the answers.
        search: its trials; left out where there is none.
        origin: how to ask the same again.
    """
    gate = turn.gate
    told = champion and challenger and gate and not gate.withheld
    sides = (champion, challenger) if told and champion and challenger else None
    limits = slice_limits(*sides, confidence=gate.confidence) if sides and gate else {}
    fixed, broken = row_changes(*sides, examples) if sides else ([], [])
    return Document(
        turn=_masked(turn),
        search=search or SearchReport(),
        tally=tally(*sides) if sides else None,
        fixed=tuple(map(masked_row, fixed)),
        broken=tuple(map(masked_row, broken)),
        slice_limits={mask(name): ends for name, ends in limits.items()},
        origin=origin or Origin(),
    )


def _masked(turn: TurnReport) -> TurnReport:
    """A slice may be named by a customer, and a server's message may hold what somebody wrote."""
    rival = masked_candidate(turn.challenger) if turn.challenger else None
    return replace(
        turn,
        gate=_masked_gate(turn.gate) if turn.gate else None,
        champion=masked_candidate(turn.champion),
        challenger=rival,
        stopped=mask(turn.stopped),
    )


def _masked_gate(gate: GateReport) -> GateReport:
    return replace(
        gate,
        reasons=tuple(map(mask, gate.reasons)),
        notices=tuple(map(mask, gate.notices)),
        guards=tuple(replace(g, name=mask(g.name), note=mask(g.note)) for g in gate.guards),
        slices=tuple(replace(s, name=mask(s.name)) for s in gate.slices),
    )


def _turn_json(turn: TurnReport) -> dict[str, Json]:
    plain = {f.name: getattr(turn, f.name) for f in fields(turn)}
    return {
        **plain,
        "gate": turn.gate.to_json() if turn.gate else None,
        "champion": turn.champion.to_json(),
        "challenger": turn.challenger.to_json() if turn.challenger else None,
        "cost": asdict(turn.cost),
        "next_steps": list(turn.next_steps),
        "spent": [asdict(s) for s in turn.spent],
        "weights": list(turn.weights),
    }


def _turn(value: Mapping[str, Json]) -> TurnReport:
    challenger = value["challenger"]
    made: dict[str, Json] = {
        **value,
        "gate": GateReport.from_json(value["gate"]) if value["gate"] else None,
        "champion": Candidate.from_json(value["champion"]),
        "challenger": Candidate.from_json(challenger) if challenger else None,
        "cost": TurnCost(**value["cost"]),
        "next_steps": tuple(value["next_steps"]),
        "spent": tuple(_spent(s) for s in value["spent"]),
        "weights": tuple(value["weights"]),
    }
    return TurnReport(**made)


def _spent(value: Mapping[str, Json]) -> Spent:
    return Spent(name=value["name"], quoted=Range(**value["quoted"]), actual=value["actual"])
