"""What a turn will cost, said before it costs anything, and what it did cost beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields

from upturn.records import Json
from upturn.report import format


@dataclass(frozen=True, kw_only=True)
class Range:
    """A number that is not known yet: the least, the likely and the most."""

    low: float
    expected: float
    high: float

    @classmethod
    def of(cls, value: float, margin: float = 0.0) -> Range:
        """A value that may be off by a share of itself."""
        return cls(low=value * (1 - margin), expected=value, high=value * (1 + margin))

    def __add__(self, other: Range) -> Range:
        return Range(
            low=self.low + other.low,
            expected=self.expected + other.expected,
            high=self.high + other.high,
        )

    def __mul__(self, other: Range | float) -> Range:
        by = other if isinstance(other, Range) else Range.of(other)
        return Range(
            low=self.low * by.low, expected=self.expected * by.expected, high=self.high * by.high
        )

    def at_most(self, cap: float | None) -> Range:
        """The same, where nothing can go beyond a cap."""
        if cap is None:
            return self
        return Range(
            low=min(self.low, cap), expected=min(self.expected, cap), high=min(self.high, cap)
        )


NOTHING = Range.of(0.0)


@dataclass(frozen=True, kw_only=True)
class Spend:
    """What something costs; each of the four is a range.

    Attributes:
        calls: model calls.
        input_tokens, output_tokens: read and written by the model.
        usd: money in US dollars.
    """

    calls: Range = NOTHING
    input_tokens: Range = NOTHING
    output_tokens: Range = NOTHING
    usd: Range = NOTHING

    def __add__(self, other: Spend) -> Spend:
        sums = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        return Spend(**sums)

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Spend:
        return cls(**{f.name: Range(**value[f.name]) for f in fields(cls)})


@dataclass(frozen=True, kw_only=True)
class Quote:
    """What a turn is expected to cost.

    Attributes:
        program, model: what will run.
        parts: step of the turn -> what it costs, before caps.
        total: all of them, within the caps.
        seconds: wall time, within the cap.
        notes: what the numbers rest on, a sentence each.
    """

    program: str
    model: str
    parts: Mapping[str, Spend]
    total: Spend
    seconds: Range
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Json]:
        return {
            "program": self.program,
            "model": self.model,
            **asdict(self.total),
            "seconds": asdict(self.seconds),
            "parts": {name: asdict(spend) for name, spend in self.parts.items()},
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Quote:
        return cls(
            program=value["program"],
            model=value["model"],
            parts={name: Spend.from_json(part) for name, part in value["parts"].items()},
            total=Spend.from_json(value),
            seconds=Range(**value["seconds"]),
            notes=tuple(value["notes"]),
        )


@dataclass(frozen=True, kw_only=True)
class Spent:
    """One number of a quote beside what it came to.

    Attributes:
        name: "calls", "input_tokens", "output_tokens", "usd" or "seconds".
        quoted: what was said before.
        actual: what it was; what earlier attempts of the turn had paid is not in it.
    """

    name: str
    quoted: Range
    actual: float

    @property
    def heading(self) -> str:
        return HEADINGS[self.name]

    @property
    def cells(self) -> list[str]:
        """Low, expected, high and actual as people read them."""
        values = (self.quoted.low, self.quoted.expected, self.quoted.high, self.actual)
        return [shown(self.name, v) for v in values]

    @property
    def finding(self) -> str:
        """Where the actual number lies."""
        if self.actual > self.quoted.high:
            return "above the quote"
        return "below the quote" if self.actual < self.quoted.low else "as quoted"

    def to_json(self) -> dict[str, Json]:
        return {**asdict(self.quoted), "actual": self.actual}


#: Name of a quoted number -> its heading.
HEADINGS = {
    "calls": "model calls",
    "input_tokens": "input tokens",
    "output_tokens": "output tokens",
    "usd": "money",
    "seconds": "time",
}


def shown(name: str, value: float) -> str:
    """Returns a quoted number as people read it."""
    if name == "usd":
        return format.usd(value)
    return format.seconds(value) if name == "seconds" else f"{value:,.0f}"


def quote_rows(quote: Quote) -> list[list[str]]:
    """Returns heading, low, expected and high of each number."""
    numbers = {f.name: getattr(quote.total, f.name) for f in fields(quote.total)}
    numbers["seconds"] = quote.seconds
    return [
        [HEADINGS[name], *(shown(name, v) for v in (r.low, r.expected, r.high))]
        for name, r in numbers.items()
    ]


def part_rows(quote: Quote) -> list[list[str]]:
    """Returns name, calls and money of each step."""
    return [
        [name, *_of(s, "calls"), *_of(s, "usd")]
        for name, s in quote.parts.items()
        if s.calls.high > 0
    ]


def _of(spend: Spend, name: str) -> Sequence[str]:
    """One number of a step, as one cell: a span where it is not certain."""
    found: Range = getattr(spend, name)
    low, high = shown(name, found.low), shown(name, found.high)
    return [low if low == high else f"{low} to {high}"]
