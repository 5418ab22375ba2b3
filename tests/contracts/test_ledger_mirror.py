"""The ledger's head beside the registry: lines cut off are found, kills are caught up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.ledger.books import book, fill, look
from upturn.errors import CorruptionError
from upturn.ledger import Ledger, head_of
from upturn.pipeline.audit.mirroring import mirror_head
from upturn.records import Candidate, PromptState
from upturn.registry import MlflowRegistry, Registry
from upturn.testing.tracker import MemoryRegistry, migrated_store

SEED = Candidate(states={"route": PromptState(instruction="Route.")})


@pytest.fixture(params=["memory", "mlflow"])
def registry(
    request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Registry]:
    if request.param == "memory":
        yield with_version(MemoryRegistry())
        return
    store = migrated_store(tmp_path_factory.getbasetemp().parent / "mlflow", tmp_path)
    yield with_version(MlflowRegistry(store))
    store.close()


def with_version(registry: Registry) -> Registry:
    registry.register(SEED, program="p", turn="adoption", report_json={}, files={})
    return registry


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return book(tmp_path / "book" / "ledger.jsonl")


def test_the_head_comes_back_and_follows_the_ledger(registry: Registry, ledger: Ledger) -> None:
    assert registry.heads() == {}
    mirror_head(registry, ledger, "p")
    assert registry.heads() == {}  # there is nothing to mirror yet
    fill(ledger, turns=1)
    mirror_head(registry, ledger, "p")
    assert registry.heads() == {"p": head_of(ledger.entries()[-1])}
    look(ledger, "t9")  # a kill comes before the mirror
    mirror_head(registry, ledger, "p")
    assert registry.heads() == {"p": f"5:{ledger.entries()[-1].hash}"}


def test_a_ledger_that_lost_its_end_is_refused_and_not_mirrored(
    registry: Registry, ledger: Ledger, tmp_path: Path
) -> None:
    fill(ledger, turns=1)
    mirror_head(registry, ledger, "p")
    head, path = registry.heads(), tmp_path / "book" / "ledger.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    assert ledger.verify() == 3  # a whole, shorter chain
    with pytest.raises(CorruptionError, match="must hold entry 4, which the registry has seen"):
        mirror_head(registry, ledger, "p")
    look(ledger, "t9")  # as long as before, and not the same
    with pytest.raises(CorruptionError, match="cut off or replaced"):
        mirror_head(registry, ledger, "p")
    assert registry.heads() == head
