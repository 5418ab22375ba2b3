"""``upturn expire``: retention by age."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from upturn.cli.forget import Also, StoreUrl, tell
from upturn.cli.options import DEFAULT_WORKSPACE, AsJson, WorkspacePath

if TYPE_CHECKING:
    from datetime import timedelta

_HOURS = {"h": 1, "d": 24, "w": 24 * 7}


def expire(
    store: StoreUrl,
    older_than: Annotated[
        str, typer.Option("--older-than", help="The age, e.g. 180d, 26w or 48h.")
    ],
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    also: Also = None,
    as_json: AsJson = False,
) -> int:
    """Remove events older than an age, and the rows, demos and texts that were made of them."""
    from datetime import UTC, datetime

    from upturn.pipeline.forgetting import expire as expire_everywhere
    from upturn.store import FeedbackStore

    before = datetime.now(UTC) - age(older_than)
    with FeedbackStore.open(store, create=False) as opened:
        done = expire_everywhere(
            before,
            store=opened,
            folder=workspace,
            also=also or (),
            clock=lambda: datetime.now(UTC),
        )
    return tell(done, as_json=as_json)


def age(text: str) -> timedelta:
    """Returns an age such as ``180d``.

    Raises:
        InputError: it is none, or longer than time is counted.
    """
    from datetime import timedelta

    from upturn.errors import InputError

    match = re.fullmatch(r"(\d{1,6})([hdw])", text.strip())
    if match is None or not 1 <= int(match[1]) * _HOURS[match[2]] <= 24 * 365 * 100:
        raise InputError(
            f"an age must be a number of hours, days or weeks above 0, got {text!r}",
            where="--older-than",
            fix="for example: --older-than 180d",
        )
    return timedelta(hours=int(match[1]) * _HOURS[match[2]])
