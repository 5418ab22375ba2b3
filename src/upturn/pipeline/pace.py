"""Seconds a call: declared, measured on a few rows, or taken from what a provider usually needs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from upturn.evaluate import CandidateRunner
from upturn.lm import ModelSpec
from upturn.records import Candidate, Example
from upturn.report.quote import Range

#: Rows that a probe runs, on the shortest and the longest prompt together.
PROBE_ROWS = 8
#: Seconds that a call to a hosted model takes, where nobody says otherwise.
REMOTE_LATENCY_S = Range(low=0.4, expected=1.0, high=3.0)
#: Seconds that a call to a small model in this process takes, where none was probed.
LOCAL_CALL_S = Range(low=0.01, expected=0.03, high=0.2)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Seconds of wall time a call takes, and a sentence that says how that is known."""

    seconds_per_call: Range
    note: str


def assumed_pace(spec: ModelSpec, latency_s: float | None = None) -> Pace:
    """The pace of a model that nothing was asked of.

    Args:
        spec: where it runs, and how many calls at a time.
        latency_s: seconds a call takes, where the user says so.
    """
    if spec.is_local and latency_s is None:
        return Pace(
            seconds_per_call=LOCAL_CALL_S,
            note="time assumes 5 to 100 calls a second, since the model was not tried",
        )
    latency = REMOTE_LATENCY_S if latency_s is None else Range.of(latency_s, 0.5)
    lanes = 1 if spec.is_local else spec.concurrency
    return Pace(
        seconds_per_call=latency * (1 / lanes),
        note=f"time assumes {latency.low:g} to {latency.high:g} s a call, {lanes} at a time",
    )


def probed_pace(
    runner: CandidateRunner,
    prompts: Sequence[Candidate],
    rows: Sequence[Example],
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> Pace:
    """Runs a few rows on each prompt and takes the time. What they cost is metered.

    The first rows of a prompt also pay for reading what all its rows share, so that a whole turn
    is faster than its probe: the range reaches down further than up.

    Rows that the cache answered say nothing about a pace: then it is taken from what the calls took
    when they were paid for.

    Args:
        runner: runs the rows.
        prompts: candidates of different length, each of which gets the same share of the rows.
        rows: the rows; ``PROBE_ROWS`` of them are used.
        clock: seconds, monotonic.
    """
    share = max(1, PROBE_ROWS // len(prompts))
    times: list[float] = []
    for prompt in prompts:
        began = clock()
        found = runner.evaluate(prompt, rows[:share])
        took_s = clock() - began
        if any(r.cached_calls for r in found.rows):
            # In flight together, each waited for the others: about what all of them took.
            took_s = max(took_s, *(r.latency_s for r in found.rows))
        times.append(took_s / min(share, len(rows)))
    mean = sum(times) / len(times)
    return Pace(
        seconds_per_call=Range(low=mean / 4, expected=mean / 2, high=mean * 1.5),
        note=f"time is measured: {share * len(prompts)} probe calls took {mean:.3f} s each, "
        "and a turn shares more work between its calls",
    )
