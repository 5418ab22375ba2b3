"""What an evaluation costs beside the model: ours and ``dspy.Evaluate``, in microseconds a row.

    python -m benchmarks.overhead --json overhead.json --figure overhead.png     # 2,000 rows
    python -m benchmarks.overhead --quick --json overhead.json                   # 400 rows

The model answers at once, the program is one ``dspy.Predict`` with eight demos, every row is asked
for the first time, the metric is the same function. All ways run a round of rows before the next
round begins, so that what else the machine does meets them alike; the median round counts. Both
wall time and processor time (of all threads) are given: on an idle machine they are nearly equal.
A bare call is ``module(**inputs)`` in a loop, one thread, under the same context as the way that it
belongs to: what a way costs above it is the evaluator's own.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

import dspy

from benchmarks.instant import (
    MODEL,
    InstantEngine,
    candidate,
    evaluator,
    machine,
    metric,
    program,
    rows,
    table,
)
from upturn.lm.adapters import adapter
from upturn.programs import Program
from upturn.records import Example

#: What this project promises: microseconds a row above the bare call, and share of DSPy's total.
MAX_OVERHEAD_US, MAX_SHARE = 150.0, 1 / 3
OURS, DSPYS = "upturn", "dspy.Evaluate"
CACHED = "upturn, answers to disk"
Way = Callable[[Sequence[Example]], object]
Seconds = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One way's result, in microseconds a row.

    Attributes:
        wall_us: wall time of the median round.
        fastest_us, slowest_us: wall time of the other rounds.
        cpu_us: processor time of the median round, all threads together.
        above_bare_us: ``wall_us`` less that of the bare call of this way.
        cpu_above_bare_us: the same of ``cpu_us``.
    """

    way: str
    threads: int
    wall_us: float
    fastest_us: float
    slowest_us: float
    cpu_us: float
    above_bare_us: float
    cpu_above_bare_us: float


def bare(module: Any, lm: Any, used: Any) -> Way:
    """Calls the module in a loop."""

    def run(part: Sequence[Example]) -> None:
        with dspy.context(lm=lm, adapter=used, trace=None):
            for row in part:
                module(**row.inputs)

    return run


def dspys(module: Any, lm: Any, threads: int) -> Way:
    """DSPy's own evaluator."""

    def run(part: Sequence[Example]) -> None:
        devset = [dspy.Example(**r.inputs, **r.labels).with_inputs(*r.inputs) for r in part]
        ask = dspy.Evaluate(
            devset=devset, metric=metric, num_threads=threads, display_progress=False
        )
        with dspy.context(lm=lm):
            ask(module)

    return run


@contextmanager
def ways(loaded: Program, folder: Path, counts: Sequence[int]) -> Generator[dict[Any, Way]]:
    """Gives (name, threads) -> way."""
    prompt = candidate()
    module = loaded.build(prompt)
    theirs = dspy.LM(MODEL, engine=InstantEngine(), cache=False, num_retries=0)
    made: dict[Any, Way] = {(f"bare call, {DSPYS}", 1): bare(module, theirs, None)}
    with ExitStack() as stack:
        for threads in counts:
            ours, lm = stack.enter_context(evaluator(loaded, threads=threads))
            file = folder / f"answers{threads}.db"
            kept, _ = stack.enter_context(evaluator(loaded, threads=threads, cache=file))
            made[f"bare call, {OURS}", 1] = bare(module, lm, adapter())
            made[OURS, threads] = lambda part, e=ours: e.evaluate(prompt, part)
            made[CACHED, threads] = lambda part, e=kept: e.evaluate(prompt, part)
            made[DSPYS, threads] = dspys(module, theirs, threads)
        yield made


def measure(made: dict[Any, Way], *, n_rows: int, rounds: int) -> dict[Any, list[Seconds]]:
    """Returns way -> wall and processor seconds a row of each round. Warms up before."""
    numbers = count()
    taken: dict[Any, list[Seconds]] = {name: [] for name in made}
    for i in range(rounds + 1):
        for name, way in made.items():
            part = rows(next(numbers) for _ in range(n_rows if i else 32))
            wall, cpu = time.perf_counter(), time.process_time()
            way(part)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            if i:
                taken[name].append((wall / n_rows, cpu / n_rows))
        print(f"round {i} of {rounds}", flush=True)
    return taken


def lines(taken: dict[Any, list[Seconds]]) -> list[Line]:
    """Returns the results; the bare calls first."""
    walls = {name: [wall * 1e6 for wall, _ in values] for name, values in taken.items()}
    wall = {name: statistics.median(values) for name, values in walls.items()}
    cpu = {n: statistics.median(c * 1e6 for _, c in values) for n, values in taken.items()}
    out: list[Line] = []
    for way, threads in sorted(taken, key=lambda name: (name[1], name[0])):
        own = (f"bare call, {DSPYS if DSPYS in way else OURS}", 1)
        name = (way, threads)
        out.append(
            Line(
                way=way,
                threads=threads,
                wall_us=wall[name],
                fastest_us=min(walls[name]),
                slowest_us=max(walls[name]),
                cpu_us=cpu[name],
                above_bare_us=wall[name] - wall[own],
                cpu_above_bare_us=cpu[name] - cpu[own],
            )
        )
    return out


def verdict(found: Sequence[Line]) -> dict[str, Any]:
    """Compares with what is promised, at every number of threads, by either clock."""
    of = {(x.way, x.threads): x for x in found}
    answer: dict[str, Any] = {"max_above_bare_us": MAX_OVERHEAD_US, "max_share": MAX_SHARE}
    for clock, above in (("wall_us", "above_bare_us"), ("cpu_us", "cpu_above_bare_us")):
        pairs = [(x, of[DSPYS, x.threads]) for x in found if x.way == OURS]
        shares = [getattr(ours, clock) / getattr(theirs, clock) for ours, theirs in pairs]
        most = max(getattr(ours, above) for ours, _ in pairs)
        answer[clock] = {
            "above_bare_us": most,
            "share_of_dspy": max(shares),
            "kept": most <= MAX_OVERHEAD_US and max(shares) <= MAX_SHARE,
        }
    return answer


def draw(found: Sequence[Line], path: Path) -> None:
    """Writes bars of microseconds a row."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 0.5 * len(found) + 1), layout="constrained")
    axes = figure.add_subplot()
    names = [f"{x.way}, {x.threads} thread{'s' * (x.threads > 1)}" for x in found]
    bars = axes.barh(names, [x.cpu_us for x in found], color="#4878a8")
    axes.bar_label(bars, fmt="{:,.0f}", padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("processor time in microseconds a row")
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="400 rows instead of 2,000")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    logging.getLogger("dspy").setLevel(logging.WARNING)
    n_rows, rounds = (80, 5) if options.quick else (400, 5)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with ways(program(folder), folder, (1, 8)) as made:
            found = lines(measure(made, n_rows=n_rows, rounds=rounds))
    head = (
        "us/row",
        "threads",
        "wall",
        "fastest",
        "slowest",
        "cpu",
        "above bare",
        "cpu above bare",
    )
    numbers = (
        "wall_us",
        "fastest_us",
        "slowest_us",
        "cpu_us",
        "above_bare_us",
        "cpu_above_bare_us",
    )
    body = [(x.way, x.threads, *(f"{getattr(x, n):,.0f}" for n in numbers)) for x in found]
    print(table(head, body))
    answer = verdict(found)
    print(json.dumps(answer))
    if options.json:
        settings = {"rows": n_rows * rounds, "rounds": rounds, "demos": 8, **machine()}
        content = {"settings": settings, "lines": [asdict(x) for x in found], "verdict": answer}
        options.json.write_text(json.dumps(content, indent=2) + "\n")
    if options.figure:
        draw(found, options.figure)


if __name__ == "__main__":
    main()
