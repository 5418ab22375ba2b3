"""What a name means that ``upturn export --to`` is given: an adapter, its base, what to ask it.

ticket_triage             the champion        ticket_triage@3, ticket_triage/3   version 3
FOLDER                    an adapter's        ticket_triage_sft                  a finished job
0123456789ab              an adapter's id, or its beginning
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upturn.errors import InputError, ModelError
from upturn.export.serving.sources import QUESTION
from upturn.lm.spec import FOLDER_PREFIX, MINI
from upturn.pipeline.store import open_registry
from upturn.pipeline.weights import champion_adapter, resolve
from upturn.pipeline.workspace import Workspace
from upturn.registry import RegisteredVersion
from upturn.weights.adapter import CARD, CONFIG, Adapter, find, ids, load

_ID = re.compile(r"[0-9a-f]{6,12}")


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a name means.

    Attributes:
        name: what a server may call it.
        adapter: of the workspace, or a folder of PEFT's without a card.
        base: the base model's folder.
        messages: a chat as the version's program sends it, inputs as ``{field}``.
    """

    name: str
    adapter: Adapter | Path
    base: Path
    messages: Sequence[Mapping[str, str]] = QUESTION


def source(
    reference: str,
    *,
    workspace: Path,
    version: str | None = None,
    base: str | None = None,
    tracking: str = "",
) -> Found:
    """Finds adapter and base.

    Args:
        reference: a version, a job, an adapter's id or folder; see the module.
        workspace: the folder with adapters, jobs and the registry.
        version: of the program that ``reference`` names; the champion by default.
        base: the base model, as a config names it, or its folder; by default what the adapter says.
        tracking: address of an MLflow server; "" for the workspace's own database.

    Raises:
        InputError: nothing has that name; the version has no weights; the base is not to be found.
        CorruptionError: files are not what their hashes say.
    """
    if version is None and (adapter := _adapter(reference, Workspace(workspace.resolve()))):
        name = adapter.id if isinstance(adapter, Adapter) else adapter.name
        return Found(name=_clean(name), adapter=adapter, base=base_folder(adapter, base))
    program, _, number = reference.replace("@", "/").partition("/")
    found = _version(program, version or number, workspace, tracking, reference)
    adapter = champion_adapter(found, Workspace(workspace.resolve()))
    if adapter is None:
        raise InputError(
            f"--to exports weights, and {program} version {found.version} has a prompt only",
            fix=f"upturn export {program} --version {found.version} --out DIR writes the prompt",
        )
    return Found(
        name=_clean(f"{program}-{found.version}"),
        adapter=adapter,
        base=base_folder(adapter, base),
        messages=_messages(found),
    )


def base_folder(adapter: Adapter | Path, named: str | None) -> Path:
    """Returns the folder of an adapter's base.

    Args:
        adapter: says what it was trained on.
        named: by the user: ``upturn-mini``, ``hf:FOLDER`` or a folder; None for what it says.

    Raises:
        InputError: it says nothing that is a folder here.
        ModelError: the named folder is not there.
    """
    if named is not None:
        folder = _mini() if named == MINI else Path(named.removeprefix(FOLDER_PREFIX)).expanduser()
        if not folder.is_dir():
            what = f"--base must be {MINI} or a model's folder, got {named}"
            raise ModelError(what, fix="give the folder that holds config.json")
        return folder
    known = isinstance(adapter, Adapter)
    said = adapter.base_id if known else _base_in_config(adapter)
    if said.partition("@")[0] == MINI:
        return _mini()
    for text in (*_texts(adapter.card if known else {}), said):
        folder = Path(text.removeprefix(FOLDER_PREFIX)).expanduser()
        if text and (folder / "config.json").is_file():
            return folder
    raise InputError(
        f"the adapter's base, {said or 'which it does not name'}, must be a folder here",
        where=str(adapter.folder if known else adapter),
        fix="name it: --base FOLDER",
    )


def _adapter(reference: str, workspace: Workspace) -> Adapter | Path | None:
    folder = Path(reference).expanduser()
    if (folder / CONFIG).is_file():
        return load(folder) if (folder / CARD).is_file() else folder
    if folder.is_dir() and len(folder.parts) > 1:
        what = f"an adapter's folder must hold {CONFIG}, and this one does not"
        raise ModelError(what, where=reference, fix="give the folder that PEFT wrote")
    if _ID.fullmatch(reference) and any(i.startswith(reference) for i in ids(workspace.adapters)):
        return find(workspace.adapters, reference)
    if Path(reference).name == reference and (workspace.jobs / reference).is_dir():
        return resolve(reference, root=Path.cwd(), workspace=workspace)
    return None


def _version(
    program: str, number: str, workspace: Path, tracking: str, reference: str
) -> RegisteredVersion:
    with open_registry(workspace, uri=tracking) as registry:
        if number and number != "champion":
            return registry.load(program, number)
        found = registry.champion(program)
    if found is None:
        raise InputError(
            "must be a program with a champion, PROGRAM@VERSION, a finished job, an adapter's id "
            f"or its folder, got {reference!r}",
            fix="upturn ls",
        )
    return found


def _messages(found: RegisteredVersion) -> Sequence[Mapping[str, str]]:
    try:
        messages: Any = json.loads(found.files["prompt.json"])
        return [{"role": str(m["role"]), "content": _text(m["content"])} for m in messages]
    except (KeyError, ValueError, TypeError):  # registered without, or by hand
        return QUESTION


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def _base_in_config(folder: Path) -> str:
    try:
        return str(json.loads((folder / CONFIG).read_text()).get("base_model_name_or_path") or "")
    except (ValueError, AttributeError):
        return ""


def _texts(card: Mapping[str, Any]) -> list[str]:
    return [value for name in ("base", "base_folder") if isinstance(value := card.get(name), str)]


def _mini() -> Path:
    from upturn import mini

    return mini.weights_dir()


def _clean(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "adapter"
