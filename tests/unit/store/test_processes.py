"""Several processes on one store, and processes that are killed while they write."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from pathlib import Path

from upturn.store import FeedbackStore

ROOT = str(Path(__file__).parents[3])
# Opens a store, says so, waits for a line and adds batches; prints what became of each. Batch n
# holds ten requests and feedback on them, in an order of the writer's own.
WRITER = """
import json, random, sys
from tests.unit.store.stores import feedback, request
from upturn.store import Checkpoint, FeedbackStore
url, name, batches = sys.argv[1], sys.argv[2], range(int(sys.argv[3]))
order = random.Random(name)
with FeedbackStore.open(url) as store:
    print("open", flush=True)
    sys.stdin.readline()
    for n in order.sample(batches, len(batches)):
        ids = [f"{n:04}-{i}" for i in range(10)]
        events = [request(i) for i in ids] + [feedback(i, i) for i in ids]
        order.shuffle(events)
        added = store.add(events, checkpoint=Checkpoint(source=name, position=n))
        print(json.dumps([n, added.requests, added.feedback, added.duplicates]), flush=True)
"""


def start(url: str, name: str, batches: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, url, name, str(batches)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def finish(process: subprocess.Popen[str]) -> list[list[int]]:
    out, _ = process.communicate("go\n", timeout=120)
    assert process.returncode == 0
    first, *rest = out.splitlines()
    assert first == "open"
    return [json.loads(line) for line in rest]


def test_writers_side_by_side_count_each_event_once(url: str):
    # All of them are the first to open it; then all of them add the same events.
    processes = [start(url, f"w{i}", 40) for i in range(3)]
    for process in processes[1:]:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [line for process in processes for line in finish(process)]
    assert len(said) == 120
    assert sum(line[1] for line in said) == sum(line[2] for line in said) == 400
    assert sum(line[3] for line in said) == 1600
    with FeedbackStore.open(url) as store:
        counts = store.counts()
        assert (counts.requests, counts.feedback, counts.orphans) == (400, 400, 0)
        assert all(store.checkpoint(f"w{i}") is not None for i in range(3))


def test_what_was_acknowledged_survives_a_kill(url: str):
    kills = random.Random(4)
    acknowledged: set[int] = set()
    for round in range(4):
        process = start(url, f"k{round}", 400)
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        process.stdin.write("go\n")
        process.stdin.flush()
        # After so many batches, while it is busy with the next one.
        lines = [process.stdout.readline() for _ in range(kills.randrange(1, 40))]
        process.send_signal(signal.SIGKILL)
        # A line may itself be cut off: it was not acknowledged then.
        lines += process.stdout.read().splitlines(keepends=True)
        acknowledged |= {json.loads(line)[0] for line in lines if line.endswith("]\n")}
        process.wait()
        process.stdin.close()
        process.stdout.close()
    assert acknowledged
    with FeedbackStore.open(url) as store:
        stored = [(r.id[:4], len(told)) for r, told in store.joined()]
        whole = {int(n) for n, _ in stored}
        assert acknowledged <= whole
        # No batch is there in part.
        assert sorted(stored) == sorted((f"{n:04}", 1) for n in whole for _ in range(10))
        assert store.counts().requests == store.counts().feedback == 10 * len(whole)
