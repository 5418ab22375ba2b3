"""``python -m upturn.quickstart --out PATH``: writes the sample production log."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from upturn.cli import console
from upturn.errors import UpturnError
from upturn.quickstart.generate import REQUESTS, SEED
from upturn.quickstart.write import write_quickstart


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m upturn.quickstart", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the log; .jsonl or .jsonl.gz")
    parser.add_argument("--seed", type=int, default=SEED, help="the same seed gives the same bytes")
    parser.add_argument("--requests", type=int, default=REQUESTS, help="how many messages")
    given = parser.parse_args(arguments)
    if given.requests < 1:
        parser.error(f"--requests must be >= 1, got {given.requests}")
    try:
        write_quickstart(
            given.out, progress=console.progress(), seed=given.seed, requests=given.requests
        )
    except UpturnError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
