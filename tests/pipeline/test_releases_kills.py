"""Real processes on the real registry, killed with SIGKILL between the steps of a move."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from pathlib import Path

import pytest

from benchmarks.kills import kills
from tests.pipeline.releasing import adopted, consistent, dying_at, open_releases
from upturn.registry import MlflowRegistry
from upturn.testing.tracker import migrated_store
from upturn.tracking.mlflow_store import open_store

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")

#: Before and after each step: ledger, alias, the override's mark (promotions only), entry's mark.
PLACES = {"promote": range(1, 9), "roll back": range(1, 7)}


def act(folder: Path, kind: str, place: int) -> None:
    """Does a move in this process, which dies at a place of it."""
    store = open_store(folder)

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    releases = dying_at(open_releases(folder, MlflowRegistry(store)), place, die)
    if kind == "promote":
        releases.promote("2", who="ann", because="now", override=True)
    else:
        releases.rollback(to=None, who="ann", because="back")


@pytest.mark.parametrize("kind", ["promote", "roll back"])
def test_a_killed_process_leaves_one_consistent_state(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, kind: str
) -> None:
    """Moves to and fro, each killed one step later than the one before."""
    migrated_store(tmp_path_factory.getbasetemp().parent / "mlflow", tmp_path).close()
    killed = 0
    store = open_store(tmp_path)
    releases = adopted(open_releases(tmp_path, MlflowRegistry(store)))
    if kind == "roll back":
        releases.promote("2", who="ann", because="now", override=True)
    for place in PLACES[kind]:
        releases.stage("2", turn="t2")
        before = consistent(releases)
        store.close()
        # A fork has everything imported; nothing of the store is open in it.
        child = multiprocessing.get_context("fork").Process(
            target=act, args=(tmp_path, kind, place)
        )
        child.start()
        child.join()
        killed += child.exitcode == -signal.SIGKILL
        assert child.exitcode in (0, -signal.SIGKILL)
        after = consistent(releases)
        target = "2" if kind == "promote" else "1"
        # Before the ledger has said it nothing was done; from then on all of it is.
        assert after == (before if place == 1 else target)
        if after == target:
            undo(releases, kind)
    assert killed == len(PLACES[kind])
    store.close()


def undo(releases, kind: str) -> None:
    if kind == "promote":
        releases.rollback(to="1", who="ann", because="again")
    else:
        releases.promote("2", who="ann", because="again", override=True)


def test_kills_at_random_moments_leave_one_state():
    found = kills(3, seed=1)
    assert found["wrong"] == []
    assert (found["kills"], sum(found["left"].values())) == (3, 3)
    assert found["moves"] >= 3
