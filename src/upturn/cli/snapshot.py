"""``upturn snapshot``: freeze train, dev and holdout; compare two snapshots; write a data card."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from upturn.cli import console
from upturn.cli.options import DEFAULT_WORKSPACE, AsJson, ConfigPath, Overrides, WorkspacePath

if TYPE_CHECKING:
    from upturn.datasets.diff import SnapshotDiff
    from upturn.datasets.snapshot import Snapshot

_SHOWN = 20  # rows and labels that changed, on a terminal; --json has all

Reference = Annotated[str, typer.Argument(help="The snapshot: its folder, or its id.")]


class _ConfigFirst(TyperGroup):
    """Takes a first word that is no sub-command for a config: ``upturn snapshot CONFIG``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts the name of the sub-command in front where it is left out."""
        first = next((a for a in args if not a.startswith("-")), None)
        if first is not None and first not in self.commands:
            args = ["freeze", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    name="snapshot",
    cls=_ConfigFirst,
    help="Freeze the data of a config into train, dev and a sealed holdout, compare two "
    "snapshots, or write a data card. `upturn snapshot CONFIG` is short for `freeze CONFIG`.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
)


@app.command()
def freeze(config: ConfigPath, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Freeze the data of a config into train, dev and a sealed holdout."""
    from datetime import UTC, datetime

    from upturn.pipeline.parts import Parts

    parts = Parts.load(config, overrides)
    with parts.workspace.locked():
        made = parts.snapshot(datetime.now(UTC))
    manifest = made.manifest
    if as_json:
        keys = ("id", "sizes", "labels", "abstained", "dropped", "grouping", "provenance")
        console.answer({"folder": str(made.folder), **{k: manifest[k] for k in keys}})
        return
    console.say(f"snapshot {made.id[:12]} in {made.folder}")
    sizes = [[n, str(s["rows"]), str(s["groups"])] for n, s in manifest["sizes"].items()]
    console.table(["split", "rows", "groups"], sizes)
    for heading, unit, counts in (
        ("requests without a label:", "requests", manifest["abstained"]),
        ("rows left out:", "rows", manifest["dropped"]),
    ):
        if counts:
            console.say(heading)
            console.table(["reason", unit], [[k, str(v)] for k, v in counts.items()])


@app.command()
def diff(
    old: Annotated[str, typer.Argument(help="The older snapshot: its folder, or its id.")],
    new: Annotated[str, typer.Argument(help="The newer one.")],
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Say what changed between two snapshots; neither holdout is opened."""
    from upturn.datasets.diff import compare_snapshots

    found = compare_snapshots(_snapshot(old, workspace), _snapshot(new, workspace))
    if as_json:
        console.answer(found.to_json())
    else:
        _show(found)


@app.command()
def card(
    snapshot: Reference,
    out: Annotated[Path, typer.Option("--out", help="The folder to write the card into.")],
    title: Annotated[
        str, typer.Option("--title", help="What the data is called; the config by default.")
    ] = "",
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Write the data card of a snapshot, as Markdown and HTML."""
    from upturn.errors import StorageError
    from upturn.pipeline.workspace import disk_errors, write_text
    from upturn.report.data_card import render_card_html, render_card_markdown
    from upturn.report.data_card_source import card_of

    made = card_of(_snapshot(snapshot, workspace), title=title)
    files = {
        "markdown": (out / "data_card.md", render_card_markdown(made)),
        "html": (out / "data_card.html", render_card_html(made)),
    }
    if out.exists() and not out.is_dir():
        raise StorageError("--out must be a folder, got a file", where=str(out))
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        for path, text in files.values():
            write_text(path, text)
    if as_json:
        written = {name: str(path) for name, (path, _) in files.items()}
        console.answer({"snapshot": made.snapshot, **written})
        return
    for path, _ in files.values():
        console.say(f"wrote {path}")


def _snapshot(ref: str, workspace: Path) -> Snapshot:
    from upturn.datasets.diff import find_snapshot
    from upturn.pipeline.workspace import Workspace

    return find_snapshot(ref, Workspace(workspace).snapshots)


def _show(found: SnapshotDiff) -> None:
    console.say(f"snapshot {found.old[:12]} -> {found.new[:12]}")
    if found.same:
        console.say("the same rows under the same rules")
        return
    console.table(
        ["split", "before", "after", "added", "removed"],
        [
            [name, *map(str, sizes), str(found.added[name]), str(found.removed[name])]
            for name, sizes in found.rows.items()
        ],
    )
    if not found.holdouts_known:
        console.say("rows of a holdout are not known: a snapshot is from before they were listed")
    for (was, now), rows in found.moved.items():
        console.say(f"{rows} rows moved from {was} to {now}")
    _list(
        "labels that changed, of train and dev:",
        ["row", "split", "field", "before", "after"],
        [[r.id, r.split, r.field, str(r.before), str(r.after)] for r in found.relabelled],
    )
    _list(
        "label mix, of train and dev:",
        ["split", "field", "label", "before", "after"],
        [[*key, str(before), str(after)] for key, (before, after) in found.labels.items()],
    )
    _list(
        "rules:",
        ["rule", "before", "after"],
        [[name, str(before), str(after)] for name, (before, after) in found.rules.items()],
    )


def _list(heading: str, columns: list[str], rows: list[list[str]]) -> None:
    if rows:
        console.say(heading)
        console.table(columns, rows[:_SHOWN])
    if len(rows) > _SHOWN:
        console.say(f"and {len(rows) - _SHOWN} more; --json has them all")
