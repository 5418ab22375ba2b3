"""Writes an export, has it read back in a fresh process, and only then puts it where it belongs."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from upturn.errors import MissingExtraError, StorageError, UpturnError
from upturn.export.serving.base import Check, Options, Source, Start, Target
from upturn.export.serving.manifest import hashes, manifest_of, verify_files
from upturn.export.serving.reading import Order, Reading
from upturn.export.serving.readme import readme
from upturn.export.serving.registry import target as find
from upturn.export.serving.smoke import smoke_script
from upturn.records import Json
from upturn.tracking.versions import MANIFEST, dump


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A finished export.

    Attributes:
        folder: where it is.
        files: names in it, sorted.
        verified: every check, all of them passed.
        manifest: its ``manifest.json``.
    """

    folder: Path
    files: tuple[str, ...]
    verified: tuple[Check, ...]
    manifest: Mapping[str, Json]


def read_in_fresh_process(order: Order, *, python: str = sys.executable) -> Reading:
    """Reads an export back in a new process of a Python.

    Raises:
        UpturnError: the process failed; the message is its last line.
    """
    with tempfile.TemporaryDirectory(prefix="upturn-") as folder:
        asked, answered = Path(folder) / "order.json", Path(folder) / "answer.json"
        asked.write_text(json.dumps(asdict(order)), encoding="utf-8")
        command = [python, "-m", "upturn.export.serving.reading", asked, answered]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if ran.returncode:
            last = (ran.stderr.strip().splitlines() or ["no message"])[-1]
            raise _unreadable(order.target, f"reading it back ended with {ran.returncode}: {last}")
        answer = json.loads(answered.read_text(encoding="utf-8"))
    checks = [Check(**check) for check in answer["checks"]]
    return Reading(checks=checks, measured=answer["measured"])


def export_serving(
    source: Source,
    to: str,
    out: Path,
    options: Options,
    *,
    read: Callable[[Order], Reading] = read_in_fresh_process,
) -> Exported:
    """Exports an adapter for a server and returns what was written and verified.

    The same export again, into the folder that has it, changes nothing.

    Args:
        source: the adapter and its base.
        to: the target's name.
        out: the folder to write; its parents are made.
        options: names, dtype, limits.
        read: reads the export back; a process of its own by default.

    Raises:
        InputError: there is no such target, or its server cannot serve this source.
        StorageError: ``out`` holds something else, or cannot be written.
        UpturnError: a check failed; nothing is left at ``out``.
    """
    target = find(to)
    _require(target)
    target.refuse(source, options)
    asked = {"target": to, "adapter": source.adapter_id, "base": source.base_id, **asdict(options)}
    if _has_entries(out):
        return _same(out, asked)
    with _beside(out) as folder:
        notes = dict(target.write(source, options, folder))
        checks = target.rules(source, options, folder)
        reading = read(_order(source, target, options, folder, str(notes["weights"])))
        checks += reading.checks
        _expect_passed(target, checks)
        start = target.start(source, options)
        measured = {**reading.measured, **_numbers(notes)}
        _write_texts(folder, source, target, start, checks, measured)
        manifest = manifest_of(source, target, asked, notes, checks, measured, hashes(folder))
        (folder / MANIFEST).write_bytes(dump(manifest))
        _readable(folder)
    return _exported(out, manifest)


def _order(source: Source, target: Target, options: Options, folder: Path, weights: str) -> Order:
    return Order(
        reader=target.reader,
        target=target.name,
        adapter=str(source.adapter.resolve()),
        base=str(source.base.resolve()),
        exported=str((folder / weights).resolve()),
        dtype=options.dtype,
        messages=source.messages,
    )


def _numbers(notes: Mapping[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in notes.items() if name == "weight_rounding"}


def _require(target: Target) -> None:
    import importlib.util

    needed = {"gguf": "gguf"} if target.reader == "gguf" else {}
    for module, extra in {"torch": "local", "peft": "train", **needed}.items():
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError(extra, f"--to {target.name}")


def _write_texts(
    folder: Path,
    source: Source,
    target: Target,
    start: Start,
    checks: list[Check],
    measured: Mapping[str, Json],
) -> None:
    text = readme(source, target, start, checks, measured)
    (folder / "README.md").write_text(text, encoding="utf-8")
    (folder / "smoke.py").write_text(smoke_script(source, start), encoding="utf-8")
    if source.card:
        (folder / "card.json").write_bytes(dump(source.card))


def _expect_passed(target: Target, checks: list[Check]) -> None:
    if failed := [c for c in checks if not c.ok]:
        listed = "; ".join(f"{c.check}: {c.value:.3g}, allowed {c.tolerance:.3g}" for c in failed)
        raise _unreadable(target.name, listed)


def _unreadable(target: str, what: str) -> UpturnError:
    return UpturnError(
        f"an export must read back as its source, and --to {target} did not: {what}",
        fix="nothing was written; export --to peft, which changes least, and report this",
    )


def _has_entries(folder: Path) -> bool:
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))


def _same(out: Path, asked: Mapping[str, Json]) -> Exported:
    rule = "an export never overwrites: the folder must be new, empty or hold this very export"
    other = StorageError(rule, where=str(out), fix=f"choose another --out, or remove {out}")
    if not (out / MANIFEST).is_file():
        raise other
    manifest = verify_files(out)
    if manifest.get("asked") != dict(asked):
        raise other
    return _exported(out, manifest)


def _exported(out: Path, manifest: Mapping[str, Json]) -> Exported:
    return Exported(
        folder=out,
        files=tuple(sorted([*manifest["files"], MANIFEST])),
        verified=tuple(Check(**c) for c in manifest["verified"]),
        manifest=manifest,
    )


def _readable(folder: Path) -> None:
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


@contextlib.contextmanager
def _beside(out: Path) -> Generator[Path]:
    """Yields a new folder that becomes ``out`` at the end, and goes where anything stopped us."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        try:
            yield beside
            beside.chmod(0o755)
            beside.replace(out)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
    except OSError as error:
        raise StorageError(
            f"the folder must be readable and writable: {error.strerror or error}",
            where=str(out),
            fix="mend the path, its permissions or the disk, then run again",
        ) from error
