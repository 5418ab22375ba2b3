"""How long labels and a snapshot take over a whole store, and what they need of memory.

    python benchmarks/ingest.py --keep FOLDER      # 1,000,000 requests, 300,000 feedback
    python benchmarks/labels.py --store FOLDER/feedback.db
    python benchmarks/labels.py --store postgresql+psycopg://postgres@127.0.0.1:5432/test

Both commands run as a user types them, each in a process of its own. The snapshot compiles the
labels again, groups customers and near-duplicates, splits and writes. The peak is the largest
resident set of the process, as the kernel counts it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRAM = '''
import dspy
from typing import Literal


class Triage(dspy.Signature):
    """Route a message."""

    message: str = dspy.InputField()
    team: Literal["billing", "returns", "shipping", "technical", "accounts"] = dspy.OutputField()
    priority: Literal["low", "normal", "high"] = dspy.OutputField()


class TicketTriage(dspy.Module):
    def __init__(self):
        self.route = dspy.Predict(Triage)

    def forward(self, message):
        return self.route(message=message)


def metric(example, prediction, trace=None):
    return example.team == prediction.team
'''
CONFIG = """
name: ticket_triage
program: programs/triage.py:TicketTriage
metric: programs/triage.py:metric
data: {kind: feedback_store, store_env: BENCHMARK_STORE, program: ticket_triage}
"""


def run(arguments: list[str], folder: Path, store: str, out: Path) -> tuple[float, float]:
    """Runs a command; returns wall seconds and its peak in MiB."""
    code = "from upturn.cli import main; main()"
    environment = {**os.environ, "BENCHMARK_STORE": store, "XDG_CONFIG_HOME": str(folder)}
    start = time.monotonic()
    with out.open("wb") as stdout:
        child = subprocess.Popen(
            [sys.executable, "-c", code, *arguments], cwd=folder, env=environment, stdout=stdout
        )
        _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - start
    if status:
        raise SystemExit(f"upturn {' '.join(arguments)} ended with {status}")
    return seconds, usage.ru_maxrss / 1024


def main() -> None:
    """Times both commands and prints a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--store", required=True, help="a store that benchmarks/ingest.py filled")
    arguments = parser.parse_args()
    store = arguments.store if "://" in arguments.store else str(Path(arguments.store).resolve())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, text in (("programs/triage.py", PROGRAM), ("configs/triage.yaml", CONFIG)):
            (folder / path).parent.mkdir()
            (folder / path).write_text(text)
        lines, made = folder / "labels.jsonl", folder / "snapshot.json"
        labels = run(["labels", "--store", store, "--json"], folder, store, lines)
        total = given = 0
        with lines.open() as file:
            # Never all at once: a child counts what its parent held when it was forked.
            for line in file:
                total += 1
                given += json.loads(line)["abstained"] is None
        snapshot = run(["snapshot", "configs/triage.yaml", "--json"], folder, store, made)
        sizes = json.loads(made.read_text())["sizes"]
    print(f"labels    {labels[0]:6.1f} s  {labels[1]:6.0f} MiB  {given:,} of {total:,} lines")
    rest = ", ".join(f"{split} {size['rows']:,}" for split, size in sizes.items())
    print(f"snapshot  {snapshot[0]:6.1f} s  {snapshot[1]:6.0f} MiB  {rest}")


if __name__ == "__main__":
    main()
