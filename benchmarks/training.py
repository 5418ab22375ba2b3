"""What our fine-tune jobs cost beside a bare TRL script, and what they give on real messages.

    python -m benchmarks.training --json training.json [--work training/] [--part speed …]
    python -m benchmarks.training --quick --json training.json

Three parts. ``speed``: our worker and ``benchmarks.training_trl`` on the same tokens, for as many
steps, each in a fresh process, in turn; seconds a step after the warm-up, and peak memory.
``memory``: a random Llama of 25 million parameters and rows of up to 3,700 tokens. ``tasks``:
twelve confusable intents of Banking77 by prompt alone, weights alone, and both, on unseen rows;
left out, with a word, where ``../shared/data`` is absent.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.tasks import DATA
from benchmarks.training_speed import BARE, OURS, compare, run
from upturn.finetune.records import TrainingRow
from upturn.finetune.spec import JobSpec, OptimSpec, RunSpec

PARTS = ("speed", "memory", "tasks")
KINDS: tuple[str, ...] = ("sft", "dpo", "kto")
#: What the job may cost, by the side of the bare script.
LEAST_SPEED, MOST_MEMORY, MOST_LONG_MB = 0.95, 1.05, 3 * 1024
_LONGEST = 3700
_WARM_UP = 3


def speed(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Compares both ways on each kind of job; returns a row for each."""
    from benchmarks.training_rows import ticket_rows, write_job
    from upturn import mini

    base, found = mini.weights_dir(), []
    for kind in args.kind:
        steps = args.steps if kind == "sft" else max(_WARM_UP + 4, args.steps // 2)
        spec = job(kind, steps=steps, batch=16 if kind == "sft" else 8)
        rows = ticket_rows(kind, 600, base=base)

        def write(folder: Path, spec: JobSpec = spec, rows: list[TrainingRow] = rows) -> None:
            write_job(folder, spec, rows, base=base)

        compared = compare(kind, write, rounds=args.rounds, warm_up=_WARM_UP, tell=say)
        found.append(compared.to_json() | {"steps": steps, "rows": len(rows)})
    return found


def memory(args: argparse.Namespace) -> dict[str, Any]:
    """Trains the 25-million-parameter model on long rows; returns what it took."""
    from benchmarks.training_rows import long_rows, random_llama, write_job

    steps, batch = (3, 2) if args.quick else (6, 4)
    with tempfile.TemporaryDirectory() as scratch:
        base, folder = Path(scratch) / "llama", Path(scratch) / "job"
        parameters = random_llama(base)
        # The longest and shorter ones: a batch of each, and of both.
        lengths = [_LONGEST, *(_LONGEST * i // 8 for i in range(1, 8)), _LONGEST - 100]
        rows = long_rows(lengths, base=base)
        write_job(folder, job("sft", steps=steps, batch=batch), rows, base=base)
        ours = run(OURS, folder, warm_up=1)
    say(f"memory: {parameters / 1e6:.1f} M parameters, {ours.peak_mb:.0f} MB")
    return {
        "parameters": parameters,
        "longest_row": max(len(r.prompt_ids) + len(r.completion_ids) for r in rows),
        "batch": batch,
        "steps": steps,
        "peak_mb": ours.peak_mb,
        "step_s": ours.step_s,
    }


def tasks(args: argparse.Namespace) -> dict[str, Any] | None:
    """Runs all ways on Banking77, seed by seed; None where its rows are not there."""
    from benchmarks.training_tasks import QUICK, Budget, run_seed, table

    if not args.data.is_file():
        say(f"tasks: left out, because {args.data} is absent; name Banking77's rows with --data")
        return None
    rows: list[dict[str, Any]] = []
    budget = QUICK if args.quick else Budget()
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(args.seeds):
            folder = (args.work or Path(scratch)) / f"seed-{seed}"
            rows += run_seed(seed, budget, data=args.data, folder=folder.absolute())
            for row in rows[-4:]:
                say(f"tasks, seed {seed}, {row['way']}: {row['score']:.3f} on {row['rows']} rows")
    return {"table": table(rows), "rows": rows}


def job(kind: str, *, steps: int, batch: int) -> JobSpec:
    """Returns a job that evaluates and saves nothing on the way, as the bare script."""
    rate = 1e-3 if kind == "sft" else 1e-4
    return JobSpec(
        name=kind,
        kind=kind,
        optim=OptimSpec(
            max_steps=steps,
            per_device_train_batch_size=batch,
            learning_rate=rate,
            max_length=4096,
        ),
        run=RunSpec(device="cpu"),
    )


def text(result: Mapping[str, Any]) -> str:
    """The result as tables."""
    lines: list[str] = []
    if result.get("speed"):
        lines += [
            f"{'job':5} {'way':9} {'s a step':>9} {'peak MB':>8} {'process s':>10}  ours / bare"
        ]
        for row in result["speed"]:
            shown = f"speed {row['speed']:.2f}, memory {row['memory']:.2f}"
            lines += [_speed_line(row, OURS, shown), _speed_line(row, BARE, "")]
    if result.get("memory"):
        one = result["memory"]
        lines.append(
            f"{one['parameters'] / 1e6:.1f} M parameters, rows of up to {one['longest_row']} "
            f"tokens, batch {one['batch']}: peak {one['peak_mb']:.0f} MB, "
            f"{one['step_s']:.1f} s a step"
        )
    if result.get("tasks"):
        lines.append(
            f"{'way':13} {'score':>5}  {'95 % interval':>14}  {'gain over prompt only':>22}"
        )
        lines += [_task_line(row) for row in result["tasks"]["table"]]
        first = result["tasks"]["table"][0]
        lines.append(f"{first['seeds']} seeds, {first['test_rows']} unseen rows each")
    return "\n".join([*lines, *verdicts(result)])


def verdicts(result: Mapping[str, Any]) -> list[str]:
    """Returns each bound with what was measured, and whether it holds."""
    found: list[tuple[str, float, str, bool]] = []
    for row in result.get("speed") or ():
        name = f"{row['job']}: speed of the bare script's"
        found.append((name, row["speed"], f">= {LEAST_SPEED}", row["speed"] >= LEAST_SPEED))
        name = f"{row['job']}: memory of the bare script's"
        found.append((name, row["memory"], f"<= {MOST_MEMORY}", row["memory"] <= MOST_MEMORY))
    if result.get("memory"):
        peak = result["memory"]["peak_mb"]
        found.append(("long rows: peak MB", peak, f"<= {MOST_LONG_MB}", peak <= MOST_LONG_MB))
    return [
        f"{name} {value:.{0 if value > 100 else 2}f}, {bound}: {'holds' if holds else 'MISSED'}"
        for name, value, bound, holds in found
    ]


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _speed_line(row: Mapping[str, Any], way: str, shown: str) -> str:
    one = row[way]
    return (
        f"{row['job']:5} {way:9} {one['step_s']:9.2f} {one['peak_mb']:8.0f} {one['seconds']:10.1f}"
        f" {one['cpu_s']:6.0f}"
        f"  {shown}".rstrip()
    )


def _task_line(row: Mapping[str, Any]) -> str:
    gain = f"{row['gain']:+.3f} [{row['gain_low']:+.3f}, {row['gain_high']:+.3f}]"
    shown = "" if row["way"] == "prompt only" else gain
    return (
        f"{row['way']:13} {row['score']:5.3f}  [{row['low']:.3f}, {row['high']:.3f}]  {shown:>24}"
    ).rstrip()


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="SFT only, one round, one seed")
    parser.add_argument("--part", action="append", choices=PARTS, help="only these parts")
    parser.add_argument("--kind", action="append", choices=KINDS, help="jobs of the speed part")
    parser.add_argument("--rounds", type=int, help="pairs of runs, ours and bare")
    parser.add_argument("--steps", type=int, help="of one run of the speed part")
    parser.add_argument("--seeds", type=int, help="of the tasks part")
    parser.add_argument("--data", type=Path, default=DATA, help="Banking77's train file, as JSONL")
    parser.add_argument("--work", type=Path, help="where answers and adapters are kept")
    parser.add_argument("--json", type=Path, help="where to write all rows")
    args = parser.parse_args(argv)
    args.kind = args.kind or (["sft"] if args.quick else list(KINDS))
    args.rounds = args.rounds or (1 if args.quick else 4)
    args.steps = args.steps or (12 if args.quick else 40)
    args.seeds = args.seeds or (1 if args.quick else 5)
    parts = {"speed": speed, "memory": memory, "tasks": tasks}
    result: dict[str, Any] = {"quick": args.quick}
    for name in args.part or PARTS:
        result[name] = parts[name](args)
        if args.json:
            args.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(text(result))


if __name__ == "__main__":
    main()
