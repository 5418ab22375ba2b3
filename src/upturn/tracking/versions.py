"""A registered version as plain files with their hashes.

``candidate.json``, ``report.json``, ``manifest.json`` and what the caller adds (``program.json``,
``decision.md``). Nothing is pickled, so a version can be read for years and holds no key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from upturn.errors import CorruptionError, InputError
from upturn.records import Candidate, Json

MANIFEST = "manifest.json"
FORMAT = 1
#: Tag of a version that was promoted without the gate's word; its value says why.
OVERRIDE = "override"
#: File of a version that names the rows and events its prompt came from, by their ids.
ORIGINS = "origins.json"


@dataclass(frozen=True, kw_only=True)
class RegisteredVersion:
    """One registered version, its files checked against their hashes.

    Attributes:
        program, version: its name in the registry; versions count from "1".
        candidate: the program state.
        turn: the turn that made it.
        report: the gate's report as JSON.
        manifest: hashes of the files and the facts given at registration.
        files: all other files, by name.
    """

    program: str
    version: str
    candidate: Candidate
    turn: str
    report: Mapping[str, Json]
    manifest: Mapping[str, Json]
    files: Mapping[str, bytes]


@dataclass(frozen=True, kw_only=True)
class VersionInfo:
    """One line of a program's list of versions.

    Attributes:
        stale: whether something in it was forgotten, so that nobody measured what is left.
        is_staged: whether it waits for approval.
        override: why it was promoted without the gate's word; "" where it never was.
    """

    program: str
    version: str
    turn: str
    candidate_id: str
    verdict: str
    is_champion: bool
    stale: bool = False
    is_staged: bool = False
    override: str = ""


@dataclass(frozen=True, kw_only=True)
class Aliases:
    """Which versions of a program its aliases name; "" for none.

    Attributes:
        champion: the version in production.
        staging: the version that waits for approval.
        settled: hash of the ledger's entry that ``champion`` stands for.
    """

    champion: str = ""
    staging: str = ""
    settled: str = ""


def build_files(
    candidate: Candidate,
    *,
    turn: str,
    report_json: Mapping[str, Json],
    files: Mapping[str, bytes],
    facts: Mapping[str, Json],
) -> dict[str, bytes]:
    """Returns all files of a version, manifest included."""
    content = {
        **files,
        "candidate.json": dump(candidate.to_json()),
        "report.json": dump(report_json),
    }
    hashes = {name: sha256(content[name]) for name in sorted(content)}
    manifest = {
        "format": FORMAT,
        "candidate": candidate.id,
        "turn": turn,
        "facts": dict(facts),
        "files": hashes,
    }
    return {**content, MANIFEST: dump(manifest)}


def read_version(
    program: str, version: str, content: Mapping[str, bytes], *, where: str, expected: str = ""
) -> RegisteredVersion:
    """Checks a version's files and returns what they say.

    Args:
        program, version: names of the version.
        content: file name -> bytes, manifest included.
        where: for errors.
        expected: hash that the manifest itself must have; "" where it is not kept elsewhere.

    Raises:
        CorruptionError: a file is missing, or its content does not match its hash.
    """
    if MANIFEST not in content or (expected and sha256(content[MANIFEST]) != expected):
        raise _corrupt(MANIFEST, expected, content, where)
    manifest = json.loads(content[MANIFEST])
    for name, wanted in manifest["files"].items():
        if name not in content or sha256(content[name]) != wanted:
            raise _corrupt(name, wanted, content, where)
    return RegisteredVersion(
        program=program,
        version=version,
        candidate=Candidate.from_json(json.loads(content["candidate.json"])),
        turn=manifest["turn"],
        report=json.loads(content["report.json"]),
        manifest=manifest,
        files={name: content[name] for name in manifest["files"]},
    )


def describe(
    program: str, version: str, content: Mapping[str, bytes], named: Aliases, *, override: str = ""
) -> VersionInfo:
    """Returns a version's line in the list; its files are not checked."""
    manifest = json.loads(content[MANIFEST])
    report = json.loads(content.get("report.json", b"{}"))
    return VersionInfo(
        program=program,
        version=version,
        turn=manifest["turn"],
        candidate_id=manifest["candidate"],
        verdict=str(report.get("verdict", "")),
        is_champion=version == named.champion,
        stale="stale" in manifest,
        is_staged=version == named.staging,
        override=override,
    )


def unknown_version(program: str, version: str, known: Sequence[str]) -> InputError:
    """Returns the error for a version that does not exist."""
    have = ", ".join(known) if known else "none"
    return InputError(
        f"version must be one of {program}'s registered versions ({have}), got {version!r}",
        fix="upturn ls",
    )


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def dump(value: object) -> bytes:
    """Returns JSON that a person can read and diff."""
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True).encode() + b"\n"


def _corrupt(name: str, expected: str, content: Mapping[str, bytes], where: str) -> CorruptionError:
    found = sha256(content[name])[:12] if name in content else "no file"
    return CorruptionError(
        f"{name} must have sha256 {expected[:12] or 'as its tag says'}, found {found}",
        where=where,
        fix="restore the file from a backup, or roll back to another version: upturn history",
    )
