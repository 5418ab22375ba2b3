"""What canaries leave behind: their answers for the next turn, and what this one must know."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from upturn.lm import Totals
from upturn.pipeline.canary.asking import Spoken
from upturn.pipeline.canary.epochs import Epoch
from upturn.pipeline.result import TurnResult
from upturn.pipeline.workspace import read_json, write_json
from upturn.records import Json


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What is known of the models behind their names when a turn starts.

    Attributes:
        model_id: goes into the turn's id: the model's, and the epochs where there were changes.
        notices: what a reader must know before the verdict.
        totals: what the canaries took.
    """

    model_id: str = ""
    notices: tuple[str, ...] = ()
    totals: Totals = field(default_factory=Totals)

    def charged(self, result: TurnResult) -> TurnResult:
        """Returns the result with what the canaries took."""
        took = self.totals
        return replace(
            result,
            calls=result.calls + took.calls,
            usd=result.usd + took.usd,
            input_tokens=result.input_tokens + took.input_tokens,
            output_tokens=result.output_tokens + took.output_tokens,
        )

    def charge(self, folder: Path) -> tuple[int, float]:
        """Writes down what all attempts at a turn spent on canaries, and returns it.

        Args:
            folder: the turn's.
        """
        path = folder / "canaries.json"
        before: Json = read_json(path) if path.exists() else {"calls": 0, "usd": 0.0}
        calls, usd = before["calls"] + self.totals.calls, before["usd"] + self.totals.usd
        if self.totals.calls:
            write_json(path, {"calls": calls, "usd": usd})
        return calls, usd


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What the canaries of a program said so far: of one champion on one epoch of one model."""

    of: str
    epoch: list[str | int]
    rows: dict[str, tuple[Spoken, ...]]
    models: frozenset[str]

    @classmethod
    def read(cls, path: Path, of: str, epoch: Epoch) -> Kept:
        value: dict[str, Json] = read_json(path) if path.exists() else {}
        now = [epoch.model_id, epoch.number]
        rows = value["rows"] if value.get("of") == of else {}
        return cls(
            of=of,
            epoch=now,
            rows={n: tuple(Spoken(**s) for s in spoken) for n, spoken in rows.items()},
            # Which champion asks says nothing of what the server calls its model.
            models=frozenset(value["models"] if value.get("epoch") == now else ()),
        )

    def write(self, path: Path) -> None:
        rows = {n: [asdict(s) for s in spoken] for n, spoken in self.rows.items()}
        kept = {"of": self.of, "epoch": self.epoch, "rows": rows, "models": sorted(self.models)}
        write_json(path, kept)
