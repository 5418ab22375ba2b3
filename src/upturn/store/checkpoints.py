"""How far each source was read; written in the transaction of the events that it speaks of."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from upturn.store.records import Checkpoint
from upturn.store.tables import CheckpointRow
from upturn.store.texts import clean, dump, key_of, load


def read(connection: Connection, source: str) -> Checkpoint | None:
    """Returns how far a source was read, None where that was never said."""
    query = select(CheckpointRow.position, CheckpointRow.state)
    row = connection.execute(query.where(CheckpointRow.key == _key(source))).first()
    if row is None:
        return None
    return Checkpoint(source=source, position=row.position, state=load(row.state))


def write(connection: Connection, checkpoint: Checkpoint, updated_at: str) -> None:
    """Replaces what is known of a source."""
    clear(connection, checkpoint.source)
    row = insert(CheckpointRow).values(
        key=_key(checkpoint.source),
        source=clean(checkpoint.source),
        position=checkpoint.position,
        state=dump(checkpoint.state),
        updated_at=updated_at,
    )
    connection.execute(row)


def clear(connection: Connection, source: str) -> None:
    """Removes what is known of a source."""
    connection.execute(delete(CheckpointRow).where(CheckpointRow.key == _key(source)))


def _key(source: str) -> bytes:
    return key_of(clean(source))
