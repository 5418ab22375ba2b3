"""The workspace: one run at a time, atomic records that know their hash."""

import errno

import pytest

from upturn.errors import CorruptionError, StorageError
from upturn.pipeline.workspace import Workspace, disk_errors, read_json, write_json


def test_two_runs_cannot_hold_one_workspace(tmp_path):
    first, second = Workspace(tmp_path), Workspace(tmp_path)
    with first.locked():
        with pytest.raises(
            StorageError, match="another run holds this workspace: process"
        ) as caught:
            second.locked().__enter__()
        assert caught.value.exit_code == 2
        assert "workspace=OTHER_FOLDER" in caught.value.fix
    with second.locked():
        assert (tmp_path / ".lock").exists()


@pytest.mark.parametrize(
    ("code", "rule"),
    [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "read-only"), (errno.EACCES, "permission")],
)
def test_what_a_disk_does_is_said(tmp_path, code, rule):
    with pytest.raises(StorageError, match=rule), disk_errors(tmp_path):
        raise OSError(code, "no")


def test_other_os_errors_are_not_explained_away(tmp_path):
    with pytest.raises(OSError, match="strange"), disk_errors(tmp_path):
        raise OSError(errno.EBADF, "strange")


def test_a_folder_below_a_file_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="a file stands where a folder must be"):
        Workspace(tmp_path / "file" / "ws").locked().__enter__()


def test_records_know_their_hash(tmp_path):
    path = tmp_path / "a" / "result.json"
    write_json(path, {"verdict": "HOLD", "effect": 0.5})
    assert read_json(path) == {"verdict": "HOLD", "effect": 0.5}
    path.write_text(path.read_text().replace("HOLD", "PROMOTE"))
    with pytest.raises(CorruptionError, match="content must hash to"):
        read_json(path)
    path.write_text("{")
    with pytest.raises(CorruptionError, match="no record"):
        read_json(path)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "r.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": float("nan")})
    assert read_json(path) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]


def test_turns_are_listed_by_age(tmp_path):
    import os

    workspace = Workspace(tmp_path)
    assert workspace.turns() == []
    for age, turn in ((20, "old"), (10, "new")):
        write_json(workspace.turn(turn) / "result.json", {})
        os.utime(workspace.turn(turn) / "result.json", (1e9 - age, 1e9 - age))
    assert workspace.turns() == ["old", "new"]
