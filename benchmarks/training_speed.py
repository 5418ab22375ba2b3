"""Our worker and the bare script, side by side: each run a fresh process on the same folder."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from upturn.finetune.records import EVENTS

OURS, BARE = "upturn", "bare TRL"
_POLL_S = 0.05
_QUIET = {
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_WAIT_POLICY": "PASSIVE",
    "PYTHONWARNINGS": "ignore",
}


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One training process.

    Attributes:
        way: who trained.
        step_s: median seconds of a step after the warm-up.
        peak_mb: highest resident memory, in MB (2^20 bytes), as the kernel counts it.
        seconds: the whole process, imports and loading included.
        cpu_s: seconds of all cores that it used; what else the machine does changes it least.
        steps: that were made.
    """

    way: str
    step_s: float
    peak_mb: float
    seconds: float
    cpu_s: float
    steps: int


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Several rounds of both ways on one job.

    Attributes:
        job: its name.
        rounds: of (ours, bare).
    """

    job: str
    rounds: tuple[tuple[Measured, Measured], ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "job": self.job,
            "rounds": [[asdict(ours), asdict(bare)] for ours, bare in self.rounds],
            OURS: _middle([ours for ours, _ in self.rounds]),
            BARE: _middle([bare for _, bare in self.rounds]),
            **self.ratios(),
        }

    def ratios(self) -> dict[str, float]:
        """Returns ours over bare: speed (higher is better), memory (lower is); medians of rounds.

        A round's two runs follow each other, so that what else the machine does meets both.
        """
        return {
            "speed": statistics.median(b.step_s / a.step_s for a, b in self.rounds),
            "memory": statistics.median(a.peak_mb / b.peak_mb for a, b in self.rounds),
        }


def compare(
    job: str,
    write: Callable[[Path], None],
    *,
    rounds: int,
    warm_up: int,
    tell: Callable[[str], None],
) -> Comparison:
    """Runs both ways in turn, and the other one first in every second round.

    Args:
        job: name for the table.
        write: writes the job's folder.
        rounds: pairs of runs.
        warm_up: first steps that are not counted.
        tell: told a line a run.
    """
    done: list[tuple[Measured, Measured]] = []
    for number in range(rounds):
        found: dict[str, Measured] = {}
        for way in (OURS, BARE) if number % 2 == 0 else (BARE, OURS):
            with tempfile.TemporaryDirectory() as scratch:
                write(Path(scratch))
                found[way] = run(way, Path(scratch), warm_up=warm_up)
            one = found[way]
            tell(f"{job}, {way}: {one.step_s:.2f} s a step, {one.peak_mb:.0f} MB")
        done.append((found[OURS], found[BARE]))
    return Comparison(job=job, rounds=tuple(done))


def run(way: str, folder: Path, *, warm_up: int) -> Measured:
    """Trains what the folder asks for in a process of its own.

    Raises:
        RuntimeError: it failed; with its last words.
    """
    module = "upturn.finetune.worker" if way == OURS else "benchmarks.training_trl"
    said = folder / f"{way.split()[0]}.log"
    began = time.perf_counter()
    with said.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module, str(folder)],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **_QUIET},
            cwd=Path(__file__).parents[1],
        )
        try:
            peak, cpu_s = _watched(process)
        finally:
            process.kill()
            process.wait()
    if process.returncode:
        raise RuntimeError(f"{way} ended with {process.returncode}:\n{said.read_text()[-2000:]}")
    ticks = step_times((folder / EVENTS if way == OURS else said).read_text().splitlines())
    return Measured(
        way=way,
        step_s=step_seconds(ticks, warm_up=warm_up),
        peak_mb=peak / 1024,
        seconds=time.perf_counter() - began,
        cpu_s=cpu_s,
        steps=len(ticks),
    )


def step_times(lines: Sequence[str]) -> list[float]:
    """Returns the time at which each step ended, from events or from the bare script's lines."""
    found: dict[int, float] = {}
    for line in lines:
        try:
            value: Any = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, Mapping) and "step" in value and value.get("kind", "step") == "step":
            found[int(value["step"])] = float(value["time"])
    return [found[step] for step in sorted(found)]


def step_seconds(ticks: Sequence[float], *, warm_up: int) -> float:
    """Returns the median seconds from one step's end to the next, the first steps left out.

    Raises:
        ValueError: no step is left.
    """
    gaps = [b - a for a, b in pairwise(ticks)][max(0, warm_up - 1) :]
    if not gaps:
        raise ValueError(f"more than {warm_up} steps must be made, got {len(ticks)}")
    return statistics.median(gaps)


def _watched(process: subprocess.Popen[bytes]) -> tuple[int, float]:
    """Waits for the end; returns peak memory in KB and CPU seconds, as /proc last said them."""
    peak, cpu_s = 0, 0.0
    folder = Path(f"/proc/{process.pid}")
    while process.poll() is None:
        peak = max(peak, peak_kb(folder / "status"))
        cpu_s = max(cpu_s, cpu_seconds(folder / "stat"))
        time.sleep(_POLL_S)
    return peak, cpu_s


def peak_kb(status: Path) -> int:
    """Returns VmHWM of a process's status file; 0 where the process has ended."""
    try:
        lines = status.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


def cpu_seconds(stat: Path) -> float:
    """Returns user and system time of a process's stat file; 0 where the process has ended."""
    try:
        # The name in the second field may hold blanks.
        fields = stat.read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _middle(runs: Sequence[Measured]) -> dict[str, float]:
    return {
        name: statistics.median(getattr(r, name) for r in runs)
        for name in ("step_s", "peak_mb", "seconds", "cpu_s")
    }
