"""Which version of a program is the champion: registered versions and one alias.

The alias has no history: the ledger keeps who promoted what, and when.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from upturn.errors import CorruptionError
from upturn.records import Candidate, Json
from upturn.tracking.mlflow import clean_name, note
from upturn.tracking.mlflow_client import check_name, storage_errors, tracking_uri_set
from upturn.tracking.mlflow_store import MlflowStore
from upturn.tracking.versions import (
    MANIFEST,
    RegisteredVersion,
    VersionInfo,
    build_files,
    read_version,
    sha256,
    unknown_version,
)

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

__all__ = ["MlflowRegistry", "RegisteredVersion", "Registry", "VersionInfo"]

ALIAS = "champion"
_MANIFEST_TAG = "manifest_sha256"
_DESCRIPTION_LIMIT = 5_000
_ABOUT = (
    "States of one DSPy program: instructions and demos, as plain files. The version with alias "
    "`champion` is the one in production; `upturn history` says who moved it, when and why."
)
# Metric of the logged model -> field of the gate's report.
_METRICS = {
    "holdout/score": "challenger_score",
    "holdout/effect": "effect",
    "holdout/low": "low",
    "holdout/high": "high",
    "holdout/rows": "n",
}


class Registry(Protocol):
    """Programs' versions and their champion. Every method may raise StorageError."""

    def register(
        self,
        candidate: Candidate,
        *,
        program: str,
        turn: str,
        report_json: Mapping[str, Json],
        files: Mapping[str, bytes],
        facts: Mapping[str, Json] | None = None,
        run_id: str = "",
    ) -> str:
        """Registers a version and returns its number. Does not make it champion.

        Idempotent by (program, turn, candidate): the same call returns the same number.

        Args:
            candidate: the program state.
            program: the program's name.
            turn: the turn that made it.
            report_json: the gate's report.
            files: name -> content, e.g. ``program.json`` and ``decision.md``.
            facts: what else the manifest says: model id, snapshot id, versions.
            run_id: the tracker's run of the challenger, for the link back.
        """
        ...

    def champion(self, program: str) -> RegisteredVersion | None:
        """Returns the champion, or None where none was ever promoted.

        Raises:
            CorruptionError: its files do not match their hashes.
        """
        ...

    def set_champion(self, program: str, version: str) -> None:
        """Moves the alias. Promotes or rolls back.

        Raises:
            InputError: there is no such version.
            CorruptionError: its files do not match their hashes; the alias stays.
        """
        ...

    def versions(self, program: str) -> list[VersionInfo]:
        """Returns all versions, newest first."""
        ...

    def load(self, program: str, version: str) -> RegisteredVersion:
        """Returns one version.

        Raises:
            InputError: there is no such version.
            CorruptionError: its files do not match their hashes.
        """
        ...


class MlflowRegistry:
    """The registry in an MLflow store. Implements ``Registry``."""

    def __init__(self, store: MlflowStore) -> None:
        self._store = store
        self._client = store.client

    def register(
        self,
        candidate: Candidate,
        *,
        program: str,
        turn: str,
        report_json: Mapping[str, Json],
        files: Mapping[str, bytes],
        facts: Mapping[str, Json] | None = None,
        run_id: str = "",
    ) -> str:
        content = build_files(
            candidate, turn=turn, report_json=report_json, files=files, facts=facts or {}
        )
        tags = {
            "turn": turn,
            "candidate": candidate.id,
            _MANIFEST_TAG: sha256(content[MANIFEST]),
        }
        if verdict := report_json.get("verdict"):
            tags["verdict"] = str(verdict)
        with storage_errors(self._store.where):
            for known in self._versions(program):
                if (known.tags.get("turn"), known.tags.get("candidate")) == (turn, candidate.id):
                    return str(known.version)
            self._ensure_model(program)
            model = self._log_model(candidate, program, content, tags, run_id)
            self._log_metrics(model, report_json, run_id)
            with tracking_uri_set(self._store.uri):
                made = self._client.create_model_version(
                    program,
                    f"models:/{model}",
                    run_id=run_id or None,
                    tags=tags,
                    description=_description(content),
                    model_id=model,
                )
        return str(made.version)

    def champion(self, program: str) -> RegisteredVersion | None:
        version = self._champion_version(program)
        return self.load(program, version) if version else None

    def set_champion(self, program: str, version: str) -> None:
        self.load(program, version)
        with storage_errors(self._store.where):
            self._client.set_registered_model_alias(program, ALIAS, version)

    def versions(self, program: str) -> list[VersionInfo]:
        champion = self._champion_version(program)
        with storage_errors(self._store.where):
            found = self._versions(program)
        return [
            VersionInfo(
                program=program,
                version=str(v.version),
                turn=v.tags.get("turn", ""),
                candidate_id=v.tags.get("candidate", ""),
                verdict=v.tags.get("verdict", ""),
                is_champion=str(v.version) == champion,
                stale="stale" in v.tags,
            )
            for v in found
        ]

    def load(self, program: str, version: str) -> RegisteredVersion:
        with storage_errors(self._store.where):
            found = {str(v.version): v for v in self._versions(program)}
            if version not in found:
                raise unknown_version(program, version, list(found))
            return self._read(program, found[version])

    def _versions(self, program: str) -> list[ModelVersion]:
        query = f"name = '{check_name(program)}'"
        found = list(self._client.search_model_versions(query, max_results=10_000))
        return sorted(found, key=lambda v: -int(v.version))

    def _champion_version(self, program: str) -> str:
        from mlflow.exceptions import MlflowException

        with storage_errors(self._store.where):
            try:
                found = self._client.get_model_version_by_alias(check_name(program), ALIAS)
            except MlflowException as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return ""
                raise
        return str(found.version)

    def _ensure_model(self, program: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(program, description=_ABOUT)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _log_model(
        self,
        candidate: Candidate,
        program: str,
        content: Mapping[str, bytes],
        tags: Mapping[str, str],
        run_id: str,
    ) -> str:
        """Returns the id of a logged model that holds the files; never by an MLflow flavour, whose
        pickles would hold the model's key."""
        model = self._client.create_logged_model(
            self._store.experiment(program),
            name=f"{program}-{candidate.id}",
            source_run_id=run_id or None,
            tags=dict(tags),
            params={clean_name(k): v[:500] for k, v in candidate.choices.items()},
            model_type="dspy-program",
        )
        with tempfile.TemporaryDirectory(prefix="upturn-") as folder:
            for name, data in content.items():
                (Path(folder) / name).write_bytes(data)
            self._client.log_model_artifacts(model.model_id, folder)
        self._client.finalize_logged_model(model.model_id, "READY")
        return model.model_id

    def _log_metrics(self, model: str, report: Mapping[str, Json], run_id: str) -> None:
        from mlflow.entities import Metric

        if not run_id:
            return
        values = {name: report.get(field) for name, field in _METRICS.items()}
        metrics = [
            Metric(name, float(value), 0, 0, model_id=model)
            for name, value in values.items()
            if value is not None
        ]
        self._client.log_batch(run_id, metrics=metrics)

    def _read(self, program: str, version: ModelVersion) -> RegisteredVersion:
        import mlflow.artifacts

        model_id = str(version.source).removeprefix("models:/")
        location = str(self._client.get_logged_model(model_id).artifact_location)
        try:
            folder = Path(
                mlflow.artifacts.download_artifacts(location, tracking_uri=self._store.uri)
            )
            content = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
        except FileNotFoundError as error:
            raise CorruptionError(
                f"the files of {program} version {version.version} must exist",
                where=location,
                fix="restore them from a backup, or roll back: upturn history",
            ) from error
        return read_version(
            program,
            str(version.version),
            content,
            where=location,
            expected=version.tags.get(_MANIFEST_TAG, ""),
        )


def _description(content: Mapping[str, bytes]) -> str:
    # The list of versions shows the first line as it is, so it carries no markup.
    return note(content.get("decision.md", b"").decode().lstrip("# "), _DESCRIPTION_LIMIT)
