"""The figures of a data card, as SVG. No text of a user's is in them: labels are drawn in HTML."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from upturn.report.data_card import Calibration, Week

# Okabe and Ito's palette: told apart with any common colour blindness, and by shape besides.
_REQUESTS, _FEEDBACK, _LABELLED, _SOFT = "#56B4E9", "#E69F00", "#009E73", "#5a6572"


def as_data_uri(svg: bytes) -> str:
    """Returns a figure as a ``data:`` address for an image; "" where there is none."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}" if svg else ""


def weeks_figure(weeks: Sequence[Week]) -> bytes:
    """Returns volumes by week; nothing where no week is known."""
    kinds = (("requests", _REQUESTS), ("feedback", _FEEDBACK), ("labelled", _LABELLED))
    known = [(k, colour) for k, colour in kinds if any(getattr(w, k) is not None for w in weeks)]
    if not known:
        return b""
    step = -(-len(weeks) // 16)
    ticks = range(0, len(weeks), step)

    def drawing(kind: str, colour: str) -> Callable[[Axes], None]:
        def draw(axes: Axes) -> None:
            values = [getattr(week, kind) or 0 for week in weeks]
            axes.bar(range(len(weeks)), values, color=colour, width=0.75)
            axes.set_xticks(list(ticks), [weeks[i].week for i in ticks], rotation=45, ha="right")
            axes.set_ylabel(kind)
            axes.set_xlim(-0.6, max(len(weeks), 4) - 0.4)
            axes.locator_params(axis="y", nbins=4)

        return draw

    # Each has a scale of its own: labelled rows would be a flat line beside all requests.
    return _figure([drawing(*kind) for kind in known], 0.6 + 1.3 * len(known))


def clusters_figure(sizes: Mapping[int, int]) -> bytes:
    """Returns how many near-duplicate clusters have how many rows; nothing where none is known."""
    if not sizes:
        return b""
    bounds = [2, 3, 4, 5, 10, 20, 50, 100, 1000]
    names = ["2", "3", "4", "5–9", "10–19", "20–49", "50–99", "100–999", "1000+"]
    counts = [0] * len(bounds)
    for size, count in sizes.items():
        counts[max(i for i, bound in enumerate(bounds) if size >= bound)] += count
    last = max(i for i, count in enumerate(counts) if count)

    def draw(axes: Axes) -> None:
        bars = axes.bar(names[: last + 1], counts[: last + 1], color=_REQUESTS, width=0.7)
        told = [f"{n:,}" if n else "" for n in counts[: last + 1]]
        axes.bar_label(bars, labels=told, fontsize=9, color=_SOFT)
        axes.set_xlabel("rows in the cluster")
        axes.set_ylabel("clusters")
        axes.margins(y=0.15)

    return _figure([draw], 2.6)


def calibration_figure(calibration: Calibration | None) -> bytes:
    """Returns the reliability diagram; nothing where no row was reviewed."""
    if calibration is None or not calibration.bins:
        return b""
    bins = calibration.bins
    most = max(b.n for b in bins)

    def draw(axes: Axes) -> None:
        from matplotlib.ticker import PercentFormatter

        axes.plot([0, 1], [0, 1], color=_SOFT, linestyle="--", linewidth=1, label="as stated")
        axes.plot([b.stated for b in bins], [b.right for b in bins], color=_LABELLED, linewidth=1)
        axes.scatter(
            [b.stated for b in bins],
            [b.right for b in bins],
            s=[20 + 160 * b.n / most for b in bins],
            color=_LABELLED,
            zorder=3,
            label="reviewed labels (area: how many)",
        )
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(xmax=1.0, decimals=0))
        axes.set_xlabel("stated probability")
        axes.set_ylabel("share that was right")
        axes.set_xlim(0, 1.03)
        axes.set_ylim(0, 1.03)
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)

    return _figure([draw], 3.6)


def _figure(drawings: Sequence[Callable[[Axes], None]], height: float) -> bytes:
    """Returns drawings, one above the other, as SVG; the same ones give the same bytes."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.0, height), layout="constrained")
    FigureCanvasSVG(figure)
    panels = figure.subplots(len(drawings), 1, sharex=True, squeeze=False)
    for axes, draw in zip(panels[:, 0], drawings, strict=True):
        draw(axes)
        axes.grid(axis="y", color="#dddddd", linewidth=0.7)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_axisbelow(True)
    figure.align_ylabels()
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "upturn"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()
