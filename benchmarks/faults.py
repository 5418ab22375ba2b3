"""What faults do to a turn, in numbers: by simulation on the scripted project, no model needed.

    python -m benchmarks.faults --quick --json FILE    # about a minute
    python -m benchmarks.faults --json FILE            # 100 runs of each, about ten minutes

Four parts. *flaky*: 30 % of all attempts fail; the product's own retries stand before the model;
half of the worlds have a better program to find, in the others nothing is better. *money*: random
caps on money; a cap may be passed by the calls in flight. *kills*: one turn is killed with SIGKILL
ten times. *threads*: the same seed with one thread and with eight.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binom

from benchmarks.fault_worlds import (
    Flaky,
    deaf,
    make_project,
    steady_world,
    trials_of,
    true_score,
)
from tests.pipeline.conftest import answer
from upturn.gate import look_alpha
from upturn.pipeline.turn import run_turn

PRICES = ("model.usd_per_million_input=10", "model.usd_per_million_output=10")
#: One-sided level of a first look, as the gate spends it.
LOOK_ALPHA = look_alpha(0.05, 1)
KILLS, LONG = 10, ("search.evaluations=1400", "search.n_trials=60", "search.max_demos=6")


def flaky(runs: int) -> dict[str, Any]:
    """Counts the verdicts where a third of the attempts fail."""
    found: Counter[str] = Counter()
    for seed in range(runs):
        say = answer if seed % 2 == 0 else deaf
        with tempfile.TemporaryDirectory() as name:
            project = make_project(Path(name), seed=seed)
            engine = Flaky(share=0.3, seed=seed, say=say)
            result = run_turn(project.parts(), steady_world(project, engine))
            found[f"{say.__name__}: {_judged(project, result.verdict, say)}"] += 1
        _tell(f"flaky {seed + 1} of {runs}: {dict(found)}")
    better = sum(n for k, n in found.items() if k.startswith("answer"))
    broken = sum(n for k, n in found.items() if "broken" in k)
    # Where nothing is better, the first look may err with the level that the gate grants it.
    alarms, nothing = found["deaf: PROMOTE, by chance"], runs - better
    return {
        "runs": runs,
        "verdicts": dict(found),
        "right_winner": found["answer: PROMOTE, right"] / max(1, better),
        "no_verdict": found["answer: INCONCLUSIVE"] / max(1, better),
        "broken_promotions": broken,
        "false_alarms": alarms,
        "ok": broken == 0
        and found["answer: HOLD"] <= 0.05 * better
        and alarms <= int(binom.ppf(0.99, nothing, LOOK_ALPHA)),
    }


def _judged(project: Any, verdict: str, say: Callable[[Any], str]) -> str:
    """The verdict; a promotion is right where the program is truly better by what was asked."""
    if verdict != "PROMOTE":
        return verdict
    seed = project.parts().program.seed
    champion = project.registry.champion("tickets").candidate
    gain = true_score(project, champion, say) - true_score(project, seed, say)
    if say is deaf:
        return "PROMOTE, by chance"
    return "PROMOTE, right" if gain >= 0.1 else f"PROMOTE, broken ({gain:+.2f})"


def money(runs: int) -> dict[str, Any]:
    """Measures by how much random caps on money are passed."""
    rng = np.random.default_rng(0)
    over: list[float] = []
    for number in range(runs):
        cap, lanes = float(rng.uniform(0.02, 1.6)), int(rng.integers(1, 17))
        with tempfile.TemporaryDirectory() as name:
            project = make_project(Path(name), seed=number)
            overrides = (f"budget.max_usd={cap:.4f}", f"model.concurrency={lanes}")
            run_turn(project.parts(*PRICES, *overrides), project.world())
            with closing(sqlite3.connect(project.root / "mlruns" / "cache.db")) as db:
                query = "select coalesce(sum(cost_usd), 0), coalesce(max(cost_usd), 0) from answers"
                paid, dearest = db.execute(query).fetchone()
        over.append((paid - round(cap, 4)) / (lanes * dearest))
        _tell(f"money {number + 1} of {runs}: cap {cap:.3f}, paid {paid:.3f}, {lanes} in flight")
    worst = max(over)
    return {
        "runs": runs,
        "passed": sum(o > 0 for o in over),
        "worst_in_blocks_in_flight": max(0.0, worst),
        "ok": worst <= 1.0,
    }


def kills(folder: Path) -> dict[str, Any]:
    """Kills one turn ten times; compares calls and winner with a turn that was left alone."""
    whole = _child(folder / "whole", kill_at=[])
    every = whole["calls"] // (KILLS + 1)
    killed = _child(folder / "killed", kill_at=[every * (i + 1) for i in range(KILLS)])
    extra = (killed["calls"] - whole["calls"]) / whole["calls"]
    same = killed["winner"] == whole["winner"] and killed["verdict"] == whole["verdict"]
    return {
        "kills": killed["kills"],
        "calls": whole["calls"],
        "calls_with_kills": killed["calls"],
        "extra": extra,
        "same_winner": same,
        "ok": same and extra <= 0.02 and killed["kills"] == KILLS,
    }


def _child(root: Path, *, kill_at: list[int]) -> dict[str, Any]:
    """Runs a turn in processes of its own, killing each as the log of calls reaches a number."""
    make_project(root, seed=7, rows=450)
    log, out, done = root / "calls.log", root / "out.json", 0
    log.touch()
    while not out.exists():
        child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.faults", "--child", str(root)],
            stderr=subprocess.DEVNULL,
        )
        while child.poll() is None:
            if done < len(kill_at) and _lines(log) >= kill_at[done]:
                os.kill(child.pid, signal.SIGKILL)
                child.wait()
                done += 1
                _tell(f"killed {done} times at {_lines(log)} calls")
            time.sleep(0.005)
        if child.returncode not in (0, -signal.SIGKILL):
            raise SystemExit(f"the child ended with {child.returncode}")
    return {**json.loads(out.read_text()), "calls": _lines(log), "kills": done}


def _lines(path: Path) -> int:
    return path.stat().st_size  # one byte a call


def child(root: Path) -> None:
    """One process of the turn: every call is a byte in a file before it is answered."""
    from tests.pipeline.conftest import Project
    from upturn.testing.engine import FakeEngine

    handle = os.open(root / "calls.log", os.O_WRONLY | os.O_APPEND)

    def logged(request: Any) -> str:
        if "[[ ##" in request.messages[-1].text:
            os.write(handle, b".")
        return answer(request)

    project = Project(root=root, engine=FakeEngine(logged))
    result = run_turn(project.parts(*LONG), project.world())
    champion = project.registry.champion("tickets")
    made = {"verdict": result.verdict, "winner": champion.candidate.id}
    (root / "out.json").write_text(json.dumps(made))


def threads(seeds: int) -> dict[str, Any]:
    """Compares the trials of one thread with those of eight."""
    same = 0
    for seed in range(seeds):
        found: list[Any] = []
        for lanes in (1, 8):
            with tempfile.TemporaryDirectory() as name:
                project = make_project(Path(name), seed=seed)
                run_turn(project.parts(f"model.concurrency={lanes}"), project.world())
                found.append(trials_of(project))
        same += found[0] == found[1] and len(found[0]) > 1
        _tell(f"threads {seed + 1} of {seeds}: {same} the same")
    return {"seeds": seeds, "same": same, "ok": same == seeds}


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Runs the parts, prints a line each, and exits 1 where one is not as promised."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer runs: about a minute")
    parser.add_argument("--json", type=Path, help="where the numbers go")
    parser.add_argument("--only", choices=("flaky", "money", "kills", "threads"))
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child)
        return
    runs = 12 if options.quick else 200
    with tempfile.TemporaryDirectory() as name:
        parts: dict[str, Callable[[], dict[str, Any]]] = {
            "flaky": lambda: flaky(runs),
            "money": lambda: money(runs // 2 if not options.quick else 16),
            "kills": lambda: kills(Path(name)),
            "threads": lambda: threads(2 if options.quick else 10),
        }
        chosen = {k: v for k, v in parts.items() if options.only in (None, k)}
        found = {part: measure() for part, measure in chosen.items()}
    for part, numbers in found.items():
        print(part, json.dumps(numbers))
    if options.json:
        options.json.write_text(json.dumps({"quick": options.quick, **found}, indent=1))
    sys.exit(0 if all(n["ok"] for n in found.values()) else 1)


if __name__ == "__main__":
    main()
