"""What a version's bundle is made of: its files, its program, how its model was asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import yaml

from upturn.errors import InputError, ProgramError
from upturn.export.standalone import Asked, Standalone
from upturn.ledger import EntryKind, Ledger
from upturn.lm import ModelSpec
from upturn.pipeline.releases.names import find_version
from upturn.pipeline.store import existing, open_registry
from upturn.pipeline.workspace import Workspace
from upturn.programs import Program, Settings
from upturn.records import Json
from upturn.registry import RegisteredVersion
from upturn.tracking.mlflow_config import turn_config
from upturn.tracking.mlflow_store import open_store
from upturn.weights.adapter import CONFIG

_PAGE = "report.html"
#: What a config says of a model, and a bundle must repeat.
_ASKED = ("api_base", "temperature", "max_tokens", "seed")


@dataclass(frozen=True, kw_only=True)
class Bundled:
    """A version, and what it needs to answer without Upturn."""

    found: RegisteredVersion
    standalone: Standalone


def bundle_of(
    reference: str, *, workspace: Path, version: str | None = None, tracking: str = ""
) -> Bundled:
    """Finds a version and what its bundle is made of.

    Args:
        reference: a program (its champion), PROGRAM@NAME or PROGRAM/NAME: a number, ``staging``
            or ``seed``.
        workspace: the folder with the registry.
        version: of the program that ``reference`` names; the champion by default.
        tracking: address of an MLflow server; "" for the workspace's own database.

    Raises:
        InputError: no such version, or nothing says what its program and its model were.
        ProgramError: the program's file is not here, or does not load.
        StorageError: the database is unusable.
    """
    name, _, number = reference.replace("@", "/").partition("/")
    with open_registry(workspace, uri=tracking) as registry:
        found = find_version(registry, name, version or number or "champion")
    place = existing(workspace)
    config = _config(found, place, tracking)
    ref = str(found.manifest.get("facts", {}).get("program") or config.get("program") or "")
    if not ref or not config:
        raise InputError(
            f"{name} version {found.version} must name its program and how its model was asked, "
            "and neither its files nor the tracker's turns do",
            fix=f"upturn run configs/{name}.yaml, or export a version that a turn registered",
        )
    root = _root(ref, (Path.cwd(), place.folder.parent))
    standalone = Standalone(
        program=Program(ref, root),
        source=(root / ref.partition(":")[0]).read_bytes(),
        asked=asked(found, config),
        report=_report(place, found.turn),
        decision=_decision(place, found),
    )
    return Bundled(found=found, standalone=standalone)


def asked(found: RegisteredVersion, config: dict[str, Json]) -> Asked:
    """Returns how a version's model was asked, from the resolved config of its turn.

    Raises:
        InputError: the config does not say it in a way that this version of Upturn reads.
    """
    name = Settings.of(found.candidate).model
    try:
        values: dict[str, Json] = config["models"][name] if name else config["model"]
        named = {field: values[field] for field in _ASKED}
    except (KeyError, TypeError) as error:
        raise InputError(
            f"the turn's config must say how its model was asked, and lacks {error}",
            where=f"turn {found.turn}",
            fix="upturn run CONFIG, and export the version that it registers",
        ) from error
    spec = ModelSpec(model=values["name"], **named)
    why = _why(found, spec)
    return Asked(
        model="" if why else spec.model,
        why=why,
        temperature=spec.temperature,
        max_tokens=spec.max_tokens,
        seed=spec.seed,
    )


def _why(found: RegisteredVersion, spec: ModelSpec) -> str:
    """Says why no model is asked as a matter of course; "" where one may be."""
    if CONFIG in found.files:
        return (
            "Prompt and weights were measured together: serve this version's adapter on its base "
            "(upturn export VERSION --to vllm writes what a server takes) and name what the server "
            "calls it: --model openai/NAME. On the base alone nobody measured this prompt."
        )
    if spec.is_local:
        return (
            f"It was measured on {spec.model.rpartition('/')[2]}, which runs inside Upturn: "
            "serve a model and name it: --model openai/NAME."
        )
    if spec.api_base is not None:
        # Without its address the name would mean another model, at the provider's own.
        return (
            f"It was measured on {spec.model} at a server of its own: name both, "
            f"--model {spec.model} and PREDICT_API_BASE."
        )
    return ""


def _config(found: RegisteredVersion, place: Workspace, tracking: str) -> dict[str, Json]:
    """Returns the config of the version's turn, or of the newest one where no turn made it."""
    store = open_store(place.folder, uri=tracking)
    try:
        text = turn_config(store, found.program, found.turn) or turn_config(store, found.program)
    finally:
        store.close()
    return cast("dict[str, Json]", yaml.safe_load(text)) if text else {}


def _root(ref: str, folders: Sequence[Path]) -> Path:
    """Returns the first folder that has the program's file."""
    file = ref.partition(":")[0]
    for folder in folders:
        if (folder / file).is_file():
            return folder
    raise ProgramError(
        f"the program's file must be here, and {file} is not",
        where=ref,
        fix="run it from the project's folder",
    )


def _report(place: Workspace, turn: str) -> dict[str, bytes]:
    path = place.turn(turn) / _PAGE
    inside = Path(turn).name == turn and path.is_file()
    return {_PAGE: path.read_bytes()} if inside else {}


def _decision(place: Workspace, found: RegisteredVersion) -> str:
    """Returns the hash of the ledger's entry of the decision; "" where no turn decided."""
    ledger = Ledger(place.ledger, clock=lambda: datetime.now(UTC))
    made = (
        e.hash
        for e in ledger.entries(found.program)
        if e.kind is EntryKind.DECISION and e.data.get("turn") == found.turn
    )
    return next(made, "")
