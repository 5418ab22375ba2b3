"""Upturn against DSPy's own optimizers: the same model, the same rows, calls counted alike.

    python -m benchmarks.live --json live.json --work live/ [--figure live.png] [--seeds 5]
    python -m benchmarks.live --quick --json live.json

Three tasks of real messages (``benchmarks.tasks``) on the embedded model, which also has to write
the instructions where an optimizer wants some. A seed draws the rows and seeds the optimizer. Each
run's calls are the distinct requests that it asked, whether or not they were answered before. What
an optimizer chose is run on rows that nobody has seen. A broken-off benchmark goes on where it
stopped: each finished run is a line in the work folder.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

import upturn
from benchmarks import live_runs
from benchmarks.live_runs import OTHERS, UPTURN, Draw, Model, Sizes, run
from benchmarks.tasks import DATA, TASKS
from upturn.records import content_hash

Run = dict[str, Any]

QUICK = Sizes(train=60, dev=60, test=90, evaluations=150)
QUICK_OPTIMIZERS = (UPTURN, "mipro-light")


class Finished:
    """The runs that are done, one JSON line each.

    Args:
        path: the file; made when the first run is done.
        questions: optimizer -> what else than task and seed decides its runs.
    """

    def __init__(self, path: Path, questions: Mapping[str, str]) -> None:
        self._path, self._questions = path, questions
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        found = [json.loads(line) for line in lines]
        self._runs = {
            self._key(r): r for r in found if r["question"] == questions.get(r["optimizer"])
        }

    @staticmethod
    def _key(row: Run) -> tuple[str, int, str]:
        return row["task"], row["seed"], row["optimizer"]

    def get(self, task: str, seed: int, optimizer: str) -> Run | None:
        return self._runs.get((task, seed, optimizer))

    def add(self, row: Run) -> Run:
        row = {**row, "question": self._questions[row["optimizer"]]}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        self._runs[self._key(row)] = row
        return row


def run_all(args: argparse.Namespace, sizes: Sizes, folder: Path) -> list[Run]:
    """Runs what is not done yet, seed by seed, so that a part of it is already a comparison."""
    model = Model((args.cache or folder) / "answers.db")
    questions = {name: question(name, sizes, model.id) for name in args.optimizer}
    done, rows = Finished(folder / "runs.jsonl", questions), []
    try:
        for seed in range(args.seeds):
            for task in args.task or TASKS:
                draw = Draw.of(TASKS[task], seed, sizes, args.data)
                for name in args.optimizer:
                    row = done.get(task, seed, name)
                    rows.append(row or done.add(run(name, draw, model, sizes)))
                    say(rows[-1])
    finally:
        model.close()
    return rows


def question(optimizer: str, sizes: Sizes, model_id: str) -> str:
    """A hash of what decides an optimizer's runs; of ours also the code of the search."""
    package = Path(upturn.__file__).parent
    code = [p for part in ("propose", "search") for p in sorted((package / part).rglob("*.py"))]
    ours = [p.read_text(encoding="utf-8") for p in (*code, Path(live_runs.__file__))]
    asked = asdict(sizes)
    if optimizer != UPTURN:
        del asked["evaluations"]
    return content_hash([asked, model_id, ours if optimizer == UPTURN else []], length=12)


def say(row: Run) -> None:
    """One line a run."""
    reported = "nothing" if row["reported"] is None else f"{row['reported']:.3f}"
    print(
        f"{row['task']} seed {row['seed']} {row['optimizer']}: {row['calls']} calls, "
        f"{row['final']:.3f} on {row['test_rows']} test rows (start {row['start']:.3f}), "
        f"reports {reported}, {row['seconds']:.0f} s {row['stopped']}".rstrip(),
        file=sys.stderr,
        flush=True,
    )


def table(runs: Sequence[Run]) -> list[Run]:
    """One line a task and optimizer; differences are paired by seed."""
    ours = {(r["task"], r["seed"]): r["final"] for r in runs if r["optimizer"] == UPTURN}
    cells = dict.fromkeys((r["task"], r["optimizer"]) for r in runs)
    return [_cell([r for r in runs if (r["task"], r["optimizer"]) == cell], ours) for cell in cells]


def _cell(own: Sequence[Run], ours: dict[tuple[str, int], float]) -> Run:
    paired = [(r, ours[r["task"], r["seed"]]) for r in own if (r["task"], r["seed"]) in ours]
    final, final_se = _mean([r["final"] for r in own])
    gap, gap_se = _mean([r["final"] - score for r, score in paired])
    claims = [r["reported"] - r["final"] for r in own if r["reported"] is not None]
    optimism, optimism_se = _mean(claims)
    return {
        "task": own[0]["task"],
        "optimizer": own[0]["optimizer"],
        "seeds": len(own),
        "calls": _mean([r["calls"] for r in own])[0],
        "start": _mean([r["start"] for r in own])[0],
        "final": final,
        "final_se": final_se,
        "minus_upturn": gap,
        "minus_upturn_se": gap_se,
        "optimism": optimism,
        "optimism_se": optimism_se,
        "below_start": _mean([float(r["final"] < r["start"]) for r in own])[0],
        "ended_early": sum(bool(r["stopped"]) for r in own),
    }


def _mean(values: Iterable[float]) -> tuple[float | None, float | None]:
    """Mean and standard error; None where there are too few values."""
    found = list(values)
    if len(found) < 2:
        return (found[0] if found else None), None
    return statistics.fmean(found), statistics.stdev(found) / len(found) ** 0.5


def ratios(cells: Sequence[Run]) -> dict[str, Run]:
    """Of each other optimizer, over the tasks: Upturn's share of its calls, and the mean gain."""
    ours = {c["task"]: c for c in cells if c["optimizer"] == UPTURN}
    out: dict[str, Run] = {}
    for name in dict.fromkeys(c["optimizer"] for c in cells if c["optimizer"] != UPTURN):
        own = [c for c in cells if c["optimizer"] == name]
        pairs = [(c, ours[c["task"]]) for c in own if c["task"] in ours]
        if pairs:
            out[name] = {
                "calls": sum(u["calls"] for _, u in pairs) / sum(c["calls"] for c, _ in pairs),
                "gain": statistics.fmean(u["final"] - c["final"] for c, u in pairs),
                "tasks": len(pairs),
            }
    return out


def text(cells: Sequence[Run], found: dict[str, Run]) -> str:
    """The tables as text."""
    lines = [
        f"{'task':9} {'optimizer':24} {'calls':>6}  {'final':>13}  {'minus upturn':>14}  "
        f"{'optimism':>8}  {'below start':>11}"
    ]
    lines += [
        f"{c['task']:9} {c['optimizer']:24} {c['calls']:6.0f}  {_pm(c, 'final', ''):>13}  "
        f"{'' if c['optimizer'] == UPTURN else _pm(c, 'minus_upturn', '+'):>14}  "
        f"{_number(c['optimism'], '+'):>8}  {c['below_start']:11.2f}"
        for c in sorted(cells, key=lambda c: (c["task"], c["optimizer"] != UPTURN))
    ]
    lines += [
        f"upturn / {name}: {r['calls']:.2f} of the calls, {r['gain']:+.3f} final score, "
        f"{r['tasks']} tasks"
        for name, r in found.items()
    ]
    return "\n".join(lines)


def _number(value: float | None, sign: str) -> str:
    return "-" if value is None else f"{value:{sign}.3f}"


def _pm(cell: Run, name: str, sign: str) -> str:
    error = cell[f"{name}_se"]
    return _number(cell[name], sign) + ("" if error is None else f" ±{error:.3f}")


def draw(cells: Sequence[Run], path: Path) -> None:
    """Writes final score over calls, one panel a task; bars are one standard error."""
    tasks = list(dict.fromkeys(c["task"] for c in cells))
    figure = Figure(figsize=(3.6 * len(tasks), 3.4), layout="constrained")
    panels: Any = figure.subplots(1, len(tasks), squeeze=False)[0]
    for axes, task in zip(panels, tasks, strict=True):
        own = [c for c in cells if c["task"] == task]
        for cell in own:
            color = "#2a6f97" if cell["optimizer"] == UPTURN else "#8d99a6"
            error = cell["final_se"] or 0.0
            axes.errorbar(cell["calls"], cell["final"], yerr=error, fmt="o", color=color)
            axes.annotate(
                cell["optimizer"],
                (cell["calls"], cell["final"]),
                xytext=(5, 4),
                textcoords="offset points",
                fontsize=7,
            )
        axes.axhline(own[0]["start"], color="#c0c0c0", linewidth=0.8, linestyle=":")
        axes.set(title=f"{task}, {own[0]['seeds']} seeds", xlabel="calls", xscale="log")
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.set_major_formatter("{x:.0f}")
        axes.xaxis.set_minor_formatter("{x:.0f}")
        axes.margins(x=0.3, y=0.15)
    panels[0].set_ylabel("score on unseen rows")
    figure.savefig(path, dpi=160)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one task, one seed, light budgets")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--task", action="append", choices=sorted(TASKS))
    parser.add_argument("--optimizer", action="append", choices=(UPTURN, *OTHERS))
    parser.add_argument("--evaluations", type=int, help="rows that Upturn's search may run")
    parser.add_argument("--max-demos", type=int, help="demos in a prompt, for everybody")
    parser.add_argument("--data", type=Path, default=DATA, help="Banking77's train file, as JSONL")
    parser.add_argument("--work", type=Path, help="where finished runs are kept")
    parser.add_argument("--cache", type=Path, help="where answers are kept; calls count anyway")
    parser.add_argument("--json", type=Path, help="where to write runs, table and ratios")
    parser.add_argument("--figure", type=Path, help="where to write the figure, as PNG")
    args = parser.parse_args(argv)
    sizes = _sizes(args)
    with tempfile.TemporaryDirectory() as scratch:
        runs = run_all(args, sizes, args.work or Path(scratch))
    cells = table(runs)
    found = ratios(cells)
    print(text(cells, found))
    if args.json:
        result = {"sizes": asdict(sizes), "table": cells, "ratios": found, "runs": runs}
        args.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if args.figure:
        draw(cells, args.figure)


def _sizes(args: argparse.Namespace) -> Sizes:
    """Fills in what was not given, and returns the sizes."""
    args.seeds = args.seeds or (1 if args.quick else 5)
    args.task = args.task or (["codes5"] if args.quick else list(TASKS))
    args.optimizer = args.optimizer or list(QUICK_OPTIMIZERS if args.quick else (UPTURN, *OTHERS))
    given = {"evaluations": args.evaluations, "max_demos": args.max_demos}
    base = asdict(QUICK if args.quick else Sizes())
    return Sizes(**{**base, **{k: v for k, v in given.items() if v is not None}})


if __name__ == "__main__":
    main()
