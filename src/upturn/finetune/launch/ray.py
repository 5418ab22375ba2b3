"""On a node of a Ray cluster: the folder goes there, events and checkpoints come back as they come.

So a node that is lost costs what one here would: the steps since the last checkpoint.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from upturn.errors import ConfigError, OutageError
from upturn.finetune.folder import JobFolder
from upturn.finetune.launch.base import Running
from upturn.finetune.launch.local import WORKER, local_command
from upturn.finetune.records import (
    CHECKPOINTS,
    DEV,
    DEV_ROWS,
    EVENTS,
    FINAL,
    ROWS,
    WORK,
    WorkOrder,
)
from upturn.scaleout.options import RayOptions
from upturn.scaleout.remote_folder import FOLDER, LOG, MINI, PYTHON, Need, RemoteFolder
from upturn.scaleout.sources import Sources

_GUARD = ("-m", "upturn.finetune.launch.guard")
_SOURCES, _ACCELERATE = "sources", "accelerate.yaml"


@dataclass(frozen=True, kw_only=True)
class RayLauncher:
    """Starts the worker on a node. Implements ``Launcher``.

    Attributes:
        options: how the cluster is reached.
        worker: what Python is told to run there; another one in tests.
    """

    options: RayOptions = field(default_factory=RayOptions)
    worker: tuple[str, ...] = WORKER

    def start(self, folder: JobFolder, order: WorkOrder, *, lock: int) -> Running:
        """Sends the folder and starts the worker. The lock is this process's: so is the connection.

        Raises:
            MissingExtraError: Ray is not installed.
            ConfigError: no cluster answers, or a file of the job cannot be sent.
            OutageError: no node takes it.
        """
        files, moved = _payload(folder, order)
        command = local_command(moved.spec.run, Path(FOLDER), worker=self.worker, check=False)
        words = [PYTHON, *_GUARD, *(PYTHON if w == sys.executable else w for w in command)]
        run = order.spec.run
        cpus = self.options.num_cpus_per_task * run.processes
        gpus = float(run.processes) if run.device == "cuda" else 0.0
        remote = RemoteFolder(self.options, Need(cpus=cpus, gpus=gpus))
        try:
            remote.start(files, filled=[WORK], command=words)
        except BaseException:
            remote.close()
            raise
        return _RemoteRunning(remote, folder)


class _RemoteRunning:
    """Mirrors the node's folder here. Implements ``Running``."""

    def __init__(self, remote: RemoteFolder, folder: JobFolder) -> None:
        self._remote, self._folder = remote, folder
        self._offset, self._rest = 0, b""

    def poll(self) -> int | None:
        try:
            new, code = self._remote.news(EVENTS, self._offset)
            self._take(new)
            if code is not None:
                self._last(code)
        except OutageError as error:
            self._log(f"{error}\n".encode())
            return 1
        return code

    def stop(self) -> None:
        self._remote.signal(signal.SIGTERM)

    def kill(self) -> None:
        self._remote.signal(signal.SIGUSR1)

    def close(self) -> None:
        self._remote.close()

    def _take(self, new: bytes) -> None:
        """Appends whole lines; a checkpoint is here before its event is."""
        self._offset += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        for line in lines:
            self._checkpoint(line)
            with self._folder.events.open("ab") as file:
                file.write(line + b"\n")

    def _checkpoint(self, line: bytes) -> None:
        try:
            event: Any = json.loads(line)
        except ValueError:
            return
        if event.get("kind") == "checkpoint":
            self._fetch(f"{CHECKPOINTS}/step-{int(event['step']):06d}")

    def _last(self, code: int) -> None:
        new, _ = self._remote.news(EVENTS, self._offset)
        self._take(new)
        self._log(self._remote.fetch(LOG).get(LOG, b""))
        if code == 0:
            self._fetch(FINAL)

    def _fetch(self, name: str) -> None:
        """Puts a folder of the node's in its place here, whole or not at all."""
        files = self._remote.fetch(name)
        target = self._folder.path / name
        fresh = target.parent / f".fetched-{target.name}"
        shutil.rmtree(fresh, ignore_errors=True)
        for path, content in files.items():
            made = fresh / Path(path).relative_to(name)
            made.parent.mkdir(parents=True, exist_ok=True)
            with made.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        if fresh.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            fresh.rename(target)

    def _log(self, text: bytes) -> None:
        with self._folder.log.open("ab") as file:
            file.write(text)


def _payload(folder: JobFolder, order: WorkOrder) -> tuple[dict[str, bytes], WorkOrder]:
    """Returns the files that go to the node, and the order with its places there."""
    files = {n: (folder.path / n).read_bytes() for n in (ROWS, DEV_ROWS, DEV)}
    refs = [ref for ref in (order.program, order.metric) if ref]
    sources = Sources.read(Path(order.root), refs)
    files |= {f"{_SOURCES}/{n}": text.encode() for n, text in sources.texts.items()}
    spec = order.spec
    if spec.start is not None:
        files |= _files_of(Path(spec.start), "start")
        spec = replace(spec, start=f"{FOLDER}/start")
    if spec.run.accelerate_config is not None:
        files[_ACCELERATE] = _read(Path(spec.run.accelerate_config))
        spec = replace(spec, run=replace(spec.run, accelerate_config=f"{FOLDER}/{_ACCELERATE}"))
    newest = folder.newest_checkpoint()
    if newest is not None:
        files |= _files_of(newest.folder, f"{CHECKPOINTS}/{newest.folder.name}")
    base = MINI if order.base_id.startswith("upturn-mini@") else order.base
    moved = replace(order, spec=spec, base=base, root=f"{FOLDER}/{_SOURCES}")
    files[WORK] = json.dumps(moved.to_json()).encode()
    return files, moved


def _files_of(folder: Path, name: str) -> dict[str, bytes]:
    return {f"{name}/{p.name}": _read(p) for p in sorted(folder.iterdir()) if p.is_file()}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"must be readable, to be sent to a node ({error})", where=str(path)
        ) from error
