"""How fast feedback comes in: an export into a store, and the same spans into MLflow's endpoint.

    python benchmarks/ingest.py                    # 1,000,000 requests, 300,000 feedback, gzip
    python benchmarks/ingest.py --requests 40000 --feedback 12000
    python benchmarks/ingest.py --store postgresql+psycopg://postgres@127.0.0.1:5432/test
    python benchmarks/ingest.py --mlflow 5000      # and 5,000 of the requests as spans

The ingest runs as a user starts it, in a process of its own, with scrubbing on. Seconds are of the
whole process; the peak is the largest resident set of that process as the kernel counts it.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import resource
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

Json = Any
START = datetime(2026, 3, 1, tzinfo=UTC)
TEAMS = ("billing", "returns", "shipping", "technical", "accounts")
VOCABULARY = (
    "parcel lamp invoice refund broken late order number account password delivery address "
    "charged twice missing damaged screen cable return label please help thanks still waiting "
    "since monday nobody answered wrong size colour exchange voucher login email phone support"
)
WORDS = VOCABULARY.split()
BATCH = 200  # spans of one POST, the fastest that MLflow's endpoint was measured with


def requests(n: int, rng: random.Random) -> Iterator[dict[str, Json]]:
    """Yields requests of about 330 bytes, a message of about 120 characters among them."""
    for i in range(n):
        message = " ".join(rng.choices(WORDS, k=19))
        if i % 50 == 0:  # what scrubbing has to find
            message += f" write to user{i}@example.com or call +49 30 {1000000 + i % 9000000}"
        yield {
            "upturn": 1,
            "kind": "request",
            "id": f"{rng.getrandbits(64):016x}-{i:x}",
            "time": (START + timedelta(seconds=i * 10)).isoformat(),
            "program": "ticket_triage",
            "version": f"v{i * 5 // n}",
            "model": "upturn-mini",
            "inputs": {"message": message},
            "outputs": {"team": rng.choice(TEAMS), "priority": "normal"},
            "user": f"cust-{rng.randrange(max(n // 20, 1))}",
            "session": f"conv-{i // 3}",
            "latency_ms": round(rng.uniform(80, 900), 1),
            "usage": {"input_tokens": 310, "output_tokens": 12},
        }


def feedback(n: int, asked: dict[str, Json], rng: random.Random) -> dict[str, Json]:
    """Returns one of the usual signals on a request."""
    agent = {"id": f"agent-{rng.randrange(40)}", "role": "agent"}
    customer = {"id": asked["user"], "role": "customer"}
    signal, value, by = rng.choice(
        (
            ("thumbs", rng.random() < 0.6, customer),
            ("correction", {"team": rng.choice(TEAMS)}, agent),
            ("kept", True, {"id": "helpdesk", "role": "system"}),
            ("edit", {"team": rng.choice(TEAMS)}, agent),
        )
    )
    later = datetime.fromisoformat(asked["time"]) + timedelta(hours=rng.randrange(1, 48))
    return {
        "upturn": 1,
        "kind": "feedback",
        "id": f"fb-{n:x}-{asked['id'][:8]}",
        "request_id": asked["id"],
        "time": later.isoformat(),
        "signal": signal,
        "value": value,
        "by": by,
    }


def write_export(path: Path, n: int, opinions: int, rng: random.Random) -> list[dict[str, Json]]:
    """Writes the export, feedback on about a quarter of the requests; returns some requests."""
    sample: list[dict[str, Json]] = []
    written, waiting = 0, list[dict[str, Json]]()
    with gzip.open(path, "wt", compresslevel=1, encoding="utf-8") as file:
        for i, asked in enumerate(requests(n, rng), start=1):
            file.write(json.dumps(asked, separators=(",", ":")) + "\n")
            if len(sample) < 20_000:
                sample.append(asked)
            if rng.random() < 0.25 or not waiting:
                waiting.append(asked)
            # Feedback comes later than what it speaks of, and some requests get more than one.
            while written < opinions * i // n:
                about = waiting[rng.randrange(len(waiting))]
                file.write(json.dumps(feedback(written, about, rng), separators=(",", ":")) + "\n")
                written += 1
            waiting = waiting[-500:]
    return sample


def ingest(source: Path, store: str) -> dict[str, Json]:
    """Runs ``upturn ingest`` and returns its answer, with the wall time of the whole process."""
    command = [sys.executable, "-c", "from upturn.cli import main; main()", "ingest"]
    command += [str(source), "--store", store, "--format", "native", "--json"]
    start = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return {**json.loads(done.stdout), "wall_s": time.monotonic() - start}


def spans(asked: list[dict[str, Json]]) -> bytes:
    """Returns requests as the protobuf body of one POST /v1/traces."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    body = ExportTraceServiceRequest()
    scope = body.resource_spans.add().scope_spans.add()
    for request in asked:
        span = scope.spans.add()
        span.trace_id, span.span_id = random.randbytes(16), random.randbytes(8)
        span.name = request["program"]
        begin = int(datetime.fromisoformat(request["time"]).timestamp() * 1e9)
        span.start_time_unix_nano = begin
        span.end_time_unix_nano = begin + int(request["latency_ms"] * 1e6)
        for key, value in (
            ("mlflow.spanInputs", json.dumps(request["inputs"])),
            ("mlflow.spanOutputs", json.dumps(request["outputs"])),
            ("user.id", request["user"]),
            ("session.id", request["session"]),
            ("gen_ai.request.model", request["model"]),
        ):
            attribute = span.attributes.add()
            attribute.key, attribute.value.string_value = key, value
    return body.SerializeToString()


@contextmanager
def mlflow_server(folder: Path) -> Generator[str]:
    """Gives the address of an MLflow server of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    command += ["--default-artifact-root", (folder / "artifacts").as_uri()]
    env = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    env["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    with (folder / "mlflow.log").open("wb") as log:
        server = subprocess.Popen(command, env=env, stdout=log, stderr=log, cwd=folder)
        try:
            wait_for(f"http://127.0.0.1:{port}/health")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(30)


def wait_for(url: str, patience_s: float = 90.0) -> None:
    deadline = time.monotonic() + patience_s
    while True:
        try:
            with urllib.request.urlopen(url):
                return
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)


def post(url: str, body: bytes, headers: dict[str, str]) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as response:
        return response.read()


def into_mlflow(asked: list[dict[str, Json]], folder: Path) -> float:
    """Returns the seconds that MLflow's OTLP endpoint takes for some requests as spans."""
    with mlflow_server(folder) as server:
        made = post(
            f"{server}/api/2.0/mlflow/experiments/create",
            json.dumps({"name": "benchmark"}).encode(),
            {"Content-Type": "application/json"},
        )
        headers = {
            "Content-Type": "application/x-protobuf",
            "x-mlflow-experiment-id": json.loads(made)["experiment_id"],
        }
        bodies = [spans(asked[i : i + BATCH]) for i in range(0, len(asked), BATCH)]
        post(f"{server}/v1/traces", spans(asked[:1]), headers)  # what is imported at first use
        start = time.monotonic()
        for body in bodies:
            post(f"{server}/v1/traces", body, headers)
        return time.monotonic() - start


def beside_mlflow(asked: list[dict[str, Json]], folder: Path) -> None:
    """Prints the rates of both on the same requests, one after the other on the same machine."""
    source = folder / "same.jsonl.gz"
    lines = "".join(json.dumps(r, separators=(",", ":")) + "\n" for r in asked)
    source.write_bytes(gzip.compress(lines.encode(), 1))
    ours = ingest(source, str(folder / "same.db"))
    ours_s, theirs_s = ours["seconds"], into_mlflow(asked, folder)
    print(f"the same {len(asked):,} requests, one span each, start-up not counted:")
    print(f"  upturn ingest           {len(asked) / ours_s:10,.0f} /s   {ours_s:8.2f} s")
    print(f"  MLflow POST /v1/traces  {len(asked) / theirs_s:10,.0f} /s   {theirs_s:8.2f} s")
    print(f"  ratio                   {theirs_s / ours_s:10.1f}")


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--feedback", type=int, default=300_000)
    parser.add_argument("--store", help="a new SQLite file by default")
    parser.add_argument("--keep", type=Path, help="a folder to keep export and store in")
    parser.add_argument("--mlflow", type=int, default=0, metavar="N", help="spans to send")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        source = folder / "export.jsonl.gz"
        rng = random.Random(asked.seed)
        sample = write_export(source, asked.requests, asked.feedback, rng)
        print(f"export: {source.stat().st_size / 1e6:.1f} MB gzip")
        done = ingest(source, asked.store or str(folder / "store.db"))
        events = asked.requests + asked.feedback
        assert done["requests"] + done["feedback"] + done["duplicates"] == events, done
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s, peak = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
        print(f"{done['requests']:,} requests, {done['feedback']:,} feedback, scrubbed")
        print(f"  seconds   {done['wall_s']:10.1f}")
        print(f"  events/s  {events / done['wall_s']:10,.0f}")
        print(f"  CPU s     {cpu_s:10.1f}   (more seconds than that: the machine had other work)")
        print(f"  peak MiB  {peak:10.0f}")
        if asked.mlflow:
            beside_mlflow(sample[: asked.mlflow], folder)


if __name__ == "__main__":
    main()
