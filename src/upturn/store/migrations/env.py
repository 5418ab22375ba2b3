"""Run by Alembic: migrates over the connection that it was given, inside its transaction."""

from alembic import context

from upturn.store.schema import VERSION_TABLE
from upturn.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
)
context.run_migrations()
