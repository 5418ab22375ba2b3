"""An adapter in the workspace: a folder named by the content of its weights, with a card.

ADAPTERS/<id>/adapter_model.safetensors    plain LoRA: one rank, scale folded into B
ADAPTERS/<id>/adapter_config.json          as PEFT reads it
ADAPTERS/<id>/card.json                    base, data, licences, metrics, prompt, how to load
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from upturn.errors import CorruptionError, InputError, ModelError, StorageError
from upturn.records import Json

if TYPE_CHECKING:
    from upturn.weights.lora import Lora

WEIGHTS, CONFIG, CARD = "adapter_model.safetensors", "adapter_config.json", "card.json"
#: The files of an adapter, in the order in which they are written; the card comes last.
FILES = (WEIGHTS, CONFIG, CARD)
ID_LENGTH = 12
_TEMPORARY = ".new-"


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """A trained adapter.

    Attributes:
        id: 12 hex digits over base and tensors; the same weights on the same base have one id.
        folder: where its files are.
        base_id: the model it was trained on, such as ``upturn-mini@0123456789ab``.
        card: what ``card.json`` says; ``card["candidate"]`` is the prompt it was trained under.
    """

    id: str
    folder: Path
    base_id: str
    card: Mapping[str, Json]


def adapted_id(base_id: str, adapter: Adapter | None) -> str:
    """Returns the model id under which a base answers with an adapter on."""
    return base_id if adapter is None else f"{base_id}+{adapter.id}"


def content_id(lora: Lora, base_id: str) -> str:
    """Returns 12 hex digits over the base's content and the numbers, made plain.

    The base's name is no part of it, nor are ranks that are zeros: the same update has one id.
    """
    from upturn.weights.lora import plain

    digest = hashlib.sha256(_content(base_id).encode())
    for module, layer in plain(lora).layers.items():
        for tensor in layer:
            digest.update(f"\0{module}{tuple(tensor.shape)}".encode())
            digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()[:ID_LENGTH]


def store(
    peft_folder: Path | str,
    root: Path | str,
    *,
    base_id: str,
    card: Mapping[str, Json],
    tied: bool = True,
) -> Adapter:
    """Makes what PEFT wrote plain and keeps it as ``root/<id>``; whole, or not at all.

    Weights that are there already stay as they are, with the card that they came with.

    Args:
        peft_folder: adapter_config.json and adapter_model.safetensors.
        root: the folder of all adapters.
        base_id: the model that it was trained on.
        card: what is worth knowing; id, base and the files' hashes are added.
        tied: the base's head is its embedding; see ``lora.read_peft``.

    Raises:
        ModelError: see ``lora.read_peft``.
        StorageError: the folder cannot be written; as CorruptionError, what is there is damaged.
    """
    from upturn.weights.lora import peft_files, read_peft

    lora = read_peft(peft_folder, tied=tied)
    name = content_id(lora, base_id)
    files = peft_files(lora, base_name=base_id.split("@", 1)[0])
    whole = {**card, "id": name, "base_id": base_id, "rank": lora.rank, "files": _hashes(files)}
    text = json.dumps(whole, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return _keep({**files, CARD: f"{text}\n".encode()}, Path(root) / name)


def from_files(files: Mapping[str, bytes], root: Path | str) -> Adapter:
    """Keeps the three files of an adapter, such as a registered version's, as ``root/<id>``.

    Raises:
        CorruptionError: a file is missing, or is not what the card says.
        StorageError: the folder cannot be written.
    """
    root = Path(root)
    if missing := [name for name in FILES if name not in files]:
        raise CorruptionError(
            f"an adapter must have {', '.join(FILES)}, it lacks {', '.join(missing)}",
            where=str(root),
        )
    card = _card(files[CARD], where="the adapter's files")
    _expect(card, _hashes({n: files[n] for n in (WEIGHTS, CONFIG)}), where=f"adapter {card['id']}")
    return _keep({n: files[n] for n in FILES}, root / card["id"])


def load(folder: Path | str) -> Adapter:
    """Reads an adapter of the workspace and checks every file against the card.

    Raises:
        CorruptionError: a file is missing, or is not what the card says.
    """
    folder = Path(folder)
    try:
        content = {name: (folder / name).read_bytes() for name in FILES}
    except OSError as error:
        raise CorruptionError(
            f"an adapter must have {', '.join(FILES)} ({error.strerror}: {error.filename})",
            where=str(folder),
            fix="take it from the registry or train it again",
        ) from error
    card = _card(content.pop(CARD), where=str(folder / CARD))
    _expect(card, _hashes(content), where=str(folder))
    return Adapter(id=card["id"], folder=folder, base_id=card["base_id"], card=card)


def read(adapter: Adapter) -> Lora:
    """Reads an adapter's numbers and checks them against its id.

    Raises:
        CorruptionError: they are not the numbers that the id names.
        ModelError: see ``lora.read_peft``.
    """
    from upturn.weights.lora import read_peft

    lora = read_peft(adapter.folder, tied=False)
    if (found := content_id(lora, adapter.base_id)) != adapter.id:
        raise CorruptionError(
            f"the weights of adapter {adapter.id} must hash to its id, got {found}",
            where=str(adapter.folder),
            fix="delete the folder and take the adapter from the registry, or train it again",
        )
    return lora


def find(root: Path | str, name: str) -> Adapter:
    """Returns the adapter whose id is, or begins with, ``name``.

    Raises:
        InputError: none is meant, or several.
        CorruptionError: as ``load``.
    """
    known = ids(root)
    found = [each for each in known if name and each.startswith(name)]
    if len(found) == 1:
        return load(Path(root) / found[0])
    listed = ", ".join(found or known) or "(none)"
    rule = "name one adapter" if found else "be the start of an adapter's id"
    raise InputError(
        f"the weights must {rule}, got {name!r}; there are {listed}",
        where=str(root),
        fix="upturn train JOB makes one" if not known else "give more of the id",
    )


def ids(root: Path | str) -> list[str]:
    """Returns the ids of all adapters in a folder of adapters, sorted."""
    return sorted(path.parent.name for path in Path(root).glob(f"[0-9a-f]*/{CARD}"))


def check_base(adapter: Adapter, base_id: str) -> None:
    """Refuses a base that the adapter was not trained on: equal shapes would load, and be wrong.

    Only the hash behind the ``@`` counts: a copy of the folder is the same base.

    Raises:
        ModelError: naming both.
    """
    if _content(adapter.base_id) != _content(base_id):
        raise ModelError(
            f"adapter {adapter.id} must be used with the model it was trained on, "
            f"{adapter.base_id}, got {base_id}",
            where="weights",
            fix="set the model back, or train an adapter for this one",
        )


def _content(base_id: str) -> str:
    return base_id.rpartition("@")[2]


def _hashes(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def _card(text: bytes, *, where: str) -> dict[str, Any]:
    try:
        card: Any = json.loads(text)
    except ValueError:
        card = None
    if isinstance(card, dict):
        known = cast("dict[str, Any]", card)
        named = all(isinstance(known.get(k), str) for k in ("id", "base_id"))
        hexadecimal = set(str(known.get("id"))) <= set("0123456789abcdef")
        if named and hexadecimal and len(known["id"]) == ID_LENGTH and "files" in known:
            return known
    raise CorruptionError(
        "a card must be a JSON object with id, base_id and files",
        where=where,
        fix="take the adapter from the registry or train it again",
    )


def _expect(card: Mapping[str, Any], found: Mapping[str, str], *, where: str) -> None:
    if changed := [n for n, digest in found.items() if card["files"].get(n) != digest]:
        raise CorruptionError(
            f"{', '.join(changed)} must have the sha256 that {CARD} says, got another",
            where=where,
            fix="delete the folder and take the adapter from the registry, or train it again",
        )


def _keep(files: Mapping[str, bytes], folder: Path) -> Adapter:
    if folder.exists():
        return load(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=folder.parent))
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        for name, content in files.items():
            _write(temporary / name, content)
        temporary.chmod(0o755)
        temporary.rename(folder)
    except OSError as error:
        # Another process may have been first; the same content is there then.
        if not folder.exists():
            raise _unwritable(folder, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return load(folder)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    path.chmod(0o644)


def _unwritable(folder: Path, error: OSError) -> StorageError:
    return StorageError(
        f"the adapter must be written, and {error.strerror or error}",
        where=str(folder),
        fix="free some space, or give another --workspace",
    )
