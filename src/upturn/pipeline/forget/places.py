"""Files that are searched, and redacted where they hold something forgotten."""

from __future__ import annotations

import gzip
import json
import os
import re
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from upturn.errors import StorageError
from upturn.pipeline.forget.needles import Needles
from upturn.pipeline.forget.tables import Swept, sweep_database
from upturn.pipeline.workspace import write_json
from upturn.records import content_hash

_SQLITE = b"SQLite format 3\x00"
_GZIP = b"\x1f\x8b"
#: How the names of files end that SQLite keeps beside a database.
_BESIDE = ("-wal", "-shm", "-journal")
#: Formats that compress their content, and are not opened.
_CLOSED = frozenset({".zst", ".parquet", ".zip", ".xz", ".bz2", ".7z", ".tar", ".tgz", ".arrow"})
#: Never rewritten: the chain of hashes would break, and no entry holds content.
LEDGER = "ledger.jsonl"
#: Folder of frozen evidence, whose files are named by their hash: the ledger names them by it.
EVIDENCE = "evidence"
_HASH_NAME = re.compile(r"[0-9a-f]{64}\.json")


def sweep(
    roots: Iterable[Path], needles: Needles, *, write: bool = True, but: Path | None = None
) -> Swept:
    """Searches every file and every SQLite database under some places.

    Args:
        roots: files and folders; those that do not exist are passed over.
        needles: what is searched for.
        write: whether what is found is redacted; otherwise it is listed in ``left``.
        but: a database that is passed over, resolved; None for none.

    Raises:
        StorageError: a file cannot be read or written, or a database is locked.
    """
    swept = Swept()
    if not needles:
        return swept
    for path in sorted(set(_files(roots))):
        if but is not None and path in (but, *(Path(f"{but}{end}") for end in _BESIDE)):
            continue
        try:
            _file(path, needles, swept, write)
        except FileNotFoundError:
            continue  # somebody sent or removed it meanwhile
        except OSError as error:
            raise StorageError(
                f"every file must be readable and writable to be searched, got: {error.strerror}",
                where=str(path),
                fix="mend its permissions or the disk, then run the same command again",
            ) from error
    return swept


def _files(roots: Iterable[Path]) -> Iterator[Path]:
    for root in roots:
        if root.is_file():
            yield root.resolve()
        elif root.is_dir():
            yield from (p.resolve() for p in root.rglob("*") if p.is_file() and not p.is_symlink())


def _file(path: Path, needles: Needles, swept: Swept, write: bool) -> None:
    with path.open("rb") as stream:
        head = stream.read(16)
    if head == _SQLITE:
        sweep_database(path, needles, swept, write=write)
        return
    if path.name.endswith(_BESIDE) and _is_of_database(path):
        return  # part of a database that is searched, and emptied after it was changed
    if path.suffix in _CLOSED:
        swept.unopened.append(str(path))
        return
    data = path.read_bytes()
    packed = data.startswith(_GZIP)
    if packed:
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error):
            swept.unopened.append(str(path))
            return
    _plain(path, data, needles, swept, write=write, packed=packed)


def _is_of_database(path: Path) -> bool:
    main = path.with_name(re.sub(r"-(?:wal|shm|journal)\Z", "", path.name))
    if not main.is_file():
        return False
    with main.open("rb") as stream:
        return stream.read(16) == _SQLITE


def _plain(
    path: Path, data: bytes, needles: Needles, swept: Swept, *, write: bool, packed: bool
) -> None:
    text = data.decode("utf-8", "surrogateescape")
    if not needles.in_text(text):
        return
    binary = b"\x00" in data or text != data.decode("utf-8", "replace")
    kept = _why_kept(path) or ("a binary file" if binary else "")
    if kept or not write:
        swept.left.append(f"{path}: {kept}" if write else str(path))
        return
    if _is_record(path, text):
        content, places = needles.redact(json.dumps(json.loads(text)["content"]))
        write_json(path, json.loads(content))
    else:
        text, places = _redacted(path, text, needles)
        encoded = text.encode()
        replace_bytes(path, gzip.compress(encoded, mtime=0) if packed else encoded)
    swept.files[str(path)] = places


def _why_kept(path: Path) -> str:
    """Why a file is never rewritten, "" where it may be."""
    if path.name == LEDGER:
        return "a ledger is never changed"
    # Without a name or a text in it; what is found is the value of a slice.
    frozen = path.parent.name == EVIDENCE and _HASH_NAME.fullmatch(path.name)
    return "the evidence of a decision is never changed" if frozen else ""


def _is_record(path: Path, text: str) -> bool:
    """Tells whether a file carries the hash of its own content; see ``workspace.write_json``."""
    if path.suffix != ".json" or '"sha256"' not in text[:200]:
        return False
    try:
        value = json.loads(text)
        return set(value) == {"sha256", "content"} and (
            content_hash(value["content"]) == value["sha256"]
        )
    except (ValueError, TypeError):
        return False


def _redacted(path: Path, text: str, needles: Needles) -> tuple[str, int]:
    """A line of a JSONL file is one record, and is removed whole."""
    if not path.name.endswith((".jsonl", ".jsonl.gz", ".ndjson")):
        return needles.redact(text)
    lines = text.splitlines(keepends=True)
    kept = [line for line in lines if not needles.in_text(line)]
    return "".join(kept), len(lines) - len(kept)


def replace_bytes(path: Path, data: bytes) -> None:
    """Replaces a file's content, keeping its mode; a reader sees the old or the new."""
    mode = path.stat().st_mode
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode & 0o777)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
