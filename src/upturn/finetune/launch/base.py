"""What a launcher promises, and the one that all launchers of processes share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Protocol

from upturn.finetune.folder import JobFolder
from upturn.finetune.records import WorkOrder

_GUARD = Path(__file__).with_name("guard.py")
#: Nothing is fetched or reported while a worker runs, and threads that wait do not spin.
_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "OMP_WAIT_POLICY": "PASSIVE",
    "TOKENIZERS_PARALLELISM": "false",
}


class Running(Protocol):
    """A worker that was started. Called from one thread; signals may come from a handler."""

    def poll(self) -> int | None:
        """Returns the exit code, or None while it runs. 128 + n for signal n."""
        ...

    def stop(self) -> None:
        """Asks it to write a checkpoint and to end. Does not wait."""
        ...

    def kill(self) -> None:
        """Ends it now, with all its processes."""
        ...

    def close(self) -> None:
        """Ends what is left of it, and frees what was opened for it."""
        ...


class Launcher(Protocol):
    """Starts the worker of a job's folder, and brings back what it writes there."""

    def start(self, folder: JobFolder, order: WorkOrder, *, lock: int) -> Running:
        """Starts a worker; its words go to the folder's ``worker.log``.

        Args:
            folder: holds all that the worker needs.
            order: as in the folder.
            lock: file descriptor of the folder's lock, held for as long as the worker lives.

        Raises:
            InputError: it cannot be started here.
        """
        ...


class GuardedProcess:
    """A command under a guard, which ends it when this process dies. Implements ``Running``.

    Args:
        command: what is run, without a shell.
        log: file that its output is appended to.
        lock: kept open by the guard.
    """

    def __init__(self, command: Sequence[str], *, log: Path, lock: int) -> None:
        self._log: IO[bytes] = log.open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(_GUARD), *command],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            pass_fds=(lock,),
            # Ctrl-C in a terminal goes to this process alone, which asks the worker to stop.
            start_new_session=True,
            env={**_ENVIRONMENT, **os.environ},
        )

    @property
    def pid(self) -> int:
        """Of the guard."""
        return self._process.pid

    def poll(self) -> int | None:
        code = self._process.poll()
        return code if code is None or code >= 0 else 128 - code

    def stop(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGUSR1)

    def close(self) -> None:
        if self._process.poll() is None:
            self.kill()
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._log.close()

    def _signal(self, number: int) -> None:
        if self._process.poll() is None:
            self._process.send_signal(number)
