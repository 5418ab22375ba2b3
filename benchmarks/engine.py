"""How fast the local engine answers, beside other ways to ask the same weights.

    python -m benchmarks.engine --json engine.json --figure engine.png      # 500 prompts
    python -m benchmarks.engine --quick --json engine.json                  # 64 prompts

Prompts of about 600 tokens share their first 500. They are cut into rounds, and every way answers a
round before the next one begins, so that what else the machine does meets all of them alike. Texts
are compared with those of ``generate``, one prompt after another. All ways have answered a few
prompts before anything is timed, with another prefix, so that round one pays for the prefix.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from dspy.lm15 import Request
from matplotlib.figure import Figure
from transformers.utils import logging as transformers_logging

from benchmarks.engine_prompts import prompts
from benchmarks.engine_ways import Plain, Way, our_async, our_threads, serve

NAIVE = "generate, one by one"
STATIC = "generate, batches of 16"
SERVE = "transformers serve, 32 clients"
SYNC = "upturn, 32 threads"
ASYNC = "upturn, async"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One way's result.

    Attributes:
        prompts: how many it answered.
        seconds: that this took, all rounds together.
        same_texts: how many texts are those of the first way.
    """

    way: str
    prompts: int
    seconds: float
    same_texts: int

    @property
    def requests_per_s(self) -> float:
        return self.prompts / self.seconds


def measure(ways: dict[str, Way], asked: Sequence[Request], *, per_round: int) -> list[Row]:
    """Runs all ways round by round; the first way's texts are the right ones."""
    seconds = dict.fromkeys(ways, 0.0)
    texts: dict[str, list[str]] = {name: [] for name in ways}
    for start in range(0, len(asked), per_round):
        part = asked[start : start + per_round]
        for name, way in ways.items():
            began = time.perf_counter()
            texts[name] += way(part)
            seconds[name] += time.perf_counter() - began
        print(f"{start + len(part)} of {len(asked)} prompts", flush=True)
    right = next(iter(texts.values()))
    return [
        Row(
            way=name,
            prompts=len(asked),
            seconds=seconds[name],
            same_texts=sum(a == b for a, b in zip(texts[name], right, strict=True)),
        )
        for name in ways
    ]


def run(n: int, *, per_round: int, threads: int) -> list[Row]:
    """Starts everything, warms it up, and measures."""
    asked, others = prompts(n), prompts(8, seed=6)
    plain = Plain(threads=threads)
    with ExitStack() as stack:
        ways: dict[str, Way] = {
            NAIVE: plain.one_by_one,
            STATIC: plain.in_batches,
            SERVE: stack.enter_context(serve(threads=threads)),
            SYNC: stack.enter_context(our_threads(threads=threads)),
            ASYNC: stack.enter_context(our_async(threads=threads)),
        }
        for way in ways.values():
            way(others)
        return measure(ways, asked, per_round=per_round)


def report(rows: Sequence[Row], *, threads: int) -> dict[str, Any]:
    """The rows of the table and the ratios, as JSON."""
    per_s = {row.way: row.requests_per_s for row in rows}
    return {
        "rows": [{**asdict(row), "requests_per_s": row.requests_per_s} for row in rows],
        "ratios": {
            f"{ours} / {theirs}": per_s[ours] / per_s[theirs]
            for ours in (SYNC, ASYNC)
            for theirs in (NAIVE, STATIC, SERVE)
        },
        "threads": threads,
        "torch": torch.__version__,
    }


def table(result: dict[str, Any]) -> str:
    """The result as text."""
    lines = [f"{'way':32} {'requests/s':>10}  {'times':>5}  same texts"]
    slowest = result["rows"][0]["requests_per_s"]
    lines += [
        f"{row['way']:32} {row['requests_per_s']:10.1f}  {row['requests_per_s'] / slowest:5.2f}"
        f"  {row['same_texts']} of {row['prompts']}"
        for row in result["rows"]
    ]
    return "\n".join([*lines, *(f"{k}: {v:.2f}" for k, v in result["ratios"].items())])


def draw(result: dict[str, Any], path: Path) -> None:
    """Writes requests per second as bars."""
    names = [row["way"] for row in result["rows"]]
    values = [row["requests_per_s"] for row in result["rows"]]
    figure = Figure(figsize=(7, 2.6), layout="constrained")
    axes: Any = figure.subplots()
    colors = ["#2a6f97" if name in (SYNC, ASYNC) else "#b8c0c8" for name in names]
    bars = axes.barh(names, values, color=colors)
    axes.bar_label(bars, fmt="%.1f", padding=3)
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.1)
    axes.set_xlabel(
        f"requests per second, {result['threads']} threads, n = {result['rows'][0]['prompts']}"
    )
    figure.savefig(path, dpi=160)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="64 prompts instead of 500")
    parser.add_argument("--prompts", type=int, help="another number of prompts")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path, help="where to write the table and the ratios")
    parser.add_argument("--figure", type=Path, help="where to write the bars, as PNG")
    args = parser.parse_args()
    # A killed benchmark must still leave its `with` blocks, or the server goes on without it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    n = args.prompts or (64 if args.quick else 500)
    result = report(run(n, per_round=64, threads=args.threads), threads=args.threads)
    print(table(result))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if args.figure:
        draw(result, args.figure)


if __name__ == "__main__":
    main()
