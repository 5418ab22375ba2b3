"""``python -m upturn.quickstart --out PATH``: writes a sample production log."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from upturn.cli import console
from upturn.errors import UpturnError
from upturn.quickstart.generate import REQUESTS, SEED
from upturn.quickstart.reply_log import REQUESTS as REPLY_REQUESTS
from upturn.quickstart.write import write_quickstart, write_reply_log

#: program -> what writes its log, and how many messages unless told otherwise.
_LOGS = {
    "ticket_triage": (write_quickstart, REQUESTS),
    "reply": (write_reply_log, REPLY_REQUESTS),
}


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m upturn.quickstart", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the log; .jsonl or .jsonl.gz")
    parser.add_argument("--program", choices=_LOGS, default="ticket_triage", help="whose log")
    parser.add_argument("--seed", type=int, default=SEED, help="the same seed gives the same bytes")
    counts = ", ".join(f"{name} {count}" for name, (_, count) in _LOGS.items())
    parser.add_argument("--requests", type=int, help=f"how many messages; by default {counts}")
    given = parser.parse_args(arguments)
    write, requests = _LOGS[given.program]
    requests = requests if given.requests is None else given.requests
    if requests < 1:
        parser.error(f"--requests must be >= 1, got {requests}")
    try:
        write(given.out, progress=console.progress(), seed=given.seed, requests=requests)
    except UpturnError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
