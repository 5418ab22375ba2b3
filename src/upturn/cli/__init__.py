"""The command line: one file per command. Nothing heavy is imported before a command runs.

Exit codes: 0 done, 1 an error of our own, 2 bad input or a machine that must be mended, 3 HOLD or
INCONCLUSIVE where ``--strict`` or ``upturn gate`` asked for it, 130 interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command and exits with its code. An error a user can mend shows no traceback."""
    # Set before the libraries are imported: each would reach for the network at import or at first
    # use.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    # Threads that wait must not spin: on a busy machine that makes a local model many times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # A shell that starts us in the background has it ignored, and it stays so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupted)
    try:
        code = run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    import typer

    from upturn.cli.app import app
    from upturn.errors import UpturnError

    # Typer may carry a click of its own, which it does not export: its errors are no click's.
    errors = import_module(typer.BadParameter.__module__)
    try:
        result = app(args=arguments, prog_name="upturn", standalone_mode=False)
    except errors.ClickException as error:
        error.show()
        return 2
    except UpturnError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        result = INTERRUPTED
    if result == INTERRUPTED:
        print("interrupted; run the same command again to go on where it stopped", file=sys.stderr)
    return result if isinstance(result, int) else 0


def _interrupted(number: int, frame: object) -> None:
    """Stops in order at the first Ctrl-C, at once at the second.

    In order means: calls in flight are waited for, because they are paid for. Stopping at once
    loses only those: every other answer is on disk, and the system frees the workspace's lock.
    """
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    # Not print: the handler may have interrupted a print.
    os.write(2, b"stopping; Ctrl-C again to stop at once\n")
    raise KeyboardInterrupt
