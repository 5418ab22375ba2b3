"""``upturn dataset``: the rows of a snapshot in a format that others read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from upturn.cli import console
from upturn.cli.options import DEFAULT_WORKSPACE, AsJson, WorkspacePath

if TYPE_CHECKING:
    from upturn.datasets import Snapshot
    from upturn.datasets.preferences import Preferences
    from upturn.export.rows import Material, Rendering
    from upturn.records import Example

_FORMATS = "openai-sft, openai-dpo, trl-sft, trl-dpo, trl-kto, hf, langsmith, langfuse or dspy"


class _Split(StrEnum):
    """What may leave; ``holdout`` is named so that asking for it gets the reason."""

    TRAIN = "train"
    DEV = "dev"
    ALL = "all"
    HOLDOUT = "holdout"


def dataset(
    snapshot: Annotated[str, typer.Argument(help="The snapshot: its folder, or its id.")],
    to: Annotated[str, typer.Option("--to", help=f"The format: {_FORMATS}.")],
    out: Annotated[Path, typer.Option("--out", help="The file (for hf the folder) to write.")],
    split: Annotated[
        _Split, typer.Option("--split", help="train, dev, or both with all; the holdout is sealed.")
    ] = _Split.TRAIN,
    program: Annotated[
        str | None,
        typer.Option("--program", help="file.py:Class: messages as this DSPy program has them."),
    ] = None,
    store: Annotated[
        str | None, typer.Option("--store", help="The event store, for preferences (dpo, kto).")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="The config of the snapshot: its store, and what it maps."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="What the data set is called; by default its id.")
    ] = None,
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Write the rows of a snapshot for training or evaluation elsewhere."""
    from upturn.export.rows import Needs, writer

    chosen = writer(to)
    names = _split_names(split)
    found = _snapshot(snapshot, workspace)
    rows, kept_back = _usable({n: getattr(found, n) for n in names}, trains=chosen.trains)
    rendering = _rendering(program, rows)
    of_rows = chosen.needs is Needs.ROWS
    preferred = None if of_rows else _preferences(found, rows, store, config)
    name = name or f"upturn-{found.id[:12]}"
    written = chosen.write(_material(found, name, rows, rendering, preferred), out)
    answer: dict[str, Any] = {
        "snapshot": found.id,
        "format": to,
        "out": str(out),
        "splits": list(names),
        "rows": written,
        "without_consent": kept_back,
        "dropped": dict(preferred.dropped) if preferred else {},
    }
    if as_json:
        console.answer(answer)
        return
    console.say(f"{written} rows of {', '.join(names)} are in {out} ({chosen.title})")
    if kept_back:
        console.say(f"{kept_back} rows were kept back: their consent does not name training")
    for reason, count in answer["dropped"].items():
        console.say(f"  left out: {count} {reason}")


def _split_names(split: _Split) -> tuple[str, ...]:
    from upturn.errors import DataError

    if split is _Split.HOLDOUT:
        raise DataError(
            "the split must be train, dev or all, got holdout: it is sealed, because a change is "
            "judged on it, and rows that were trained on or looked at can judge nothing",
            fix="type the same with --split dev",
        )
    return ("train", "dev") if split is _Split.ALL else (split.value,)


def _snapshot(ref: str, workspace: Path) -> Snapshot:
    from upturn.datasets import find_snapshot
    from upturn.pipeline.workspace import Workspace

    return find_snapshot(ref, Workspace(workspace).snapshots)


def _usable(
    rows: Mapping[str, Sequence[Example]], *, trains: bool
) -> tuple[dict[str, list[Example]], int]:
    """Returns the rows that may be used for what the format is for, and how many may not."""
    from upturn.events import Purpose
    from upturn.privacy.consent import may

    kept = {
        name: [r for r in split if not trains or may(r.consent, Purpose.TRAIN)]
        for name, split in rows.items()
    }
    return kept, sum(len(split) - len(kept[name]) for name, split in rows.items())


def _rendering(program: str | None, rows: Mapping[str, Sequence[Example]]) -> Rendering:
    from upturn.export.rows import plain_rendering

    if program is not None:
        from upturn.export.rows.program import program_rendering

        return program_rendering(program, Path.cwd())
    outputs = {field: None for split in rows.values() for row in split for field in row.labels}
    return plain_rendering(tuple(outputs))


def _material(
    snapshot: Snapshot,
    name: str,
    rows: Mapping[str, Sequence[Example]],
    rendering: Rendering,
    preferred: Preferences | None,
) -> Material:
    from upturn.export.rows import Material

    return Material(
        snapshot=snapshot.id,
        name=name,
        rows=rows,
        rendering=rendering,
        pairs={"train": preferred.pairs} if preferred else {},
        kto={"train": preferred.kto} if preferred else {},
    )


def _preferences(
    snapshot: Snapshot,
    rows: Mapping[str, Sequence[Example]],
    store: str | None,
    config: Path | None,
) -> Preferences:
    """Returns what the events behind the train rows say about answers to prefer."""
    from upturn.config import FeedbackStoreSection, load_config, project_root
    from upturn.errors import ConfigError, DataError
    from upturn.export.rows.preferences import stored_preferences
    from upturn.pipeline.rows import store_url

    if set(rows) != {"train"}:
        raise DataError(
            f"preferences are made of train rows only, got {', '.join(rows)}",
            fix="type the same with --split train",
        )
    data = load_config(config).data if config else None
    outputs: Mapping[str, str] = {}
    if config is not None and isinstance(data, FeedbackStoreSection):
        store = store or store_url(data, project_root(config))
        outputs = data.outputs
    if store is None:
        raise ConfigError(
            "preferences are made from the events behind the rows, which no snapshot holds; got "
            "no store of events",
            fix="type the same with --store URL",
        )
    program = snapshot.manifest["provenance"].get("program")
    return stored_preferences(store, rows["train"], program=program, outputs=outputs)
