"""The aliases of a local MLflow database, read without MLflow, which takes seconds to import."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from upturn.tracking.database import DATABASE
from upturn.tracking.mlflow_aliases import CHAMPION, SETTLED, STAGING
from upturn.tracking.versions import Aliases

_ALIASES = "select alias, version from registered_model_aliases where name = ?"
_TAGS = "select key, value from registered_model_tags where name = ?"


def read_local(root: Path, program: str) -> Aliases | None:
    """Returns what MLflow would answer, and writes nothing.

    Args:
        root: the runs folder.
        program: the registered model's name.

    Returns:
        The aliases, none set where the model is unknown; None where the file cannot be read this
        way, because it is gone or its tables are another MLflow's: then MLflow must be asked.
    """
    uri = f"{(root / DATABASE).resolve().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=20.0)) as db:
            named = {str(a): str(v) for a, v in db.execute(_ALIASES, (program,))}
            tags = {str(k): str(v) for k, v in db.execute(_TAGS, (program,))}
    except sqlite3.Error:
        return None
    return Aliases(
        champion=named.get(CHAMPION, ""),
        staging=named.get(STAGING, ""),
        settled=tags.get(SETTLED, ""),
    )
