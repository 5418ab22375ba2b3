"""Writes the quickstart's production log: the real champion answers, the file appears whole."""

from __future__ import annotations

from pathlib import Path

from upturn.errors import StorageError
from upturn.feedback import write_log
from upturn.pipeline.progress import Progress
from upturn.quickstart.answers import Champion
from upturn.quickstart.generate import REQUESTS, SEED, generate

#: The program whose log it is: the same file that ``upturn init`` writes.
PROGRAM = "ticket_triage.py:TicketTriage"
_TEMPLATE = Path(__file__).parent / "template"


def write_quickstart(
    path: Path, *, progress: Progress, seed: int = SEED, requests: int = REQUESTS
) -> None:
    """Writes a production log in the native format; the same arguments give the same bytes.

    Args:
        path: the file; its folder is made, and the file is replaced whole or not at all.
        progress: told of messages as they are answered.
        seed: of all chance.
        requests: how many messages.

    Raises:
        StorageError: the file cannot be written.
        MissingExtraError: the embedded model needs the [local] extra.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"the log's folder must be writable, got: {error}", where=str(path)
        ) from error
    with (
        progress.bar("champion answers", requests) as advance,
        Champion(PROGRAM, _TEMPLATE, on_rows=advance) as champion,
    ):
        events = generate(seed, champion, requests=requests, model=champion.model_id)
    write_log(path, events)
