"""What the tests of scale-out look at: stories on a real cluster of two nodes, told as JSON.

Run as a process of its own (``python -m tests.contracts.ray_scenarios FOLDER``), so that Ray's
threads, handlers and warnings stay out of the test run. Each story leaves FOLDER/NAME.json.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ray
from ray.cluster_utils import Cluster

from tests.contracts.ray_process import patiently
from tests.contracts.ray_stage import (
    ENGINE,
    FOLDER,
    PROGRAM,
    SEED,
    SPEC,
    asked,
    candidate,
    comparable,
    example,
    examples,
    job,
    local,
    raised,
    site,
)
from upturn.lm import Caps
from upturn.records import Example
from upturn.scaleout import RayOptions, RayRunner
from upturn.scaleout.cluster import connected
from upturn.scaleout.sources import Sources

STORE_BYTES = 80 * 2**20


def same_rows() -> dict[str, Any]:
    rows = [*examples("same", 20), example("boom"), example("mumble"), example("same ?", "?")]
    work = [(SEED, rows), (candidate("Say another word."), rows[:7])]
    told: list[int] = []
    with site("same", block_rows=3) as opened, RayRunner(job(), opened, on_rows=told.append) as run:
        on_ray = [comparable(e) for e in run.evaluate_all(work)]
        calls = opened.line.totals().calls
        again = [comparable(e) for e in run.evaluate_all(work)]
        trace = run.trace(SEED, rows[0])
        totals = opened.line.totals()
    return {
        "ray": on_ray,
        "again": again,
        "one": local(1, work),
        "eight": local(8, work),
        "told": sum(told),
        "calls": calls,
        "asked_in_all": sum(asked("same").values()) + sum(asked("mumble").values()),
        "trace": trace,
        "calls_after_trace": totals.calls,
        "cached_after_trace": totals.cached_calls,
    }


def resumed() -> dict[str, Any]:
    rows = examples("resumed", 6)
    with site("resumed") as opened, RayRunner(job(), opened) as run:
        before = comparable(run.evaluate(SEED, rows[:4]))
        on_disk = opened.line.totals().calls
    with site("resumed") as opened, RayRunner(job(), opened) as run:
        after = run.evaluate(SEED, rows)
        totals = opened.line.totals()
    return {
        "asked": asked("resumed"),
        "on_disk": on_disk,
        "paid_after": totals.calls,
        "cached_after": totals.cached_calls,
        "cached_rows": [r.cached_calls for r in after.rows],
        "scores": [r["score"] for r in before] == [r.score for r in after.rows[:4]],
    }


def same_question() -> dict[str, Any]:
    rows = [example("twin", name=f"twin-{i}") for i in range(8)]
    with site("twin", block_rows=1) as opened, RayRunner(job(), opened) as run:
        evaluation = run.evaluate(SEED, rows)
        totals = opened.line.totals()
    paid = sum(r.calls - r.cached_calls for r in evaluation.rows)
    return {"asked": asked("twin"), "paid": paid, "totals": [totals.calls, totals.cached_calls]}


def call_cap() -> dict[str, Any]:
    rows = examples("capped", 24)
    caps = Caps(max_calls=7)
    with site("calls", caps, block_rows=2) as opened, RayRunner(job(), opened) as run:
        error = raised(lambda: run.evaluate(SEED, rows))
        evaluation = run.evaluate(SEED, rows, tolerant=True)
        totals = opened.line.totals()
    outcomes = Counter(r.failure or "scored" for r in evaluation.rows)
    return {
        "error": error,
        "asked": asked("capped"),
        "outcomes": outcomes,
        "calls": totals.calls,
    }


def money_cap() -> dict[str, Any]:
    rows = examples("money", 24)
    price = SPEC.cost_usd(local_tokens(examples("price", 1)[0]), 0)
    caps = Caps(max_usd=5.5 * price)
    with site("money", caps, block_rows=2) as opened, RayRunner(job(), opened) as run:
        error = raised(lambda: run.evaluate(SEED, rows))
        totals = opened.line.totals()
    return {
        "error": error,
        "asked": len(asked("money")),
        "usd_in_prices": totals.usd / price,
        "calls": totals.calls,
    }


def local_tokens(row: Example) -> int:
    return local(1, [(SEED, [row])])[0][0]["input_tokens"]


def errors() -> dict[str, Any]:
    fine = examples("fine", 4)
    with site("errors", block_rows=2) as opened:
        with RayRunner(job(), opened) as run:
            metric = raised(lambda: run.evaluate(SEED, [*fine, example("fine b", "bad")]))
            one = raised(lambda: local(1, [(SEED, [example("fine b", "bad")])]))
            outage = raised(lambda: run.evaluate(SEED, [example("down 1"), example("down 2")]))
            after = run.evaluate(SEED, fine).denominator
        broken = job(sources=Sources(texts={"p.py": "import nowhere_at_all\n", "e.py": ENGINE}))
        with RayRunner(broken, opened) as run:
            program = raised(lambda: run.evaluate(SEED, fine))
        with RayRunner(job(version="0.0.1"), opened) as run:
            version = raised(lambda: run.evaluate(SEED, fine))
    return {
        "metric": metric,
        "metric_on_one_machine": one,
        "outage": outage,
        "after": after,
        "program": program,
        "version": version,
    }


def no_room() -> dict[str, Any]:
    with (
        site("room", num_cpus_per_task=64.0, start_timeout_s=0.1) as opened,
        RayRunner(job(), opened) as run,
    ):
        return raised(lambda: run.evaluate(SEED, examples("room", 2)))


def interrupted() -> dict[str, Any]:
    rows = examples("stopped", 12)

    def stop(n: int) -> None:
        # Where the process has no way of its own to end, this is as Ctrl-C.
        os.kill(os.getpid(), signal.SIGTERM)

    with site("stopped", block_rows=2) as opened:
        with RayRunner(job(), opened, on_rows=stop) as run:
            error = raised(lambda: run.evaluate(SEED, rows))
        with RayRunner(job(), opened) as run:
            after = run.evaluate(SEED, rows).denominator
        calls = opened.line.totals().calls
    return {"error": error, "after": after, "asked": asked("stopped"), "calls": calls}


def worker_lost() -> dict[str, Any]:
    rows = [*examples("stays", 3), example("exits")]
    caps = Caps(max_calls=4)
    with site("worker", caps, block_rows=1) as opened:
        impatient = replace(opened, options=replace(opened.options, max_retries=0))
        with RayRunner(job(), impatient) as run:
            too_often = raised(lambda: run.evaluate(SEED, [example("dies")]))
        with RayRunner(job(), opened) as run:
            rows_ = comparable(run.evaluate(SEED, rows))
        totals = opened.line.totals()
    return {
        "outcomes": [r["outcome"] for r in rows_],
        "asked": {**asked("stays"), **asked("exits")},
        "totals": [totals.calls, totals.failed_calls],
        "too_often": too_often,
    }


def node_lost(cluster: Cluster, doomed: Any) -> dict[str, Any]:
    rows = examples("node", 32)
    told: list[str] = []

    def kill() -> None:
        while not (FOLDER / "stuck").exists():
            time.sleep(0.02)
        cluster.remove_node(doomed, allow_graceful=False)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    # As many calls as rows: what the lost node had reserved must have been given back.
    caps = Caps(max_calls=len(rows))
    with (
        site("node", caps, block_rows=16) as opened,
        RayRunner(job(), opened, tell=told.append) as run,
    ):
        on_ray = comparable(run.evaluate(SEED, rows))
        totals = opened.line.totals()
    killer.join()
    paid_before = [r for r in on_ray if r["cached_calls"]]
    asked_here = asked("node")
    (one,) = local(1, [(SEED, rows)])
    return {
        "asked": asked_here,
        "told": told,
        "ray": [{**r, "cached_calls": 0} for r in on_ray],
        "one": one,
        "paid_before": len(paid_before),
        "totals": [totals.calls, totals.failed_calls, totals.cached_calls],
    }


def tell(name: str, story: Callable[[], dict[str, Any]]) -> None:
    start = time.monotonic()
    told = story()
    (FOLDER / f"{name}.json").write_text(json.dumps(told))
    print(f"{name} {time.monotonic() - start:.1f} s", flush=True)


def main() -> None:
    os.environ["UPTURN_TEST_FOLDER"] = str(FOLDER)
    (FOLDER / "p.py").write_text(PROGRAM)
    (FOLDER / "e.py").write_text(ENGINE)
    node = {"num_cpus": 1, "object_store_memory": STORE_BYTES, "include_dashboard": False}
    # Not for half a minute, which is what it would wait: for as long as it takes.
    node["wait"] = False
    start = time.monotonic()
    cluster = Cluster()
    try:
        patiently(lambda: cluster.add_node(**node))
        doomed = patiently(lambda: cluster.add_node(**node, env_vars={"UPTURN_TEST_DOOMED": "1"}))
        # As in a process that starts no nodes: those just started have put in a handler, too.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with connected(RayOptions(address=cluster.address)):
            while sum(found["Alive"] for found in ray.nodes()) < 2:
                time.sleep(0.1)
            print(f"cluster {time.monotonic() - start:.1f} s", flush=True)
            tell("same_rows", same_rows)
            tell("resumed", resumed)
            tell("same_question", same_question)
            tell("call_cap", call_cap)
            tell("money_cap", money_cap)
            tell("errors", errors)
            tell("no_room", no_room)
            tell("interrupted", interrupted)
            tell("worker_lost", worker_lost)
            tell("node_lost", lambda: node_lost(cluster, doomed))
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()
