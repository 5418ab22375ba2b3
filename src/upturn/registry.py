"""Which version of a program is the champion: registered versions and two aliases.

``champion`` runs, ``staging`` waits for approval. An alias has no history: the ledger keeps who
promoted what, and when. A tag of the model says which entry of the ledger the alias stands for.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from upturn.errors import CorruptionError
from upturn.records import Candidate, Json
from upturn.tracking import mlflow_aliases as aliases
from upturn.tracking.mlflow import note
from upturn.tracking.mlflow_client import check_name, storage_errors, tracking_uri_set
from upturn.tracking.mlflow_heads import HEAD, read_heads
from upturn.tracking.mlflow_store import MlflowStore
from upturn.tracking.mlflow_upload import log_metrics, log_model
from upturn.tracking.versions import (
    MANIFEST,
    OVERRIDE,
    Aliases,
    RegisteredVersion,
    VersionInfo,
    build_files,
    read_version,
    sha256,
    unknown_version,
)

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

__all__ = ["Aliases", "MlflowRegistry", "RegisteredVersion", "Registry", "VersionInfo"]

_MANIFEST_TAG = "manifest_sha256"
_DESCRIPTION_LIMIT, _TAG_LIMIT = 5_000, 1_000
_ABOUT = (
    "States of one DSPy program: instructions and demos, as plain files. The version with alias "
    "`champion` is the one in production, that with `staging` waits for `upturn approve`; "
    "`upturn history` says who moved them, when and why."
)


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

    def aliases(self, program: str) -> Aliases:
        """Returns which versions the aliases name. Reads no version's files."""
        ...

    def set_staging(self, program: str, version: str) -> None:
        """Says which version waits for approval; "" for none.

        Raises:
            InputError, CorruptionError: as ``set_champion``.
        """
        ...

    def settle(self, program: str, entry: str) -> None:
        """Notes the hash of the ledger's entry that the champion alias now stands for."""
        ...

    def heads(self) -> dict[str, str]:
        """Returns program -> ledger's head, of every program that has one; see ``mirror``."""
        ...

    def mirror(self, program: str, head: str) -> None:
        """Keeps ``number:hash`` of the ledger's last entry with a program that has versions."""
        ...

    def mark_override(self, program: str, version: str, because: str) -> None:
        """Notes in a version's tags that it was promoted without the gate's word, and why."""
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
            model = log_model(self._store, candidate, program, content, tags, run_id)
            log_metrics(self._client, model, report_json, run_id)
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
        version = self.aliases(program).champion
        return self.load(program, version) if version else None

    def set_champion(self, program: str, version: str) -> None:
        self.load(program, version)
        with storage_errors(self._store.where):
            aliases.point(self._client, program, aliases.CHAMPION, version)

    def aliases(self, program: str) -> Aliases:
        with storage_errors(self._store.where):
            return aliases.read(self._client, check_name(program))

    def set_staging(self, program: str, version: str) -> None:
        if version:
            self.load(program, version)
        with storage_errors(self._store.where):
            aliases.point(self._client, program, aliases.STAGING, version)

    def settle(self, program: str, entry: str) -> None:
        with storage_errors(self._store.where):
            self._client.set_registered_model_tag(program, aliases.SETTLED, entry)

    def heads(self) -> dict[str, str]:
        with storage_errors(self._store.where):
            return read_heads(self._client)

    def mirror(self, program: str, head: str) -> None:
        with storage_errors(self._store.where):
            self._client.set_registered_model_tag(program, HEAD, head)

    def mark_override(self, program: str, version: str, because: str) -> None:
        with storage_errors(self._store.where):
            self._client.set_model_version_tag(program, version, OVERRIDE, because[:_TAG_LIMIT])

    def versions(self, program: str) -> list[VersionInfo]:
        named = self.aliases(program)
        with storage_errors(self._store.where):
            found = self._versions(program)
        return [
            VersionInfo(
                program=program,
                version=str(v.version),
                turn=v.tags.get("turn", ""),
                candidate_id=v.tags.get("candidate", ""),
                verdict=v.tags.get("verdict", ""),
                is_champion=str(v.version) == named.champion,
                stale="stale" in v.tags,
                is_staged=str(v.version) == named.staging,
                override=v.tags.get(OVERRIDE, ""),
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

    def _ensure_model(self, program: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(program, description=_ABOUT)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _read(self, program: str, version: ModelVersion) -> RegisteredVersion:
        import mlflow.artifacts
        from mlflow.exceptions import MlflowException

        model_id = str(version.source).removeprefix("models:/")
        location = str(self._client.get_logged_model(model_id).artifact_location)
        try:
            folder = Path(
                mlflow.artifacts.download_artifacts(location, tracking_uri=self._store.uri)
            )
            content = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
        except (FileNotFoundError, MlflowException) as error:
            code = getattr(error, "error_code", "RESOURCE_DOES_NOT_EXIST")
            if code != "RESOURCE_DOES_NOT_EXIST":
                raise
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
