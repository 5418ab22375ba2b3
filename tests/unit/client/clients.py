"""Clients for tests, and what is done with them."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace

from upturn.client import Client, Options, record_call

# Quick in what it does by itself, patient with everybody else: a machine that is slow for a while
# must look neither like a server that is silent nor like an end that takes too long.
QUICK = Options(linger_s=0.01, spill_linger_s=0.02, first_wait_s=0.05, longest_wait_s=0.1,
                timeout_s=120.0, exit_s=120.0)  # fmt: skip


def batches_of(n: int) -> Options:
    """Sends whole batches only, unless it is flushed: what goes together is known then."""
    return replace(QUICK, linger_s=600.0, batch_events=n)


@contextmanager
def made(url, spill=False, options=QUICK, **more):
    client = Client(url, spill=spill, options=options, environment={}, **more)
    try:
        yield client
    finally:
        client.close()


def say(client: Client, n: int, start: int = 0) -> list[str]:
    return [
        record_call("triage", inputs={"n": i}, outputs={"y": 1}, client=client)
        for i in range(start, start + n)
    ]


def until(true, timeout_s: float = 60.0) -> None:
    end = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end, "never came true"
        time.sleep(0.005)
