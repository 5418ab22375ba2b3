"""Tables that are searched, and redacted where they hold something forgotten. SQLite only."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from upturn.errors import StorageError
from upturn.pipeline.forget.needles import Needles


@dataclass(kw_only=True)
class Swept:
    """What a search did.

    Attributes:
        files: file -> places redacted in it, or lines removed.
        tables: ``database:table.column`` -> rows.
        left: where something forgotten is still, and why.
        unopened: files that hold compressed content and were not searched.
    """

    files: dict[str, int] = field(default_factory=dict)
    tables: dict[str, int] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    unopened: list[str] = field(default_factory=list)


def sweep_database(path: Path, needles: Needles, swept: Swept, *, write: bool) -> None:
    """Searches every column of a SQLite file that holds text; redacts it where ``write`` says so.

    Raises:
        StorageError: the file is damaged, or another process holds it.
    """
    try:
        with closing(sqlite3.connect(path, timeout=30.0)) as db:
            db.create_function("holds", 1, lambda v: _holds(needles, v), deterministic=True)
            changed = [_table(db, path, t, c, needles, swept, write) for t, c in _tables(db)]
            if any(changed):
                db.commit()
                _compact(db)
    except sqlite3.Error as error:
        raise StorageError(
            f"a database must be whole and unlocked to be searched, got: {error}",
            where=str(path),
            fix="stop what uses it, then run the same command again",
        ) from error


def _table(
    db: sqlite3.Connection,
    path: Path,
    table: str,
    columns: list[str],
    needles: Needles,
    swept: Swept,
    write: bool,
) -> bool:
    """Searches one table, whole rows first: one call for each value would take minutes."""
    whole = " || ".join(f"coalesce({_text(c)}, '') || char(1)" for c in columns)
    if not columns or not _count(db, table, f"holds({whole})"):
        return False
    changed = False
    for column in columns:
        found = _count(db, table, f"holds({_text(column)})")
        place = f"{path}:{table}.{column}"
        if found and write:
            _mend(db, table, column, needles)
            swept.tables[place] = swept.tables.get(place, 0) + found
            changed = True
        elif found:
            swept.left.append(f"{place} ({found} rows)")
    return changed


def _compact(db: sqlite3.Connection) -> None:
    """Writes the file anew: what was overwritten must not stay in free pages or in the log."""
    db.execute("pragma wal_checkpoint(truncate)")
    db.execute("vacuum")
    db.execute("pragma wal_checkpoint(truncate)")


def _holds(needles: Needles, value: object) -> int:
    return int(isinstance(value, str) and needles.in_text(f"\x01{value}\x01"))


def _tables(db: sqlite3.Connection) -> Iterator[tuple[str, list[str]]]:
    """Yields each table with its columns that may hold text."""
    for (table,) in db.execute("select name from sqlite_master where type = 'table'").fetchall():
        if not str(table).startswith("sqlite_"):
            info = db.execute(f"pragma table_xinfo({_quoted(table)})").fetchall()
            yield str(table), [str(c[1]) for c in info if "INT" not in str(c[2]).upper()]


def _text(column: str) -> str:
    """Text of a column; a blob counts where it is longer than keys and hashes are."""
    name = _quoted(column)
    return (
        f"case typeof({name}) when 'text' then {name} "
        f"when 'blob' then case when length({name}) > 40 then cast({name} as text) end end"
    )


def _count(db: sqlite3.Connection, table: str, condition: str) -> int:
    query = f"select count(*) from {_quoted(table)} where {condition}"
    return int(db.execute(query).fetchone()[0])


def _mend(db: sqlite3.Connection, table: str, column: str, needles: Needles) -> None:
    """Redacts a column. An answer of the cache is dropped: it carries a hash, and can be asked
    for again; so is a row whose redacted key would repeat another."""
    name, target = _quoted(column), _quoted(table)
    where = f"where holds({_text(column)})"
    if table == "answers":
        db.execute(f"delete from {target} {where}")
        return
    for (value,) in db.execute(f"select distinct {name} from {target} {where}").fetchall():
        text = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
        clean = needles.redact(f"\x01{text}\x01")[0][1:-1]
        made = clean.encode("utf-8", "surrogateescape") if isinstance(value, bytes) else clean
        db.execute(f"update or replace {target} set {name} = ? where {name} = ?", (made, value))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
