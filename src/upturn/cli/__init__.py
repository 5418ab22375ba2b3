"""The command line: one file per command. Nothing heavy is imported before a command runs.

Exit codes: 0 done, 1 an error of our own, 2 bad input or a machine that must be mended, 3 HOLD or
INCONCLUSIVE where ``--strict`` asked for it, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command and exits with its code. An error a user can mend shows no traceback."""
    # Set before the libraries are imported: each would reach for the network at import or at first
    # use.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    # Threads that wait must not spin: on a busy machine that makes a local model many times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    from click.exceptions import Abort, ClickException, Exit

    from upturn.cli.app import app
    from upturn.errors import UpturnError

    try:
        result = app(args=arguments, standalone_mode=False)
    except Exit as error:
        return error.exit_code
    except ClickException as error:
        error.show()
        return 2
    except UpturnError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, Abort):
        print("interrupted; run the same command again to go on where it stopped", file=sys.stderr)
        return 130
    return result if isinstance(result, int) else 0
