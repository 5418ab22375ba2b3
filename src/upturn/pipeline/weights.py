"""The adapters of a turn: found by name, on this base, and strangers to this holdout.

A version whose candidate has weights carries them: the adapter's files lie in it beside the prompt,
so that promotion, roll-back and export move both as one thing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from upturn.datasets import Snapshot
from upturn.errors import ConfigError
from upturn.finetune.folder import JobFolder
from upturn.pipeline.parts import Parts
from upturn.pipeline.weights_leaks import check_leak
from upturn.pipeline.workspace import Workspace
from upturn.records import Candidate, Json
from upturn.registry import RegisteredVersion
from upturn.weights.adapter import (
    CARD,
    CONFIG,
    FILES,
    Adapter,
    check_base,
    find,
    from_files,
    ids,
    load,
)

#: The setting of a candidate that names its adapter.
SETTING = "weights"
_WHERE = "search.space.weights"


@dataclass(frozen=True, kw_only=True)
class Weights:
    """The adapters that a turn may run.

    Attributes:
        adapters: id -> adapter, what runs now included.
        searched: ids that the search may choose.
        warnings: what is not known of them, in sentences.
    """

    adapters: Mapping[str, Adapter] = field(default_factory=dict)
    searched: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def of(self, candidate: Candidate) -> Adapter | None:
        """Returns a candidate's adapter, None where it runs on the base alone."""
        name = candidate.settings.get(SETTING)
        return None if name is None else self.adapters[str(name)]

    def trained(self) -> list[tuple[Adapter, Candidate]]:
        """The searched adapters, each with the prompt that it was trained under."""
        found = [self.adapters[name] for name in self.searched]
        return [(a, prompt) for a in found if (prompt := prompt_of(a)) is not None]


def prompt_of(adapter: Adapter) -> Candidate | None:
    """The prompt that an adapter was trained under, with its weights; None where none is known."""
    value = adapter.card.get("candidate")
    if not value:
        return None
    made = Candidate.from_json(value)
    settings = {**made.settings, SETTING: adapter.id}
    return Candidate(states=made.states, choices=made.choices, settings=settings)


def open_weights(
    parts: Parts, champion: RegisteredVersion | None, snapshot: Snapshot, *, model_id: str
) -> Weights:
    """Finds the adapters of a config and of what runs now.

    Args:
        parts: the config's objects.
        champion: the registered champion; its adapter comes out of its own files.
        snapshot: whose holdout decides.
        model_id: the base.

    Raises:
        ConfigError: a name means no adapter, its training rows are in the holdout, or the config
            runs where weights cannot.
        ModelError: it was trained on another base.
        CorruptionError: its files are not what its card says.
    """
    names = parts.config.search.space.weights
    own = None if champion is None else champion_adapter(champion, parts.workspace)
    if not names and own is None:
        return Weights()
    _refuse_places(parts)
    found = [resolve(name, root=parts.root, workspace=parts.workspace) for name in names]
    for adapter in (*found, *([own] if own else [])):
        check_base(adapter, model_id)
    warnings = [w for a in found if (w := check_leak(a, snapshot, parts.workspace))]
    searched = {a.id: a for a in found}
    return Weights(
        adapters=searched | ({own.id: own} if own else {}),
        searched=tuple(searched),
        warnings=tuple(warnings),
    )


def resolve(name: str, *, root: Path, workspace: Workspace) -> Adapter:
    """Returns the adapter that a name means: a folder, a finished job, or the start of an id.

    Raises:
        ConfigError: it means none; says what there is, and how one is made.
        CorruptionError: the files are not what the card says.
    """
    folder = root / Path(name).expanduser()
    if (folder / CONFIG).is_file():
        return load(folder)
    if Path(name).name == name and (workspace.jobs / name).is_dir():
        return _of_job(name, workspace)
    known = ids(workspace.adapters)
    if sum(each.startswith(name) for each in known) == 1:
        return find(workspace.adapters, name)
    jobs = sorted(p.parent.name for p in workspace.jobs.glob("*/result.json"))
    there = f"finished jobs: {_listed(jobs)}; adapters: {_listed(known)}"
    raise ConfigError(
        f"must be a fine-tune job, an adapter's id or its folder, got {name!r} ({there})",
        where=_WHERE,
        fix=f"upturn train jobs/{Path(name).name.removesuffix('.yaml')}.yaml",
    )


def champion_adapter(version: RegisteredVersion, workspace: Workspace) -> Adapter | None:
    """Returns the adapter of a version, put back into the workspace where it is missing there.

    Raises:
        CorruptionError: the version says that it has weights and does not hold them.
    """
    name = version.candidate.settings.get(SETTING)
    if name is None:
        return None
    folder = workspace.adapters / str(name)
    if (folder / CARD).is_file():
        return load(folder)
    return from_files(version.files, workspace.adapters)


def files_of(adapter: Adapter | None) -> dict[str, bytes]:
    """The files that a registered version carries for its adapter; none without one."""
    if adapter is None:
        return {}
    return {name: (adapter.folder / name).read_bytes() for name in FILES}


def facts_of(adapter: Adapter | None) -> dict[str, Json]:
    """What a version's manifest says of its adapter."""
    if adapter is None:
        return {}
    facts: dict[str, Json] = {"weights": adapter.id, "weights_base": adapter.base_id}
    named = {"weights_job": "job", "weights_snapshot": "snapshot", "weights_rows": "rows"}
    return facts | {k: adapter.card[v] for k, v in named.items() if adapter.card.get(v)}


def about(adapter: Adapter) -> str:
    """One adapter in a line: its id, its base, and what it was trained on."""
    card = adapter.card
    rows = f"{card['rows']} rows" if card.get("rows") else "rows that its card does not count"
    data = f"snapshot {str(card['snapshot'])[:12]}" if card.get("snapshot") else "unnamed data"
    kind = f"{card['kind']} on " if card.get("kind") else "trained on "
    return f"{adapter.id}: {kind}{rows} of {data}, base {adapter.base_id}"


def _of_job(name: str, workspace: Workspace) -> Adapter:
    result = JobFolder(workspace.jobs / name).read_result()
    found = str(result.get("adapter") or "") if isinstance(result, dict) else ""
    if not found:
        raise ConfigError(
            f"job {name!r} must have ended with an adapter, and has not",
            where=_WHERE,
            fix=f"upturn train jobs/{name}.yaml",
        )
    inside = workspace.adapters / Path(found).name
    # A workspace that was moved keeps its adapters; the path that was written down does not.
    return load(inside if inside.is_dir() else Path(found))


def _refuse_places(parts: Parts) -> None:
    config = parts.config
    named = bool(config.search.space.weights)
    who = "search.space.weights" if named else "the champion's weights"
    fix = "leave search.space.weights out" if named else f"upturn rollback {config.name}"
    if not parts.model.is_local:
        raise ConfigError(
            f"{who} must run on a local model (upturn-mini or hf:FOLDER), got {config.model.name}",
            where="model.name",
            fix=f"{fix}, or export the version and serve it as a model of its own",
        )
    if config.executor == "ray":
        raise ConfigError(
            f"{who} must run in this process, got executor: ray",
            where="executor",
            fix=f"{fix}, or executor=local",
        )
    if config.optimizer != "upturn":
        raise ConfigError(
            f"{who} must be searched by optimizer: upturn, got {config.optimizer}, which searches "
            "prompts alone",
            where="optimizer",
            fix=f"{fix}, or optimizer=upturn",
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
