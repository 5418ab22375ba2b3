"""Writes a registered version as one folder, whole or not at all."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from importlib.metadata import version as installed
from pathlib import Path

from upturn.errors import CorruptionError, InputError, StorageError
from upturn.export.card import card
from upturn.records import Json
from upturn.tracking.versions import MANIFEST, RegisteredVersion, dump, sha256

FORMAT = 1
_DSPY = "dspy"


def export_version(
    found: RegisteredVersion,
    out: Path,
) -> Path:
    """Writes a version's bundle and returns its folder.

    The folder holds ``program.json`` (for ``program.load``, or, where the version has settings, for
    ``load_bundle``), ``candidate.json`` with the settings, ``report.json``, ``card.md``,
    ``manifest.json`` (hashes of the rest) and the other files of the version, such as
    ``prompt.json``: the chat messages for servers that do not run DSPy. A version with weights
    holds the adapter's files, so that PEFT loads the folder as it is. Writing the same bundle again
    changes nothing.

    Args:
        found: the version, as the registry loaded it.
        out: the folder to write; its parents are made.

    Raises:
        InputError: the version has no ``program.json``.
        ConfigError: it has a setting that nothing here can apply.
        StorageError: ``out`` holds something else, or cannot be written.
    """
    content = _content(found)
    with _os_errors(out):
        if _has_entries(out):
            _expect_same(out, content)
            return out
        out.parent.mkdir(parents=True, exist_ok=True)
        _write_whole(out, content)
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
            raise CorruptionError(what, where=str(folder), fix="upturn export") from error
        there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
        for name in sorted((there - {MANIFEST}) | set(hashes)):
            found = sha256((folder / name).read_bytes()) if name in there else "no file"
            expected = hashes.get(name, "no such file")
            if found != expected:
                what = f"{name} must have sha256 {expected[:12]}, found {found[:12]}"
                raise CorruptionError(what, where=str(folder), fix="upturn export")
    return manifest


def _content(found: RegisteredVersion) -> dict[str, bytes]:
    if "program.json" not in found.files:
        what = f"{found.program} version {found.version} must hold program.json, has "
        raise InputError(what + ", ".join(sorted(found.files)), fix="upturn history")
    content = {**found.files, "program.json": _loadable(found.files["program.json"])}
    content["card.md"] = card(found).encode()
    manifest = {
        "format": FORMAT,
        "program": found.program,
        "version": found.version,
        "turn": found.turn,
        "candidate": found.candidate.id,
        "verdict": str(found.report.get("verdict", "")),
        "facts": dict(found.manifest.get("facts", {})),
        "packages": {_DSPY: installed(_DSPY)},
        "files": {name: sha256(content[name]) for name in sorted(content)},
    }
    return {**content, MANIFEST: dump(manifest)}


def _loadable(state: bytes) -> bytes:
    """Adds the versions without which DSPy's ``load`` refuses a state."""
    value = json.loads(state)
    if "metadata" in value:
        return state
    python = ".".join(map(str, _python()))
    versions = {"python": python, "dspy": installed(_DSPY), "cloudpickle": installed("cloudpickle")}
    return dump({**value, "metadata": {"dependency_versions": versions}})


def _python() -> tuple[int, int]:
    import sys

    return sys.version_info[:2]


def _has_entries(folder: Path) -> bool:
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))


def _expect_same(out: Path, content: Mapping[str, bytes]) -> None:
    same = out.is_dir() and {p.name for p in out.iterdir()} == set(content)
    if not (same and all((out / name).read_bytes() == content[name] for name in content)):
        raise StorageError(
            "an export never overwrites: the folder must be new, empty or hold this very version",
            where=str(out),
            fix=f"choose another --out, or remove {out}",
        )


def _write_whole(out: Path, content: Mapping[str, bytes]) -> None:
    beside = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        for name, data in content.items():
            (beside / name).write_bytes(data)
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
