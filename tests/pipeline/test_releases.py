"""Promotions, approvals and roll-backs: what is refused, what a kill leaves, what is written."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.pipeline.releasing import (
    PROGRAM,
    Killed,
    adopted,
    candidate,
    consistent,
    decide,
    dying_at,
    open_releases,
)
from upturn.errors import CorruptionError, InputError, StorageError
from upturn.ledger import EntryKind
from upturn.pipeline.releases.moves import lineage, moves_of
from upturn.testing.tracker import MemoryRegistry
from upturn.tracking.versions import MANIFEST, Aliases


@pytest.fixture
def releases(tmp_path):
    return adopted(open_releases(tmp_path, MemoryRegistry()))


def moves(releases):
    return moves_of(releases.ledger.entries(PROGRAM))


def third(releases):
    """Version 2 is promoted, and version 3 was found better than it."""
    releases.promote("2", who="ann", because="gate")
    return decide(releases, 3, champion="2")


def test_a_promotion_is_in_the_ledger_the_alias_and_the_mark(releases):
    releases.promote("2", who="ann", because="looks good")
    assert consistent(releases) == "2"
    last = moves(releases)[-1]
    assert last.data["turn"] == "t2"
    assert (last.data["previous"], last.data["who"], last.data["reason"]) == (
        *("1", "ann", "looks good"),
    )
    with pytest.raises(InputError, match="is the champion already"):
        releases.promote("2", who="ann", because="again")


def _promote(releases):
    releases.promote("2", who="ann", because="x")


def _override(releases):
    releases.promote("2", who="ann", because="we must", override=True)


def _approve(releases):
    releases.approve(None, who="ann", because="x")


def _roll_back(releases):
    releases.rollback(to=None, who="ann", because="x")


@pytest.mark.parametrize("place", range(1, 11))
@pytest.mark.parametrize("act", [_promote, _override, _approve, _roll_back])
def test_a_kill_anywhere_is_finished_by_the_next_command(releases, act, place):
    """Once the ledger has said it, it is done; before, nothing was."""
    releases.stage("2", turn="t2")
    before = "1"
    if act is _roll_back:
        third(releases)
        before = "2"
        releases.promote("3", who="ann", because="x")
        before = "3"
    said = len(moves(releases))

    def die():
        raise Killed

    try:
        act(dying_at(releases, place, die))
    except Killed:
        pass
    else:
        assert place > 6  # fewer steps than that
    told: list[str] = []
    again = replace(releases, tell=told.append)
    done = len(moves(releases)) > said
    assert consistent(again) == ("2" if done else before)
    assert consistent(again) == ("2" if done else before)
    assert len(told) <= 1
    # What was typed is typed again: it is done once.
    act(again) if not done else again.settle()
    assert consistent(again) == "2"
    assert len(moves(again)) == said + 1


def test_the_killed_command_typed_again_is_done_once(releases):
    third(releases)
    releases.promote("3", who="ann", because="x")

    def die():
        raise Killed

    with pytest.raises(Killed):
        dying_at(releases, 2, die).rollback(to=None, who="ann", because="worse")
    assert releases.registry.aliases(PROGRAM).champion == "3"
    assert releases.rollback(to=None, who="ann", because="worse") == "2"
    assert releases.rollback(to=None, who="ann", because="worse") == "1"


def test_a_second_roll_back_goes_one_further_back(releases):
    third(releases)
    releases.promote("3", who="ann", because="x")
    assert lineage(moves(releases)) == ["1", "2", "3"]
    assert releases.rollback(to=None, who="ann", because="a") == "2"
    assert releases.rollback(to=None, who="ann", because="b") == "1"
    with pytest.raises(InputError, match="nothing to roll back to"):
        releases.rollback(to=None, who="ann", because="c")
    assert releases.rollback(to="3", who="ann", because="it was not that") == "3"
    assert lineage(moves(releases)) == ["1", "3"]
    assert releases.rollback(to=None, who="ann", because="d") == "1"


def test_a_roll_back_goes_only_to_what_was_a_champion(releases):
    with pytest.raises(InputError, match=r"earlier champion \(1\), got version 2"):
        releases.rollback(to="2", who="ann", because="x")
    with pytest.raises(InputError, match="got '9'"):
        releases.rollback(to="9", who="ann", because="x")
    with pytest.raises(InputError, match="got '9'"):
        releases.promote("9", who="ann", because="x", override=True)
    assert consistent(releases) == "1"


def test_nothing_staged_nothing_to_approve(releases):
    with pytest.raises(InputError, match="must be staged to be approved, none is"):
        releases.approve(None, who="ann", because="x")


def test_what_is_staged_is_approved_and_no_longer_staged(releases):
    assert releases.stage("2", turn="t2")
    assert releases.registry.aliases(PROGRAM).staging == "2"
    with pytest.raises(InputError, match="the staged one, 2, got 1"):
        releases.approve("1", who="ann", because="x")
    assert releases.approve("2", who="ann", because="seen and fine") == "2"
    assert consistent(releases) == "2"
    assert not releases.stage("2", turn="t2")  # the same turn, asked again
    assert releases.registry.aliases(PROGRAM).staging == ""


@pytest.mark.parametrize("knows", [True, False])
def test_evidence_about_another_champion_is_none(releases, knows):
    """Where a version does not say whom it was compared with, the ledger does."""
    decide(releases, 3, champion="1" if knows else "")
    assert releases.stage("3", turn="t3")
    releases.promote("2", who="ann", because="in between")
    releases.registry.set_staging(PROGRAM, "3")
    with pytest.raises(InputError, match="better than version 1, and the champion is version 2"):
        releases.approve(None, who="ann", because="x")
    with pytest.raises(InputError, match="about another champion") as refused:
        releases.promote("3", who="ann", because="x")
    assert "--override --because" in refused.value.fix
    assert not releases.stage("3", turn="t3")
    releases.rollback(to=None, who="ann", because="x")
    assert releases.approve("3", who="ann", because="x") == "3"  # it is about version 1 again


def test_only_the_last_turn_that_found_something_is_staged(releases):
    decide(releases, 3, champion="1")
    assert not releases.stage("2", turn="t2")
    assert releases.stage("3", turn="t3")


def test_an_override_is_loud(releases):
    version = decide(releases, 3, champion="1", verdict="HOLD")
    with pytest.raises(InputError, match=r"was not promoted by a gate \(verdict: HOLD\)"):
        releases.promote(version, who="ann", because="x")
    releases.promote(version, who="ann", because="the demo is tonight", override=True)
    assert consistent(releases) == version
    assert moves(releases)[-1].data["override"] is True
    (marked,) = [v for v in releases.registry.versions(PROGRAM) if v.override]
    assert (marked.version, marked.override) == (version, "the demo is tonight")


def test_an_alias_that_was_moved_outside_is_refused_and_mended_by_two_commands(releases):
    third(releases)
    releases.registry.set_champion(PROGRAM, "3")
    for refused in (
        releases.settle,
        lambda: releases.promote("3", who="ann", because="x"),
        lambda: releases.rollback(to=None, who="ann", because="x"),
        lambda: releases.approve(None, who="ann", because="x"),
        lambda: releases.finish("2", turn="t2", who="ann", because="x"),
    ):
        with pytest.raises(StorageError, match=r"must name version 2.*names version 3") as told:
            refused()
        assert "rollback triage --to 2" in told.value.fix
        assert "promote triage 3 --override" in told.value.fix
    assert releases.registry.aliases(PROGRAM).champion == "3"
    assert "names version 3" in releases.settling.report()

    assert releases.rollback(to="2", who="ann", because="not ours") == "2"
    assert consistent_but_for_the_jump(releases) == "2"
    assert "named version 3, moved elsewhere" in moves(releases)[-1].data["reason"]

    releases.registry.set_champion(PROGRAM, "3")
    releases.promote("3", who="ann", because="we know", override=True)
    assert consistent_but_for_the_jump(releases) == "3"
    assert lineage(moves(releases)) == ["1", "2", "3"]


def consistent_but_for_the_jump(releases):
    assert releases.settle() is None
    named = releases.registry.aliases(PROGRAM)
    assert named.settled == moves(releases)[-1].hash
    assert named.champion == moves(releases)[-1].data["version"]
    return named.champion


def test_a_version_that_an_alias_was_moved_to_never_was_a_champion(releases):
    """Else anybody who may move the alias gets any version past the gate in two roll-backs."""
    decide(releases, 3, champion="1", verdict="HOLD")
    releases.registry.set_champion(PROGRAM, "3")
    releases.rollback(to="1", who="ann", because="not ours")
    with pytest.raises(InputError, match=r"earlier champion \(1\), got version 3"):
        releases.rollback(to="3", who="mallory", because="back again")
    assert consistent_but_for_the_jump(releases) == "1"


def test_a_verdict_that_only_the_registry_knows_is_none(releases):
    """The registry's report may be written by whoever may write there."""
    forged = releases.registry.register(
        candidate(3),
        program=PROGRAM,
        turn="t3",
        report_json={"verdict": "PROMOTE"},
        files={"program.json": b"{}"},
        facts={"champion": "1"},
    )
    with pytest.raises(InputError, match="turn t3 has none"):
        releases.promote(forged, who="mallory", because="x")
    releases.registry.set_staging(PROGRAM, forged)
    with pytest.raises(InputError, match="turn t3 has none"):
        releases.approve(None, who="mallory", because="x")


def test_an_alias_that_was_taken_away_is_refused(releases):
    releases.registry._aliases[PROGRAM] = replace(releases.registry.aliases(PROGRAM), champion="")
    with pytest.raises(StorageError, match="and names none"):
        releases.settle()
    assert releases.rollback(to="1", who="ann", because="it was deleted") == "1"


class Older(MemoryRegistry):
    """A registry whose copies lag: it answers with the aliases as they were."""

    lag = False
    old = Aliases()

    def aliases(self, program: str) -> Aliases:
        return self.old if self.lag else super().aliases(program)


def test_a_registry_that_answers_with_an_older_alias(tmp_path):
    registry = Older()
    releases = adopted(open_releases(tmp_path, registry))
    registry.old, registry.lag = registry.aliases(PROGRAM), True
    with pytest.raises(StorageError, match="another copy of it answers"):
        releases.promote("2", who="ann", because="x")
    registry.lag = False
    assert consistent(releases) == "2"
    # It lags behind a move that was settled: the alias alone is of an older copy.
    registry.old, registry.lag = replace(registry.aliases(PROGRAM), champion="1"), True
    with pytest.raises(StorageError, match="an older copy of the registry answers"):
        releases.rollback(to=None, who="ann", because="x")
    registry.lag = False
    assert consistent(releases) == "2"


def test_a_promotion_whose_files_went_is_undone(releases):
    def die():
        raise Killed

    with pytest.raises(Killed):
        dying_at(releases, 2, die).promote("2", who="ann", because="x")
    releases.registry.stored[PROGRAM][1]["program.json"] += b" "
    told: list[str] = []
    undone = replace(releases, tell=told.append).settle()
    assert undone.kind is EntryKind.ROLLBACK
    assert "could not be finished: program.json must have sha256" in undone.data["reason"]
    assert "undid what was interrupted: promotion of version 2" in told[0]
    assert releases.registry.aliases(PROGRAM).champion == "1"
    assert releases.settle() is None
    assert lineage(moves(releases)) == ["1"]


def test_a_champion_whose_files_went_can_be_rolled_back(releases):
    releases.promote("2", who="ann", because="x")
    del releases.registry.stored[PROGRAM][1]["program.json"]
    with pytest.raises(CorruptionError):
        releases.registry.champion(PROGRAM)
    assert releases.rollback(to=None, who="ann", because="its files are gone") == "1"
    assert consistent(releases) == "1"
    with pytest.raises(CorruptionError, match=r"program\.json"):
        releases.rollback(to="2", who="ann", because="x")
    assert consistent(releases) == "1"


def test_what_lost_a_demo_after_it_was_measured_was_measured_by_nobody(releases):
    stored: Any = releases.registry.stored[PROGRAM][1]
    stored[MANIFEST] = stored[MANIFEST].replace(b'"format": 1', b'"format": 1, "stale": {}')
    with pytest.raises(InputError, match="lost something to `upturn forget`"):
        releases.promote("2", who="ann", because="x")
    releases.promote("2", who="ann", because="it is one demo", override=True)
    assert consistent(releases) == "2"


def test_a_registry_from_before_there_were_marks_is_taken_as_it_is(releases):
    releases.promote("2", who="ann", because="x")
    releases.registry.settle(PROGRAM, "")
    told: list[str] = []
    again = replace(releases, tell=told.append)
    assert again.settling.report() == ""
    assert again.settle() is None
    assert told == []
    assert consistent(again) == "2"


def test_another_workspace_may_share_the_registry(releases, tmp_path):
    """Its ledger knows nothing of these moves: it takes the champion, and does not move it back."""
    (tmp_path / "other").mkdir()
    other = open_releases(tmp_path / "other", releases.registry)
    assert other.settle() is None
    assert other.adopt(candidate(1), "{}").version == "1"
    with pytest.raises(InputError, match="PROMOTE in this workspace's ledger, turn t2 has none"):
        other.promote("2", who="bob", because="x")
    other.promote("2", who="bob", because="x", override=True)
    assert other.settle() is None
    with pytest.raises(StorageError, match="moved outside of Upturn"):
        releases.settle()
    assert lineage(moves(other)) == ["1", "2"]
    assert other.rollback(to=None, who="bob", because="x") == "1"
