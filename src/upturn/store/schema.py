"""The schema's version: made, upgraded, or refused, by one process at a time."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from upturn.errors import StorageError
from upturn.store.dialect import reading, writing
from upturn.store.tables import Base

#: The newest revision, as its file in migrations/versions says; a test compares them.
HEAD = "0001"
#: The table in which Alembic keeps the revision; a name of our own, because a database may hold
#: other applications' tables.
VERSION_TABLE = "upturn_store_version"


def prepare(engine: Engine, *, create: bool, where: str) -> None:
    """Brings a store's schema to the newest revision. Call it while holding ``opening``.

    Args:
        create: whether a store that does not exist is made.
        where: the store's address, for errors.

    Raises:
        StorageError: there is no store and none may be made, a newer version of Upturn made it,
            or its tables are somebody else's.
    """
    with reading(engine) as connection:
        if revision(connection) == HEAD:
            return
    # Asked again under the lock: another process may have upgraded it meanwhile.
    with writing(engine, alone=True) as connection:
        found = revision(connection)
        if found != HEAD:
            _check(connection, found, create=create, where=where)
            upgrade(connection, HEAD)


def revision(connection: Connection) -> str | None:
    """Returns the revision of the schema, None where there is none."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()


def upgrade(connection: Connection, target: str) -> None:
    """Upgrades to a revision, inside the connection's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, target)


def known_revisions() -> tuple[str, ...]:
    """Returns the revisions that this version knows, newest first."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(Path(__file__).parent / "migrations"))
    return tuple(s.revision for s in scripts.walk_revisions())


def _check(connection: Connection, found: str | None, *, create: bool, where: str) -> None:
    if found is not None and found not in known_revisions():
        raise StorageError(
            f"the store must be of revision {HEAD} or older, it is of {found}: a newer version of "
            "Upturn made it",
            where=where,
            fix="pip install --upgrade upturn",
        )
    if found is None and not create:
        raise _missing(where)
    theirs = set(Base.metadata.tables) & set(inspect(connection).get_table_names())
    if found is None and theirs:
        raise StorageError(
            "the database must have no tables of the store's names, it has "
            f"{', '.join(sorted(theirs))}, which Upturn did not make",
            where=where,
            fix="name another file or database with --store",
        )


def _missing(where: str) -> StorageError:
    return StorageError(
        "the store must exist, there is none",
        where=where,
        fix=f"upturn ingest FILE --store '{where}', or mend the name",
    )
