"""Measures the collector and the client, on this machine, against the real server and SQLite.

    python benchmarks/collector.py                          # rates, latency, the client's cost
    python benchmarks/collector.py --kill 20 --events 100000  # what kill -9 loses: must be nothing
    python benchmarks/collector.py --store postgresql+psycopg://postgres@127.0.0.1:5432/test

Server and load generator are processes of their own that share the machine's cores. The numbers
are printed as JSON, one line each; the targets stand beside them. A shared machine is noisy: run it
twice.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

UPTURN = [sys.executable, "-c", "from upturn.cli import main; main()"]
TEXT = "My parcel was due on Monday and the tracking page still says it is being packed. "
ANSWER_TIMEOUT_S = 30.0


@dataclass
class Server:
    """One ``upturn collect`` that can be killed and started again on the same port and store."""

    folder: Path
    store: str
    port: int = 0
    process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [*UPTURN, "collect", "--store", self.store, "--port", str(self.port)]
        command += ["--token-file", str(self.folder / "token"), "--rate", "1000000"]
        environment = {**os.environ, "XDG_CONFIG_HOME": str(self.folder)}
        self.process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env=environment, cwd=self.folder
        )
        assert self.process.stderr is not None
        for line in self.process.stderr:
            found = re.search(r"listening on http://127\.0\.0\.1:(\d+)", line)
            if found:
                self.port = int(found[1])
                return
        raise SystemExit("the collector did not start")

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(number)
        self.process.communicate()

    @property
    def token(self) -> str:
        return (self.folder / "token").read_text().strip()


@contextmanager
def serving(store: str) -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as name:
        server = Server(Path(name), store or str(Path(name) / "store.db"))
        server.start()
        try:
            yield server
        finally:
            server.stop(signal.SIGKILL)


def event(id_: str) -> dict[str, Any]:
    return {
        "id": id_,
        "time": "2026-01-01T08:00:00+00:00",
        "program": "triage",
        "inputs": {"message": TEXT * 3},
        "outputs": {"team": "Delivery", "priority": "low"},
        "user": "customer-7",
        "model": "small-model",
        "latency_ms": 312.5,
    }


class Connection:
    """One keep-alive connection that posts events. Raw sockets: the generator must be cheap."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._head = (
            "POST /v1/requests HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            f"authorization: Bearer {token}\r\ncontent-length: "
        ).encode()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, body: bytes) -> int:
        """Posts a body and returns the status; raises ``OSError`` or ``EOFError`` without one."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        try:
            writer.write(self._head + str(len(body)).encode() + b"\r\n\r\n" + body)
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                answer = await reader.readexactly(length)
            status = int(head[9:12])
            return 299 if status == 200 and b'"rejected":0' not in answer else status
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


@dataclass
class Measured:
    """Latencies in seconds of what was answered with 200, and the rest by status."""

    latencies: list[float] = field(default_factory=list)
    others: dict[int, int] = field(default_factory=dict)

    def add(self, status: int, seconds: float) -> None:
        if status == 200:
            self.latencies.append(seconds)
        else:
            self.others[status] = self.others.get(status, 0) + 1

    def at(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000, 2)


def body_of(prefix: str, number: int, batch: int) -> bytes:
    events = [event(f"{prefix}-{number}-{i}") for i in range(batch)]
    return json.dumps(events if batch > 1 else events[0]).encode()


async def flood(
    server: Server, prefix: str, total: int, batch: int, connections: int
) -> dict[str, Any]:
    """Sends as fast as answers come."""
    measured, numbers = Measured(), iter(range(total // batch))

    async def send() -> None:
        connection = Connection(server.port, server.token)
        for number in numbers:
            started = time.perf_counter()
            status = await connection.post(body_of(prefix, number, batch))
            measured.add(status, time.perf_counter() - started)
        connection.close()

    started = time.perf_counter()
    await asyncio.gather(*(send() for _ in range(connections)))
    seconds = time.perf_counter() - started
    return {
        "events_per_s": round(len(measured.latencies) * batch / seconds),
        "p50_ms": measured.at(0.5),
        "p99_ms": measured.at(0.99),
        "events": len(measured.latencies) * batch,
        "not_200": measured.others,
    }


async def steady(
    server: Server, prefix: str, rate: float, seconds: float, connections: int
) -> dict[str, Any]:
    """Sends at a given rate, at random moments; latency counts from the moment that was due."""
    measured, rng = Measured(), random.Random(1)
    moments = iter(_moments(rng, rate, seconds))
    loop = asyncio.get_running_loop()
    begin = loop.time() + 0.1

    async def send(name: int) -> None:
        connection = Connection(server.port, server.token)
        for number, due in enumerate(moments):
            await asyncio.sleep(begin + due - loop.time())
            status = await connection.post(body_of(f"{prefix}-{name}", number, 1))
            # From when it was due: a queue in front of the generator is the server's slowness too.
            measured.add(status, loop.time() - begin - due)
        connection.close()

    await asyncio.gather(*(send(n) for n in range(connections)))
    return {
        "rate_per_s": rate,
        "p50_ms": measured.at(0.5),
        "p99_ms": measured.at(0.99),
        "max_ms": measured.at(1.0),
        "events": len(measured.latencies),
        "not_200": measured.others,
    }


def _moments(rng: random.Random, rate: float, seconds: float) -> Iterator[float]:
    moment = 0.0
    while moment < seconds:
        moment += rng.expovariate(rate)
        yield moment


def client_cost(n: int) -> dict[str, Any]:
    """What one call costs the application, while the client's thread sends to a real server."""
    from upturn.client import Client, feedback, record_call

    with serving("") as server:
        url = f"http://127.0.0.1:{server.port}"
        client = Client(url, server.token, spill=server.folder / "spill")
        inputs, outputs = {"message": TEXT * 3}, {"team": "Delivery", "priority": "low"}
        cost: dict[str, Any] = {"n": n}
        for name, call in (
            (
                "record_call",
                lambda: record_call("t", inputs=inputs, outputs=outputs, client=client),
            ),
            ("feedback", lambda: feedback("r", thumbs=True, client=client)),
        ):
            each: list[int] = []
            for _ in range(n):
                started = time.perf_counter_ns()
                call()
                each.append(time.perf_counter_ns() - started)
            each.sort()
            cost[f"{name}_mean_us"] = round(sum(each) / n / 1000, 2)
            cost[f"{name}_p50_us"] = round(each[n // 2] / 1000, 2)
            cost[f"{name}_p99_us"] = round(each[int(n * 0.99)] / 1000, 2)
        client.close(5.0)
        stats = client.stats()
        cost |= {"sent": stats.sent, "spilled": stats.spilled, "dropped": stats.dropped}
    return cost


def kills(times: int, total: int, store: str) -> dict[str, Any]:
    """Kills the server at random moments while events are posted; counts what was acknowledged
    and is not in the store."""
    rng = random.Random(20)
    with serving(store) as server:
        acknowledged, retried = asyncio.run(_post_through_kills(server, times, total, rng))
        server.stop()
        lost = _missing(server, acknowledged)
    return {
        "kills": times,
        "acknowledged": len(acknowledged),
        "posts_without_answer": retried,
        "acknowledged_and_lost": lost,
    }


async def _post_through_kills(
    server: Server, times: int, total: int, rng: random.Random
) -> tuple[set[str], int]:
    acknowledged: set[str] = set()
    numbers, retried, batch = iter(range(total // 5)), 0, 5
    server_is_up = asyncio.Event()
    server_is_up.set()

    async def send() -> None:
        nonlocal retried
        connection = Connection(server.port, server.token)
        for number in numbers:
            body = body_of("k", number, batch)
            while True:
                await server_is_up.wait()
                try:
                    if await connection.post(body) == 200:
                        acknowledged.update(f"k-{number}-{i}" for i in range(batch))
                        break
                except (OSError, EOFError, TimeoutError):
                    pass
                retried += 1
                await asyncio.sleep(0.02)
        connection.close()

    async def kill() -> None:
        # Between two kills, a random share of what is left over the kills that are left.
        for left in range(times, 0, -1):
            target = len(acknowledged) + (total - len(acknowledged)) / (left + 1) * rng.uniform(
                0.2, 1.4
            )
            while len(acknowledged) < min(target, total - batch):
                await asyncio.sleep(0.001)
            await asyncio.sleep(rng.uniform(0, 0.02))
            server_is_up.clear()
            server.stop(signal.SIGKILL)
            await asyncio.to_thread(server.start)
            server_is_up.set()

    await asyncio.gather(kill(), *(send() for _ in range(32)))
    return acknowledged, retried


def _missing(server: Server, acknowledged: set[str]) -> int:
    from upturn.store import FeedbackStore

    store = server.store if "://" in server.store else str(server.folder / server.store)
    with FeedbackStore.open(store) as opened:
        return len(acknowledged - {r.id for r in opened.requests()})


def show(name: str, target: str, value: dict[str, Any]) -> None:
    print(json.dumps({"measured": name, "target": target, **value}), flush=True)


def rates(store: str, events: int) -> None:
    run = f"r{time.time_ns()}"
    with serving(store) as server:
        asyncio.run(flood(server, f"{run}-warm", 500, 1, 8))
        single = asyncio.run(flood(server, f"{run}-1", events, 1, 32))
        show("single events, 32 connections", "events_per_s >= 2000", single)
        batches = asyncio.run(flood(server, f"{run}-20", events * 4, 20, 16))
        show("batches of 20, 16 connections", "", batches)
        at_half = asyncio.run(steady(server, f"{run}-s", 1000.0, events / 2000, 32))
        show("steady single events", "p99_ms <= 50 at 1000/s", at_half)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--store", default="", help="a store's URL; SQLite in a new folder")
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--calls", type=int, default=100_000, help="calls of the client")
    parser.add_argument("--kill", type=int, default=0, help="kill the server so many times instead")
    options = parser.parse_args()
    print(json.dumps({"cores": os.cpu_count(), "load": os.getloadavg()[0]}), flush=True)
    if options.kill:
        show("kill -9", "lost = 0", kills(options.kill, options.events, options.store))
        return
    rates(options.store, options.events)
    show("client", "mean <= 50 us", client_cost(options.calls))


if __name__ == "__main__":
    main()
