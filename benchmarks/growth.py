"""How time and memory grow with rows and with candidates, the model's own time being zero.

    python -m benchmarks.growth --json growth.json --figure growth.png
    python -m benchmarks.growth --quick --json growth.json

Up to 100,000 rows of one candidate, and a search in which up to 1,000 candidates may enter;
``--quick`` leaves the largest sizes out. Each point runs in a process of its own, started by a
small one: a child's peak would count what its parent held. Answers go to disk, as in a turn.
``above`` is the peak less what the process held with everything imported and no row made.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROWS, QUICK_ROWS = (100, 1_000, 10_000, 100_000), (100, 1_000, 10_000)
CANDIDATES, QUICK_CANDIDATES = (10, 100, 1_000), (10, 100)
#: Rows that the search may run for each candidate, the finalists' fresh rows included.
ROWS_PER_CANDIDATE = 24
DEV_ROWS, FRESH_ROWS, DEMO_SETS = 260, 140, 8
THREADS = 8


def evaluate(n: int, folder: Path) -> dict[str, Any]:
    """Runs one candidate on so many rows."""
    from benchmarks import instant

    loaded = instant.program(folder)
    with instant.evaluator(loaded, threads=THREADS, cache=folder / "answers.db") as (runner, _):
        runner.evaluate(instant.candidate(), instant.rows(range(-8, 0)))
        with Reading() as reading:
            done = runner.evaluate(instant.candidate(), instant.rows(range(n)))
    return {**reading.values, "rows": len(done.rows), "score": done.score}


def search(n: int, folder: Path) -> dict[str, Any]:
    """Searches a catalogue until so many candidates have entered."""
    from benchmarks import instant
    from upturn.search import Search, SearchRules

    dev = instant.rows(range(DEV_ROWS + FRESH_ROWS))
    choices = catalogue(n)
    start = choices.candidate(next_choices(choices))
    rules = SearchRules(evaluations=n * ROWS_PER_CANDIDATE, n_trials=n)
    loaded, kept = instant.program(folder), folder / "answers.db"
    with instant.evaluator(loaded, threads=THREADS, cache=kept, varied=True) as (runner, _):
        runner.evaluate(start, instant.rows(range(-8, 0)))
        with Reading() as reading:
            result = Search(
                choices,
                start,
                searched=dev[:DEV_ROWS],
                fresh=dev[DEV_ROWS:],
                runner=runner,
                rules=rules,
            ).run()
    return {**reading.values, "rows": result.evaluations, "candidates": len(result.trials)}


def catalogue(n: int) -> Any:
    """Choices that span more candidates than may enter."""
    from benchmarks import instant
    from upturn.propose import Proposal
    from upturn.search import Catalogue

    texts = [f"Route the message, in way {i}." for i in range(max(4, n // 4))]
    demos = [instant.candidate(demos=i).states["route"].demos for i in range(DEMO_SETS)]
    return Catalogue.build(
        [
            *(Proposal(predictor="route", origin="seed", instruction=t) for t in texts),
            *(Proposal(predictor="route", origin="seed", demos=d) for d in demos),
        ]
    )


def next_choices(choices: Any) -> dict[str, str]:
    """The first id of every choice."""
    return {name: next(iter(options)) for name, options in choices.options.items()}


class Reading:
    """Wall time, processor time and memory of what runs inside."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}

    def __enter__(self) -> Reading:
        self._start = (time.perf_counter(), time.process_time(), _peak_mib())
        return self

    def __exit__(self, *_: object) -> None:
        wall, cpu, held = self._start
        self.values = {
            "wall_s": time.perf_counter() - wall,
            "cpu_s": time.process_time() - cpu,
            "peak_mib": _peak_mib(),
            "above_mib": _peak_mib() - held,
        }


def _peak_mib() -> float:
    # Kilobytes on Linux, bytes on macOS.
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


POINTS = {"evaluate": evaluate, "search": search}


def point(kind: str, n: int) -> dict[str, Any]:
    """Measures one point in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.growth", "--point", kind, str(n)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return {"kind": kind, "n": n, **json.loads(done.stdout.splitlines()[-1])}


def report(points: Sequence[dict[str, Any]]) -> str:
    """Returns the table; the last column is time a row, which should stay as it is."""
    from benchmarks.instant import table

    head = ("", "n", "rows run", "wall s", "cpu s", "peak MiB", "above MiB", "cpu us/row")
    body = [
        (
            p["kind"],
            f"{p['n']:,}",
            f"{p['rows']:,}",
            *(f"{p[name]:,.2f}" for name in ("wall_s", "cpu_s")),
            *(f"{p[name]:,.0f}" for name in ("peak_mib", "above_mib")),
            f"{p['cpu_s'] / p['rows'] * 1e6:,.0f}",
        )
        for p in points
    ]
    return table(head, body)


def draw(points: Sequence[dict[str, Any]], path: Path) -> None:
    """Writes processor time and memory over size, one line a kind."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    names = {"evaluate": "rows of one candidate", "search": "candidates of a search"}
    for kind, label in names.items():
        own = [p for p in points if p["kind"] == kind]
        sizes = [p["n"] for p in own]
        left.loglog(sizes, [p["cpu_s"] for p in own], "o-", label=label)
        right.semilogx(sizes, [p["peak_mib"] for p in own], "o-", label=label)
    left.set_ylabel("processor time, seconds")
    right.set_ylabel("peak memory, MiB")
    right.set_ylim(bottom=0)
    for axes in (left, right):
        axes.set_xlabel("size")
        axes.legend()
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="leave the largest sizes out")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--point", nargs=2, metavar=("KIND", "N"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.point:
        kind, n = options.point
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(POINTS[kind](int(n), Path(folder))))
        return
    sizes = {
        "evaluate": QUICK_ROWS if options.quick else ROWS,
        "search": QUICK_CANDIDATES if options.quick else CANDIDATES,
    }
    points: list[dict[str, Any]] = []
    for kind, n in ((kind, n) for kind, all_n in sizes.items() for n in all_n):
        points.append(point(kind, n))
        print(f"{kind} {n:,}: {points[-1]['wall_s']:.1f} s", flush=True)
    print(report(points))
    if options.json:
        from benchmarks.instant import machine

        settings = {"threads": THREADS, "rows_per_candidate": ROWS_PER_CANDIDATE, **machine()}
        content = {"settings": settings, "points": points}
        options.json.write_text(json.dumps(content, indent=2) + "\n")
    if options.figure:
        draw(points, options.figure)


if __name__ == "__main__":
    main()
