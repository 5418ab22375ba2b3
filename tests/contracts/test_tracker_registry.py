"""What every registry promises, asserted on the two that exist."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from upturn.errors import CorruptionError, InputError
from upturn.records import Candidate, PromptState
from upturn.registry import Aliases, MlflowRegistry, Registry
from upturn.testing.tracker import MemoryRegistry, migrated_store

SEED = Candidate(
    states={"route": PromptState(instruction="Route.", demos=({"message": "hé", "team": "a"},))},
    choices={"route.instruction": "i-seed"},
)
BETTER = Candidate(states={"route": PromptState(instruction="Route well.")})
REPORT = {"verdict": "PROMOTE", "effect": 0.1, "challenger_score": 0.8, "n": 200}


@pytest.fixture(params=["memory", "mlflow"])
def registry(
    request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Registry]:
    if request.param == "memory":
        yield MemoryRegistry()
        return
    store = migrated_store(tmp_path_factory.getbasetemp().parent / "mlflow", tmp_path)
    yield MlflowRegistry(store)
    store.close()


def register(registry: Registry, candidate: Candidate = SEED, turn: str = "t1") -> str:
    return registry.register(
        candidate,
        program="triage",
        turn=turn,
        report_json=REPORT,
        files={"program.json": b'{"route": {}}', "decision.md": b"## PROMOTE"},
        facts={"model": "upturn-mini@00"},
    )


def test_a_version_comes_back_as_it_went_in(registry: Registry) -> None:
    version = register(registry)
    loaded = registry.load("triage", version)
    assert loaded.candidate == SEED
    assert (loaded.version, loaded.turn, loaded.report["n"]) == ("1", "t1", 200)
    assert loaded.files["program.json"] == b'{"route": {}}'
    assert loaded.manifest["facts"] == {"model": "upturn-mini@00"}
    assert set(loaded.files) == {"program.json", "decision.md", "candidate.json", "report.json"}


def test_registering_is_idempotent_by_turn_and_candidate(registry: Registry) -> None:
    assert register(registry) == register(registry) == "1"
    assert register(registry, BETTER) == "2"
    assert register(registry, SEED, "t2") == "3"


def test_the_champion_moves_and_moves_back(registry: Registry) -> None:
    assert registry.champion("triage") is None
    first, second = register(registry), register(registry, BETTER)
    assert registry.champion("triage") is None
    for version, candidate in ((first, SEED), (second, BETTER), (first, SEED)):
        registry.set_champion("triage", version)
        champion = registry.champion("triage")
        assert champion is not None
        assert (champion.version, champion.candidate) == (version, candidate)


def test_versions_are_listed_newest_first(registry: Registry) -> None:
    assert registry.versions("triage") == []
    register(registry)
    register(registry, BETTER, "t2")
    registry.set_champion("triage", "1")
    listed = registry.versions("triage")
    assert [(v.version, v.turn, v.candidate_id) for v in listed] == [
        ("2", "t2", BETTER.id),
        ("1", "t1", SEED.id),
    ]
    assert [(v.verdict, v.is_champion) for v in listed] == [("PROMOTE", False), ("PROMOTE", True)]


def test_a_version_without_a_report_is_a_version(registry: Registry) -> None:
    registry.register(SEED, program="triage", turn="adoption", report_json={}, files={})
    assert registry.versions("triage")[0].verdict == ""
    assert registry.load("triage", "1").report == {}


def test_an_unknown_version_is_named_beside_the_known_ones(registry: Registry) -> None:
    register(registry)
    for call in (registry.load, registry.set_champion):
        with pytest.raises(InputError, match=r"\(1\), got '9'"):
            call("triage", "9")
    assert registry.champion("triage") is None


@pytest.mark.parametrize("name", ["candidate.json", "program.json", "manifest.json"])
def test_changed_content_is_refused_and_never_promoted(
    registry: Registry, name: str, tmp_path: Path
) -> None:
    version = register(registry)
    if isinstance(registry, MemoryRegistry):
        if name == "manifest.json":
            pytest.skip("in memory there is no second place that keeps the manifest's hash")
        registry.stored["triage"][0][name] += b" "
    else:
        (path,) = tmp_path.glob(f"artifacts/**/{name}")
        path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(CorruptionError, match=f"{name} must have sha256"):
        registry.load("triage", version)
    with pytest.raises(CorruptionError):
        registry.set_champion("triage", version)
    assert registry.champion("triage") is None


def test_settings_and_their_choices_come_back(registry: Registry) -> None:
    candidate = Candidate(
        states=SEED.states,
        choices={"route.instruction": "i-seed", "@temperature": "s-0.7", "d['k'].demos": "d-0"},
        settings={"temperature": 0.7, "adapter": "json", "module": "cot", "model": "big"},
    )
    loaded = registry.load("triage", register(registry, candidate))
    assert loaded.candidate == candidate
    assert loaded.candidate.id != SEED.id


def test_aliases_and_marks_are_kept_apart(registry: Registry) -> None:
    assert registry.aliases("triage") == Aliases()
    first, second = register(registry), register(registry, BETTER, "t2")
    registry.set_staging("triage", second)
    assert registry.aliases("triage") == Aliases(staging=second)
    registry.set_champion("triage", first)
    registry.settle("triage", "a" * 64)
    assert registry.aliases("triage") == Aliases(champion=first, staging=second, settled="a" * 64)
    assert [(v.is_staged, v.is_champion) for v in registry.versions("triage")] == [
        (True, False),
        (False, True),
    ]
    registry.set_staging("triage", "")
    registry.set_staging("triage", "")  # there is none any more, which is no error
    assert registry.aliases("triage").staging == ""
    with pytest.raises(InputError, match="got '9'"):
        registry.set_staging("triage", "9")


def test_an_override_is_kept_with_its_reason(registry: Registry) -> None:
    register(registry)
    registry.mark_override("triage", "1", "we <b>must</b> | today")
    assert [v.override for v in registry.versions("triage")] == ["we <b>must</b> | today"]
