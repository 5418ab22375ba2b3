"""Writes the quickstart's production logs; a file appears whole or not at all."""

from __future__ import annotations

from pathlib import Path

from upturn.errors import StorageError
from upturn.events import write_log
from upturn.pipeline.progress import Progress
from upturn.quickstart.answers import Champion
from upturn.quickstart.generate import REQUESTS, SEED, generate
from upturn.quickstart.reply_log import REQUESTS as REPLY_REQUESTS
from upturn.quickstart.reply_log import generate_replies

#: The program whose log it is: the same file that ``upturn init`` writes.
PROGRAM = "ticket_triage.py:TicketTriage"
_TEMPLATE = Path(__file__).parent / "template"


def write_quickstart(
    path: Path, *, progress: Progress, seed: int = SEED, requests: int = REQUESTS
) -> None:
    """Writes the log of ticket_triage, whose answers are the real champion's.

    In the native format; the same arguments give the same bytes.

    Args:
        path: the file; its folder is made, and the file is replaced whole or not at all.
        progress: told of messages as they are answered.
        seed: of all chance.
        requests: how many messages.

    Raises:
        StorageError: the file cannot be written.
        MissingExtraError: the embedded model needs the [local] extra.
    """
    _make_folder(path)
    with (
        progress.bar("champion answers", requests) as advance,
        Champion(PROGRAM, _TEMPLATE, on_rows=advance) as champion,
    ):
        events = generate(seed, champion, requests=requests, model=champion.model_id)
    write_log(path, events)


def write_reply_log(
    path: Path, *, progress: Progress, seed: int = SEED, requests: int = REPLY_REQUESTS
) -> None:
    """Writes the log of the reply program, whose answers are drafted from phrases.

    Takes and guarantees what :func:`write_quickstart` does, and needs no model.

    Raises:
        StorageError: the file cannot be written.
    """
    _make_folder(path)
    with progress.bar("drafted answers", requests) as advance:
        events = generate_replies(seed, requests=requests)
        advance(requests)
    write_log(path, events)


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"the log's folder must be writable, got: {error}", where=str(path)
        ) from error
