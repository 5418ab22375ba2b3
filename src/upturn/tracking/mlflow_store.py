"""One MLflow store: the local database of a runs folder, or a server that is given by address."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from upturn.errors import StorageError
from upturn.tracking.database import Schema, prepare, sqlite_uri
from upturn.tracking.links import DEFAULT_UI
from upturn.tracking.mlflow_client import (
    check_name,
    installed_schema,
    make_client,
    release,
    storage_errors,
)
from upturn.tracking.redact import redact

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

# Opens the evaluation-runs table, the best one for this kind of run, when a person comes by.
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "genai_development", "upturn": "program"}


@dataclass(frozen=True, kw_only=True)
class MlflowStore:
    """An opened store, shared by the tracker and the registry.

    Attributes:
        uri: the tracking URI.
        client: the live client.
        artifacts: folder for artifacts, or None where a server keeps them.
        ui: address of the UI, for links.
    """

    uri: str
    client: MlflowClient
    artifacts: Path | None
    ui: str

    @property
    def where(self) -> str:
        """The store's address as errors name it: without credentials."""
        return redact(self.uri)

    def experiment(self, program: str) -> str:
        """Returns the id of a program's experiment, made now if there is none.

        Raises:
            StorageError: the experiment is in the trash, or its artifacts belong to another mode
                or another place than this store's.
        """
        with storage_errors(self.where):
            found = self.client.get_experiment_by_name(check_name(program))
            if found is None:
                location = self._location(program)
                return self.client.create_experiment(program, location, tags=_EXPERIMENT_TAGS)
            self._check(found)
            return str(found.experiment_id)

    def close(self) -> None:
        """Closes connections to a local database."""
        if self.artifacts is not None:
            release(self.uri)

    def _location(self, program: str) -> str | None:
        return None if self.artifacts is None else (self.artifacts / program).as_uri()

    def _check(self, experiment: Experiment) -> None:
        name = experiment.name
        if experiment.lifecycle_stage != "active":
            command = f"mlflow experiments restore -x {experiment.experiment_id}"
            what = f"experiment {name!r} must be active, it is in the trash"
            raise StorageError(
                what, where=self.where, fix=f"MLFLOW_TRACKING_URI={self.where} {command}"
            )
        expected, found = self._location(name), str(experiment.artifact_location)
        if expected is None or found == expected:
            return
        if found.startswith(("mlflow-artifacts:", "http:", "https:")):
            what = f"experiment {name!r} was written through a server ({found}), not directly"
            fix = "set tracking.uri to that server's address, or use another folder"
        else:
            what = f"artifacts of {name!r} must lie in {expected}, the database says {found}"
            fix = "move the folder back to where it was made, or start a fresh one"
        raise StorageError(what, where=self.where, fix=fix)


def open_store(
    root: Path, *, uri: str = "", ui: str = "", schema: Schema | None = None
) -> MlflowStore:
    """Opens the store of a runs folder.

    Args:
        root: folder of the database and the artifacts; made if missing. Unused with ``uri``.
        uri: address of an MLflow server (``http://…``) to use instead.
        ui: address under which the UI is reached, for links.
        schema: what MLflow knows of database schemas; the installed one's where left out.

    Raises:
        StorageError: the folder is not writable or another version's, or no server answers.
    """
    if uri:
        with storage_errors(uri):  # a scheme that MLflow does not know, or nobody answers
            store = MlflowStore(
                uri=uri, client=make_client(uri), artifacts=None, ui=(ui or redact(uri)).rstrip("/")
            )
            store.client.search_experiments(max_results=1)
        return store
    root = root.resolve()
    local = sqlite_uri(prepare(root, schema or installed_schema()))
    return MlflowStore(
        uri=local,
        client=make_client(local),
        artifacts=root / "artifacts",
        ui=(ui or DEFAULT_UI).rstrip("/"),
    )
