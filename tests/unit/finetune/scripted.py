"""A worker without a model: does what ``script.json`` in the job's folder says, one entry a start.

A step of the script is a list: ["event", kind, {values}], ["exit", code], ["kill", signal],
["wait"] (for ever), ["deaf"] (to SIGTERM), ["until_stopped", code] (SIGTERM writes a checkpoint,
then it exits with the code), ["checkpoint", step], ["final"] or ["final", folder to copy],
["print", text], ["raw", text], ["pid"] (writes ``pid``).
"""

import hashlib
import json
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

FOLDER = Path(sys.argv[-1])


def emit(kind: str, values: dict) -> None:
    with (FOLDER / "events.jsonl").open("a") as file:
        file.write(json.dumps({"kind": kind, "time": time.time(), **values}) + "\n")


def checkpoint(step: int) -> None:
    folder = FOLDER / "checkpoints" / f"step-{step:06d}"
    folder.mkdir(parents=True, exist_ok=True)
    content = f"weights of step {step}".encode()
    (folder / "adapter_model.safetensors").write_bytes(content)
    (folder / "adapter_config.json").write_bytes(b"{}")
    files = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}
    (folder / "manifest.json").write_text(json.dumps(files))


def until_stopped(code: int) -> None:
    asked = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked.set())
    emit("step", {"step": 7, "loss": 1.0})
    asked.wait()
    checkpoint(7)
    emit("stop", {"step": 7, "reason": "signal"})
    sys.exit(code)


def main() -> None:
    count = FOLDER / "starts"
    start = int(count.read_text()) if count.exists() else 0
    count.write_text(str(start + 1))
    for name, *values in json.loads((FOLDER / "script.json").read_text())[start]:
        if name == "event":
            emit(values[0], values[1])
        elif name == "exit":
            sys.exit(values[0])
        elif name == "kill":
            os.kill(os.getpid(), values[0])
        elif name == "deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        elif name == "wait":
            threading.Event().wait()
        elif name == "until_stopped":
            until_stopped(values[0])
        elif name == "checkpoint":
            checkpoint(values[0])
        elif name == "final" and values:
            shutil.copytree(values[0], FOLDER / "final", dirs_exist_ok=True)
        elif name == "final":
            (FOLDER / "final").mkdir(exist_ok=True)
            (FOLDER / "final" / "adapter_model.safetensors").write_bytes(b"weights")
            (FOLDER / "final" / "adapter_config.json").write_bytes(b"{}")
        elif name == "print":
            print(values[0], file=sys.stderr, flush=True)
        elif name == "raw":
            with (FOLDER / "events.jsonl").open("a") as file:
                file.write(values[0])
        elif name == "pid":
            (FOLDER / "pid").write_text(str(os.getpid()))


main()
