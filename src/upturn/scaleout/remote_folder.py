"""A folder on a node of a cluster, with one command that works in it.

Files go there as bytes; what the command appends to one file comes back while it works, and any
folder when it is asked for. Nothing is pickled but bytes, text and numbers.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upturn.errors import OutageError
from upturn.lm import ModelSpec
from upturn.lm.connect import locate
from upturn.records import Json
from upturn.scaleout.cluster import connected
from upturn.scaleout.options import RayOptions

#: Stand in a command and in a JSON file for what only the node knows.
PYTHON, FOLDER, MINI = "{python}", "{folder}", "{upturn-mini}"
LOG = "worker.log"


class FolderActor:
    """Lives on the node; Ray calls its methods one after another."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="upturn-job-"))
        self._process: subprocess.Popen[bytes] | None = None

    def start(
        self, files: Mapping[str, bytes], filled: Sequence[str], command: Sequence[str]
    ) -> None:
        """Writes the files and starts the command; its output goes to ``worker.log``.

        Args:
            files: path below the folder -> content.
            filled: those of them that are JSON with stand-ins.
            command: its words, with stand-ins.
        """
        for name, content in files.items():
            path = self._folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self._json(content) if name in filled else content)
        with (self._folder / LOG).open("ab") as log:
            self._process = subprocess.Popen(
                [self._place(word) for word in command],
                # The guard ends the command when this pipe does: with this process.
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def news(self, name: str, offset: int) -> tuple[bytes, int | None]:
        """Returns what a file holds after ``offset``, and the exit code where there is one."""
        assert self._process is not None
        code = self._process.poll()
        path = self._folder / name
        if not path.exists():
            return b"", code
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(), code

    def fetch(self, name: str) -> dict[str, bytes]:
        """Returns a file, or all files below a folder: path -> content."""
        path = self._folder / name
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        return {str(p.relative_to(self._folder)): p.read_bytes() for p in found if p.is_file()}

    def signal(self, number: int) -> None:
        """Sends the guard a signal."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def close(self) -> None:
        """Ends the command and removes the folder."""
        self.signal(signal.SIGUSR1)
        if self._process is not None:
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _json(self, content: bytes) -> bytes:
        return json.dumps(self._filled(json.loads(content))).encode()

    def _filled(self, value: Json) -> Json:
        if isinstance(value, dict):
            return {k: self._filled(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self._filled(v) for v in value]
        return self._place(value) if isinstance(value, str) else value

    def _place(self, text: str) -> str:
        """A text that is a stand-in, or begins with the folder's; any other stays as it is."""
        if text == PYTHON:
            return sys.executable
        if text == MINI:
            return str(locate(ModelSpec(model="upturn-mini"))[0])
        inside = text == FOLDER or text.startswith(f"{FOLDER}/")
        return str(self._folder) + text[len(FOLDER) :] if inside else text


@dataclass(frozen=True, kw_only=True)
class Need:
    """What a command needs of a node."""

    cpus: float = 1.0
    gpus: float = 0.0


class RemoteFolder:
    """A folder on a node, from here.

    Args:
        options: how the cluster is reached; one is started here without an address.
        need: of the node.

    Raises:
        MissingExtraError, ConfigError: as ``cluster.connected``.
    """

    def __init__(self, options: RayOptions, need: Need) -> None:
        self._stack = ExitStack()
        self._stack.enter_context(connected(options))
        self._timeout_s = options.start_timeout_s
        import ray

        remote: Any = ray.remote(FolderActor)
        self._actor: Any = remote.options(
            num_cpus=need.cpus, num_gpus=need.gpus, max_restarts=0
        ).remote()
        self._need = need

    def start(
        self, files: Mapping[str, bytes], *, filled: Sequence[str], command: Sequence[str]
    ) -> None:
        """Sends the files and starts the command; see ``FolderActor.start``.

        Raises:
            OutageError: no node takes it in time, or it was lost at once.
        """
        import ray
        from ray.exceptions import GetTimeoutError

        try:
            self._call("start", dict(files), list(filled), list(command), timeout=self._timeout_s)
        except GetTimeoutError as error:
            self.close()
            raise OutageError(
                f"a node must take the job within {self._timeout_s:.0f} s, and none has "
                f"{self._need.cpus:g} CPUs and {self._need.gpus:g} GPUs free",
                where="executor",
                fix="ray status",
            ) from error
        assert ray.is_initialized()

    def news(self, name: str, offset: int) -> tuple[bytes, int | None]:
        """As ``FolderActor.news``.

        Raises:
            OutageError: the node was lost.
        """
        return self._call("news", name, offset)

    def fetch(self, name: str) -> dict[str, bytes]:
        """As ``FolderActor.fetch``.

        Raises:
            OutageError: the node was lost.
        """
        return self._call("fetch", name)

    def signal(self, number: int) -> None:
        """Sends the command a signal; does not wait."""
        self._actor.signal.remote(number)

    def close(self) -> None:
        """Ends the command, frees the node, and the cluster if it was ours."""
        import ray
        from ray.exceptions import RayError

        # Where it is gone already, its folder is the node's to clean.
        with suppress(RayError):
            ray.get(self._actor.close.remote(), timeout=10)
        ray.kill(self._actor)
        self._stack.close()

    def _call(self, method: str, *args: Any, timeout: float | None = None) -> Any:
        import ray
        from ray.exceptions import RayActorError

        try:
            return ray.get(getattr(self._actor, method).remote(*args), timeout=timeout)
        except RayActorError as error:
            raise OutageError(
                "the node that trains must stay, and it was lost",
                where="executor: ray",
                fix="run the same command again: it goes on from the newest checkpoint here",
            ) from error
