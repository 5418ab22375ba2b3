"""``upturn cache``: what the answer cache holds, and how to make it smaller."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from upturn.cli import console
from upturn.cli.expire import age
from upturn.cli.options import DEFAULT_WORKSPACE, AsJson

if TYPE_CHECKING:
    from collections.abc import Generator

    from upturn.lm import AnswerCache

WorkspaceFolder = Annotated[
    Path, typer.Argument(help="The folder with the cache, called workspace in a config.")
]

app = typer.Typer(
    name="cache",
    help="Show what the cache of paid answers holds, or make it smaller.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
)


@app.command()
def stats(workspace: WorkspaceFolder = DEFAULT_WORKSPACE, as_json: AsJson = False) -> None:
    """Say how many answers there are, how large, how old, and which turns paid for them."""
    from dataclasses import asdict

    with _opened(workspace) as cache:
        found = cache.stats()
        file_bytes = cache.path.stat().st_size
    if as_json:
        # Hits and misses are those of this process, which asked nothing.
        kept = {k: v for k, v in asdict(found).items() if k not in ("hits", "misses")}
        console.answer({"file": str(cache.path), "file_bytes": file_bytes, **kept})
        return
    console.say(f"{found.answers} answers, {_mb(found.bytes)}, in a file of {_mb(file_bytes)}")
    console.say(f"written {_day(found.oldest_s)} to {_day(found.newest_s)}")
    rows = [[t.turn, str(t.answers), _mb(t.bytes), f"${t.cost_usd:.2f}"] for t in found.turns]
    console.table(["turn", "answers", "size", "paid"], rows)


@app.command()
def clear(
    workspace: WorkspaceFolder = DEFAULT_WORKSPACE,
    older_than: Annotated[
        str,
        typer.Option("--older-than", help="Only answers not used for so long, e.g. 90d or 12w."),
    ] = "",
    turn: Annotated[str, typer.Option("--turn", help="Only answers that this turn paid for.")] = "",
    yes: Annotated[
        bool, typer.Option("--yes", help="Delete; without it, only say what would go.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Delete answers; a turn that asks again pays again."""
    from upturn.pipeline.workspace import Workspace

    older_than_s = age(older_than).total_seconds() if older_than else None
    with _opened(workspace) as cache:
        answers, usd = cache.worth(turn=turn or None, older_than_s=older_than_s)
        deleted = 0
        if yes:
            # A turn that is running counts on its answers.
            with Workspace(workspace.resolve()).locked():
                deleted = cache.clear(turn=turn or None, older_than_s=older_than_s)
    if as_json:
        console.answer({"chosen": answers, "cost_usd": usd, "deleted": deleted})
    elif yes:
        console.say(f"deleted {deleted} answers")
    else:
        console.say(f"would delete {answers} answers that cost ${usd:.2f}; add --yes to do it")


@contextmanager
def _opened(workspace: Path) -> Generator[AnswerCache]:
    from upturn.errors import StorageError
    from upturn.lm import AnswerCache
    from upturn.pipeline.workspace import Workspace

    path = Workspace(workspace.resolve()).cache
    if not path.exists():
        raise StorageError("there must be a cache, and there is none yet", where=str(path))
    with AnswerCache(path) as cache:
        yield cache


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _day(seconds: float | None) -> str:
    from datetime import UTC, datetime

    return "never" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
