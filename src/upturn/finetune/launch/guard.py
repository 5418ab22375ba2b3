"""Runs a command, and ends it when whoever asked for it is gone: ``python -I guard.py COMMAND …``.

Standard input is a pipe that nobody writes to: it ends when the other process does, however that
came about. The command then gets SIGTERM, time for a last checkpoint, and SIGKILL. Imports nothing
of Upturn, so that it starts at once. SIGUSR1 ends the command now.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

#: torchrun itself gives its processes 30 s.
GRACE_S = 45.0


def main(command: list[str]) -> int:
    """Returns the command's exit code; 128 + n where signal n ended it, 127 where none started."""
    # Signals that come before there is somebody to pass them to wait.
    passed = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1}
    signal.pthread_sigmask(signal.SIG_BLOCK, passed)
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, passed),
        )
    except OSError as error:
        print(f"cannot run {command[0]}: {error}", file=sys.stderr, flush=True)
        return 127
    for number in passed:
        signal.signal(number, lambda n, _: _send(child.pid, n))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, passed)
    threading.Thread(target=_watch, args=(child.pid,), daemon=True).start()
    code = child.wait()
    return code if code >= 0 else 128 - code


def _watch(child: int) -> None:
    while os.read(0, 1):
        pass
    _send(child, signal.SIGTERM)
    time.sleep(GRACE_S)
    _send(child, signal.SIGKILL)


def _send(child: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL if number == signal.SIGUSR1 else number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
