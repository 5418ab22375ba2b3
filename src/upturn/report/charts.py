"""Charts as SVG that stretch with their page: places along x are percentages, so that text keeps
its size on a phone. Colours are classes, which the page defines for light, dark and print."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape

_PLOT = 250
#: Pixels below the plot, for the axis' words.
BELOW = 48

#: The light colours, for a file that no page dresses.
_STANDALONE = (
    "svg{background:#fff;font:12px system-ui,sans-serif}text{fill:#4d5763}.grid{stroke:#d9dee4}"
    ".axis{stroke:#6b7684}.trial{stroke:#0b6aa8;fill:none}.solid{fill:#0b6aa8}"
    ".fresh{fill:#b84400;stroke:#b84400}.front{stroke:#00714f;fill:none}.role{fill:#00714f}"
    ".level{stroke:#4d5763}.thin{stroke-dasharray:2 4}.dash{stroke-dasharray:6 4}"
)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Returns round values within a range: about ``count`` of them, 1, 2 or 5 times a power of 10
    apart; the one value where the range is empty."""
    if not high > low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def reach(values: Sequence[float], *, share: float = 0.06) -> tuple[float, float]:
    """Returns a range that holds all values with some room; of one value, the room about it."""
    low, high = min(values), max(values)
    room = share * (high - low) or abs(low) * share or 1.0
    return low - room, high + room


@dataclass(kw_only=True)
class Chart:
    """One chart that is being drawn.

    Attributes:
        label: what it shows, in a sentence, for whoever cannot see it.
        x, y: ranges of values.
        height: of the plot, in pixels, without the axis below it.
    """

    label: str
    x: tuple[float, float]
    y: tuple[float, float]
    height: int = _PLOT
    _parts: list[str] = field(default_factory=list[str])

    def at(self, x: float) -> str:
        """Where a value of x is drawn."""
        low, high = self.x
        return f"{100 * (x - low) / (high - low):.2f}%"

    def up(self, y: float) -> str:
        """Where a value of y is drawn, in pixels from the top."""
        low, high = self.y
        return f"{self.height * (1 - (y - low) / (high - low)):.1f}"

    def line(self, start: tuple[float, float], end: tuple[float, float], kind: str) -> None:
        """Draws a line between two points, of a class."""
        (x1, y1), (x2, y2) = start, end
        self._parts.append(
            f'<line class="{kind}" x1="{self.at(x1)}" y1="{self.up(y1)}" x2="{self.at(x2)}" '
            f'y2="{self.up(y2)}"/>'
        )

    def dot(self, at: tuple[float, float], kind: str, radius: float = 4) -> None:
        """Draws a circle about a point."""
        self._parts.append(
            f'<circle class="{kind}" cx="{self.at(at[0])}" cy="{self.up(at[1])}" r="{radius:g}"/>'
        )

    def diamond(self, at: tuple[float, float], kind: str) -> None:
        """Draws a diamond about a point: told from a circle without its colour."""
        self._parts.append(
            f'<svg x="{self.at(at[0])}" y="{self.up(at[1])}" overflow="visible">'
            f'<path class="{kind}" d="M0-6 6 0 0 6-6 0z"/></svg>'
        )

    def text(
        self, at: tuple[float, float], words: str, kind: str, *, left: bool = False, dy: int = -8
    ) -> None:
        """Writes beside a point."""
        anchor, dx = ("end", -7) if left else ("start", 7)
        self._parts.append(
            f'<text class="{kind}" x="{self.at(at[0])}" y="{self.up(at[1])}" dx="{dx}" dy="{dy}" '
            f'text-anchor="{anchor}">{escape(words)}</text>'
        )

    def axes(self, x_name: str, x_words: Callable[[float], str]) -> None:
        """Draws both axes with a grid; scores are up, as percent."""
        (left, right), (bottom, _) = self.x, self.y
        for value in ticks(*self.y):
            self.line((left, value), (right, value), "grid")
            self._parts.append(
                f'<text x="0" y="{self.up(value)}" dx="-8" dy="4" text-anchor="end">'
                f"{100 * value:.4g} %</text>"
            )
        self.line((left, bottom), (right, bottom), "axis")
        for value in ticks(left, right):
            self._parts.append(
                f'<text x="{self.at(value)}" y="{self.height + 17}" text-anchor="middle">'
                f"{escape(x_words(value))}</text>"
            )
        self._parts.append(
            f'<text x="50%" y="{self.height + 37}" text-anchor="middle">{escape(x_name)}</text>'
        )

    def svg(self) -> str:
        """Returns the chart for a page, which dresses it and leaves room for the axis' words."""
        return (
            f'<div class="frame"><svg class="chart" width="100%" height="{self.height + BELOW}" '
            f'role="img" aria-label="{escape(self.label)}">{"".join(self._parts)}</svg></div>'
        )


def standalone(chart: str, title: str) -> bytes:
    """Returns a chart as a file of its own, in the light colours, with a title for its reader."""
    inside = chart.removeprefix('<div class="frame">').removesuffix("</div>")
    _, _, parts = inside.partition(">")
    drawn = parts.removesuffix("</svg>")
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 330" width="900" height="330">'
        f"<title>{escape(title)}</title><style>{_STANDALONE}</style>"
        f'<svg x="60" y="16" width="810" height="{_PLOT + BELOW}" overflow="visible">{drawn}</svg>'
        "</svg>"
    ).encode()
