"""Alembic's folder: how a released schema becomes the next. :mod:`upturn.store.schema` runs it."""
