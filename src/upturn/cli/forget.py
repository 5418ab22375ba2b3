"""``upturn forget``: take a user or a request out of everything that Upturn keeps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from upturn.cli import console
from upturn.cli.options import DEFAULT_WORKSPACE, AsJson, WorkspacePath

if TYPE_CHECKING:
    from upturn.pipeline.forgetting import Forgetting
    from upturn.privacy import Pseudonyms

StoreUrl = Annotated[
    str, typer.Option("--store", help="The feedback store: a SQLite file or a PostgreSQL URL.")
]
Also = Annotated[
    list[Path] | None,
    typer.Option("--also", help="A further file or folder to search; may be repeated."),
]
#: Exit code where something is left that the command could not change.
LEFT = 2


def forget(
    id: Annotated[str, typer.Argument(help="Id of a request, or of a user or rater.")],
    store: StoreUrl,
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    also: Also = None,
    key_file: Annotated[
        Path | None, typer.Option("--key-file", help="The key of the pseudonyms, if not the usual.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Forget a user or a request: store, snapshots, demos, releases, reports, tables, cache."""
    from datetime import UTC, datetime

    from upturn.pipeline.forgetting import forget as forget_everywhere
    from upturn.store import FeedbackStore

    key = _pseudonyms(key_file)
    if key is None:
        console.progress().step("key", "no key of pseudonyms here: looked up only as it was given")
    with FeedbackStore.open(store, create=False) as opened:
        done = forget_everywhere(
            id,
            store=opened,
            folder=workspace,
            pseudonyms=key,
            also=also or (),
            clock=lambda: datetime.now(UTC),
        )
    return tell(done, as_json=as_json)


def _pseudonyms(key_file: Path | None) -> Pseudonyms | None:
    """Reads the key; never makes one, because a new key would find nobody."""
    import os

    from upturn.privacy import Pseudonyms, default_key_file
    from upturn.privacy.pseudonyms import VARIABLE

    if key_file is None and not os.environ.get(VARIABLE) and not default_key_file().exists():
        return None
    if key_file is not None and not key_file.exists():
        from upturn.errors import StorageError

        raise StorageError("the key of the pseudonyms must exist", where=str(key_file))
    return Pseudonyms.from_key_file(key_file)


def tell(done: Forgetting, *, as_json: bool) -> int:
    """Prints what was forgotten, and returns the exit code: 2 where something is left."""
    if as_json:
        console.answer(done.to_json())
        return LEFT if done.left else 0
    console.say(f"removed from the store: {done.requests} requests, {done.feedback} feedback")
    removed = done.removed
    for s in removed.snapshots:
        rows = ", ".join(f"{n} {split}" for split, n in s.rows.items() if n)
        console.say(f"  snapshot {s.id[:12]}: {rows or 'a name'}; rebuilt as {s.rebuilt_as[:12]}")
    for v in removed.versions:
        what = "the champion, serving without it" if v.champion else "stale"
        console.say(f"  {v.program} version {v.version}: {v.demos} demos ({what})")
        console.say(f"    next: {v.next_step}")
    for c in removed.exports:
        console.say(f"  bundle {c.folder}: {c.demos} demos; deploy it again")
    console.say(
        f"  logged candidates: {removed.candidates}, files: {len(removed.swept.files)}, "
        f"tables: {len(removed.swept.tables) + len(done.store.tables)}"
    )
    for place in done.left:
        console.say(f"  STILL THERE: {place}")
    console.say("not reached from here:")
    for what in done.unreached:
        console.say(f"  - {what}")
    return LEFT if done.left else 0
