"""The ledger: looks counted once, a chain that shows tampering, and kills that cost nothing."""

from __future__ import annotations

import json
import multiprocessing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from upturn.errors import CorruptionError, StorageError
from upturn.ledger import EntryKind, Ledger
from upturn.records import Look, Verdict

HOLDOUT, OTHER = "a" * 64, "b" * 64


class Clock:
    """One second later at each call."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def halving(number: int, spent: float) -> float:
    return min(0.05 / 2**number, 0.05 - spent)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "space" / "ledger.jsonl", clock=Clock())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "space" / "ledger.jsonl"


def look(ledger: Ledger, turn: str, holdout: str = HOLDOUT) -> Look:
    return ledger.open_look(holdout, turn=turn, program="triage", alpha=halving)


def promote(ledger: Ledger, version: str, previous: str, turn: str = "t1"):
    return ledger.append_promotion(
        program="triage", version=version, previous=previous, turn=turn, who="ci", reason="gate"
    )


def test_looks_are_counted_per_holdout_and_given_their_share(ledger: Ledger) -> None:
    first, second = look(ledger, "t1"), look(ledger, "t2")
    elsewhere = look(ledger, "t3", OTHER)
    assert first == Look(holdout=HOLDOUT, number=1, alpha=0.025, turn="t1")
    assert second == Look(holdout=HOLDOUT, number=2, alpha=0.0125, turn="t2")
    assert (elsewhere.number, elsewhere.alpha) == (1, 0.025)
    assert ledger.looks(HOLDOUT) == (first, second)


def test_a_later_look_is_told_what_was_spent(ledger: Ledger) -> None:
    told: list[tuple[int, float]] = []

    def alpha(number: int, spent: float) -> float:
        told.append((number, spent))
        return 0.02

    for turn in ("t1", "t2", "t3"):
        ledger.open_look(HOLDOUT, turn=turn, program="p", alpha=alpha)
    assert told == [(1, 0), (2, 0.02), (3, 0.04)]


def test_a_resumed_turn_gets_the_look_it_had(ledger: Ledger, path: Path) -> None:
    first = look(ledger, "t1")
    again = look(Ledger(path, clock=Clock()), "t1")
    assert again == first
    assert len(ledger.entries()) == 1


def test_only_the_recorded_look_is_recorded(ledger: Ledger) -> None:
    real = look(ledger, "t1")
    assert ledger.is_recorded(real)
    assert not ledger.is_recorded(Look(holdout=HOLDOUT, number=1, alpha=0.05, turn="t1"))
    assert not ledger.is_recorded(Look(holdout=OTHER, number=1, alpha=0.025, turn="t1"))


def test_reading_makes_no_file(ledger: Ledger, path: Path) -> None:
    assert ledger.entries() == ()
    assert ledger.verify() == 0
    assert not path.parent.exists()


def test_what_a_release_leaves(ledger: Ledger, path: Path) -> None:
    ledger.append_adoption(program="triage", version="1")
    look(ledger, "t1")
    ledger.append_decision(
        program="triage", turn="t1", verdict=Verdict.PROMOTE, report={"effect": 0.12, "n": 210}
    )
    promote(ledger, "2", "1")
    ledger.append_adoption(program="other", version="1")
    ledger.append_rollback(program="triage", version="1", previous="2", who="ann", reason="slow")
    entries = Ledger(path, clock=Clock()).entries("triage")
    assert [e.kind for e in entries] == ["adoption", "look", "decision", "promotion", "rollback"]
    assert [e.number for e in entries] == [1, 2, 3, 4, 6]
    assert entries[2].data["report"] == {"effect": 0.12, "n": 210}
    assert entries[4].data == {
        "version": "1", "previous": "2", "turn": "", "who": "ann", "reason": "slow"
    }  # fmt: skip
    assert entries[0].time == "2026-03-01T00:00:01+00:00"
    assert json.loads(path.read_text().splitlines()[3]) == entries[3].to_json()
    assert ledger.verify() == 6


def test_a_killed_process_that_repeats_itself_writes_once(ledger: Ledger) -> None:
    assert promote(ledger, "2", "1") == promote(ledger, "2", "1")
    ledger.append_rollback(program="triage", version="1", previous="2", who="ann", reason="slow")
    assert promote(ledger, "2", "1").number == 3  # after a roll-back the same promotion is news
    for _ in range(2):
        ledger.append_decision(program="triage", turn="t1", verdict=Verdict.HOLD, report={"n": 1})
    assert len(ledger.entries()) == 4


@pytest.mark.parametrize("attack", ["edit", "remove", "swap", "forge", "garbage"])
def test_a_changed_line_is_named(ledger: Ledger, path: Path, attack: str) -> None:
    for turn in ("t1", "t2", "t3", "t4"):
        look(ledger, turn)
    lines = path.read_text().splitlines()
    if attack == "edit":
        lines[2] = lines[2].replace('"t3"', '"t9"')
    elif attack == "remove":
        del lines[2]
    elif attack == "swap":
        lines[2], lines[3] = lines[3], lines[2]
    elif attack == "forge":  # a whole line of another ledger, its own hash in order
        twin = Ledger(path.with_name("twin.jsonl"), clock=Clock())
        for turn in ("u1", "u2", "u3"):
            look(twin, turn)
        lines[2] = path.with_name("twin.jsonl").read_text().splitlines()[2]
    else:
        lines[2] = "[1, 2]"
    path.write_text("\n".join(lines) + "\n")
    for act in (ledger.verify, lambda: look(ledger, "t5")):
        with pytest.raises(CorruptionError) as caught:
            act()
        assert caught.value.where == f"{path}:3"
        assert caught.value.exit_code == 2
    assert path.read_text() == "\n".join(lines) + "\n"


@pytest.mark.parametrize("kept", [1, 40, -1])
def test_a_line_cut_off_by_a_kill_is_removed_and_noted(
    ledger: Ledger, path: Path, kept: int
) -> None:
    look(ledger, "t1")
    whole = path.read_bytes()
    look(ledger, "t2")
    torn = path.read_bytes()[len(whole) : -1][:kept]
    path.write_bytes(whole + torn)
    assert [e.turn for e in ledger.looks(HOLDOUT)] == ["t1"]
    assert path.read_bytes() == whole + torn  # reading repairs nothing
    assert look(ledger, "t2").number == 2
    kinds = [e.kind for e in ledger.entries()]
    assert kinds == [EntryKind.LOOK, EntryKind.REPAIR, EntryKind.LOOK]
    note = ledger.entries()[1].data["note"]
    assert note == f"removed {len(torn)} bytes of a line that was cut off while being written"


def test_a_whole_last_line_without_its_end_is_kept(ledger: Ledger, path: Path) -> None:
    look(ledger, "t1")
    look(ledger, "t2")
    path.write_bytes(path.read_bytes()[:-1])
    assert len(ledger.looks(HOLDOUT)) == 2
    assert look(ledger, "t3").number == 3
    assert ledger.verify() == 3


def _append_many(path: Path, name: str) -> None:
    ledger = Ledger(path, clock=Clock())
    for k in range(15):
        ledger.open_look(HOLDOUT, turn=f"{name}-{k}", program=name, alpha=halving)


def test_processes_that_append_at_once_keep_the_chain(ledger: Ledger, path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_append_many, args=(path, n)) for n in ("x", "y", "z")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [w.exitcode for w in workers] == [0, 0, 0]
    assert ledger.verify() == 45
    assert sorted(look.number for look in ledger.looks(HOLDOUT)) == list(range(1, 46))


def test_a_folder_in_the_files_place_is_a_storage_error(ledger: Ledger, path: Path) -> None:
    path.mkdir(parents=True)
    for act in (ledger.verify, lambda: look(ledger, "t1")):
        with pytest.raises(
            StorageError, match="the ledger must be a file that can be read"
        ) as caught:
            act()
        assert caught.value.where == str(path)


def test_a_full_disk_is_a_storage_error_and_leaves_no_half_line(path: Path) -> None:
    import resource
    import signal

    ledger = Ledger(path, clock=Clock())
    look(ledger, "t1")
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, limits[1]))
    try:
        with pytest.raises(StorageError, match="could not write it"):
            look(ledger, "t2")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == before
    assert look(ledger, "t2").number == 2
