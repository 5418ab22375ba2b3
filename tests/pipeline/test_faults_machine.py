"""The machine gives up: a full disk, Ctrl-C, a second run of the same study."""

import errno

import pytest

from tests.pipeline.faults import Faulty, champion, entries, run
from upturn.errors import StorageError
from upturn.ledger import EntryKind
from upturn.tracking import TurnStatus


@pytest.mark.parametrize("step", ["log_candidate", "log_files"])
def test_a_disk_that_fills_up_says_so_and_loses_nothing_paid(project, step):
    faulty = Faulty()
    project.engine = faulty.engine()
    works = getattr(project.tracker, step)

    def full(*arguments, **named):
        raise OSError(errno.ENOSPC, "No space left on device", "mlruns/x")

    setattr(project.tracker, step, full)
    with pytest.raises(StorageError, match="the disk is full") as caught:
        run(project)
    assert caught.value.exit_code == 2
    assert "nothing paid for is lost" in caught.value.fix
    assert champion(project) == "1"
    before = faulty.paid.total()
    assert before > 20

    setattr(project.tracker, step, works)
    result = run(project)
    assert result.verdict == "PROMOTE"
    assert before + result.calls == faulty.paid.total()
    assert faulty.paid_twice == []


@pytest.mark.parametrize("after", [40, 250])
def test_ctrl_c_closes_the_turn_as_killed_and_it_goes_on(project, after):
    faulty = Faulty(
        fail=lambda key, attempt, answered: KeyboardInterrupt() if answered >= after else None
    )
    project.engine = faulty.engine()
    with pytest.raises(KeyboardInterrupt):
        run(project)
    assert project.tracker.turn.status is TurnStatus.KILLED
    assert "run again to go on" in project.tracker.turn.decision
    assert champion(project) == "1"

    faulty.fail = lambda key, attempt, answered: None
    result = run(project)
    assert (result.verdict, result.looks) == ("PROMOTE", 1)
    assert entries(project).count(EntryKind.LOOK) == 1
    assert faulty.paid_twice == []


def test_a_second_run_on_the_same_study_is_refused_and_the_first_goes_on(project):
    refused = []

    def meanwhile(key, attempt, answered):
        if answered == 60 and not refused:
            with pytest.raises(StorageError, match="another run holds this workspace") as caught:
                run(project)
            refused.append(caught.value.fix)
        return None

    faulty = Faulty(fail=meanwhile)
    project.engine = faulty.engine()
    result = run(project)
    assert refused == ["wait for it, or set workspace=OTHER_FOLDER"]
    assert (result.verdict, champion(project)) == ("PROMOTE", "2")
    assert faulty.paid_twice == []
    assert entries(project).count(EntryKind.LOOK) == 1
