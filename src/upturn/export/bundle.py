"""Writes a registered version as one folder, whole or not at all."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version as installed
from pathlib import Path

from upturn.errors import CorruptionError, InputError, StorageError
from upturn.export.card import card
from upturn.export.standalone import Standalone
from upturn.records import Json
from upturn.tracking.versions import MANIFEST, ORIGINS, RegisteredVersion, dump, sha256

FORMAT = 1
_DSPY = "dspy"
#: What Python itself writes beside the modules that it imports; no part of a bundle.
_BYTECODE = "__pycache__"
_AGAIN = "remove the folder, then: upturn export PROGRAM@VERSION --out FOLDER"


def export_version(
    found: RegisteredVersion, out: Path, *, standalone: Standalone | None = None
) -> Path:
    """Writes a version's bundle and returns its folder.

    The folder holds ``program.json`` (for ``program.load``, or, where the version has settings, for
    ``load_bundle``), ``candidate.json`` with the settings, ``report.json``, ``card.md``,
    ``manifest.json`` (hashes of the rest) and the other files of the version, such as
    ``prompt.json``: the chat messages for servers that do not run DSPy. A version with weights
    holds the adapter's files, so that PEFT loads the folder as it is. Writing the same bundle again
    changes nothing.

    With ``standalone`` it also holds ``program.py``, ``bundle.py``, ``predict.py`` and
    ``requirements.txt``, and answers where Upturn is not installed. A fresh process reads it back
    before it stands at ``out``.

    Args:
        found: the version, as the registry loaded it.
        out: the folder to write; its parents are made.
        standalone: what it needs to answer without Upturn; None for readers who have Upturn.

    Raises:
        InputError: the version has no ``program.json``.
        ConfigError: it has a setting that nothing here can apply.
        ProgramError: the program's file is not the one that was measured, or needs more than it
            may; nothing is written.
        StorageError: ``out`` holds something else, or cannot be written.
    """
    content = _content(found, standalone)
    with _os_errors(out):
        if _has_entries(out):
            _expect_same(out, content)
            return out
        out.parent.mkdir(parents=True, exist_ok=True)
        check = partial(standalone.expect_same, found=found) if standalone else None
        _write_whole(out, content, check)
    return out


def verify(folder: Path) -> dict[str, Json]:
    """Checks a bundle against its manifest and returns the manifest.

    Raises:
        CorruptionError: a file is missing, changed, or was added.
        StorageError: there is no manifest, or a file cannot be read.
    """
    with _os_errors(folder):
        try:
            manifest = json.loads((folder / MANIFEST).read_bytes())
            hashes: dict[str, str] = dict(manifest["files"])
        except (ValueError, KeyError, TypeError) as error:
            what = f"{MANIFEST} must be JSON with the hashes of the files: {error}"
            raise CorruptionError(what, where=str(folder), fix=_AGAIN) from error
        there = {
            p.relative_to(folder).as_posix()
            for p in folder.rglob("*")
            if p.is_file() and _BYTECODE not in p.relative_to(folder).parts
        }
        for name in sorted((there - {MANIFEST}) | set(hashes)):
            found = sha256((folder / name).read_bytes()) if name in there else "no file"
            expected = hashes.get(name, "no such file")
            if found != expected:
                what = f"{name} must have sha256 {expected[:12]}, found {found[:12]}"
                raise CorruptionError(what, where=str(folder), fix=_AGAIN)
    return manifest


def _content(found: RegisteredVersion, standalone: Standalone | None) -> dict[str, bytes]:
    if "program.json" not in found.files:
        what = f"{found.program} version {found.version} must hold program.json, has "
        raise InputError(what + ", ".join(sorted(found.files)), fix="upturn history")
    # Ids of users' requests are no business of whoever gets the bundle.
    content = {name: data for name, data in found.files.items() if name != ORIGINS}
    content["program.json"] = _loadable(found.files["program.json"])
    facts = dict(found.manifest.get("facts", {}))
    packages, run = {_DSPY: installed(_DSPY)}, dict[str, Json]()
    if standalone is not None:
        standalone.expect_measured(found)
        packages, run = standalone.packages(), standalone.run(found)
        facts = {"program": standalone.program.ref, **facts}
        content = {**standalone.files(), **content}
    content["card.md"] = card(found, run).encode()
    manifest: dict[str, Json] = {
        "format": FORMAT,
        "program": found.program,
        "version": found.version,
        "turn": found.turn,
        "candidate": found.candidate.id,
        "verdict": str(found.report.get("verdict", "")),
        "facts": facts,
        "packages": packages,
        "python": ".".join(map(str, sys.version_info[:2])),
        "files": {name: sha256(content[name]) for name in sorted(content)},
    }
    if standalone is not None:
        manifest |= {"run": run, "decision": standalone.decision}
    if "stale" in found.manifest:
        manifest["stale"] = found.manifest["stale"]
    return {**content, MANIFEST: dump(manifest)}


def _loadable(state: bytes) -> bytes:
    """Adds the versions without which DSPy's ``load`` refuses a state."""
    value = json.loads(state)
    if "metadata" in value:
        return state
    python = ".".join(map(str, sys.version_info[:2]))
    versions = {"python": python, "dspy": installed(_DSPY), "cloudpickle": installed("cloudpickle")}
    return dump({**value, "metadata": {"dependency_versions": versions}})


def _has_entries(folder: Path) -> bool:
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))


def _expect_same(out: Path, content: Mapping[str, bytes]) -> None:
    same = out.is_dir() and {p.name for p in out.iterdir()} - {_BYTECODE} == set(content)
    if not (same and all((out / name).read_bytes() == content[name] for name in content)):
        raise StorageError(
            "an export never overwrites: the folder must be new, empty or hold this very version",
            where=str(out),
            fix=f"choose another --out, or remove {out}",
        )


def _write_whole(
    out: Path, content: Mapping[str, bytes], check: Callable[[Path], None] | None
) -> None:
    beside = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        for name, data in content.items():
            (beside / name).write_bytes(data)
        if check is not None:
            check(beside)
        beside.chmod(0o755)
        beside.replace(out)
    except BaseException:  # whatever stopped us, Ctrl-C too: leave no half-made folder behind
        shutil.rmtree(beside, ignore_errors=True)
        raise


@contextmanager
def _os_errors(where: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"the folder must be readable and writable: {error.strerror or error}",
            where=str(where),
            fix="mend the path, its permissions or the disk, then run again",
        ) from error
