"""Where the key of the pseudonyms lives, and who may read it."""

from __future__ import annotations

import stat
from multiprocessing import get_context
from pathlib import Path

import pytest

from upturn.errors import ConfigError, StorageError
from upturn.privacy import MARK, Pseudonyms, default_key_file


def test_a_key_file_is_made_once_for_its_owner_alone(tmp_path):
    path = tmp_path / "deep" / "privacy.key"
    first = Pseudonyms.from_key_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_bytes()) == 32
    again = Pseudonyms.from_key_file(path)
    assert first.mark("EMAIL", "a@b.c") == again.mark("EMAIL", "a@b.c")
    assert [p.name for p in path.parent.iterdir()] == ["privacy.key"]


def test_the_default_place_is_the_users_own(tmp_path):
    place = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert default_key_file(place) == tmp_path / "upturn" / "privacy.key"
    assert default_key_file({}) == Path.home() / ".config" / "upturn" / "privacy.key"
    Pseudonyms.from_key_file(None, place)
    assert (tmp_path / "upturn" / "privacy.key").exists()


def test_the_environment_comes_before_the_default_file(tmp_path):
    environment = {"UPTURN_PRIVACY_KEY": "x" * 40, "XDG_CONFIG_HOME": str(tmp_path)}
    made = Pseudonyms.from_key_file(None, environment)
    assert made.mark("IP", "10.0.0.1") == Pseudonyms(b"x" * 40).mark("IP", "10.0.0.1")
    assert list(tmp_path.iterdir()) == []


def test_a_mark_says_its_kind_and_nothing_else():
    made = Pseudonyms(b"k" * 32)
    assert MARK.fullmatch(made.mark("EMAIL", "jane@example.com"))
    assert made.mark("EMAIL", "x") != made.mark("PHONE", "x")


def test_a_short_key_is_refused():
    with pytest.raises(ConfigError, match="at least 16 bytes, got 5"):
        Pseudonyms(b"short")


def test_a_key_that_others_may_read_is_refused(tmp_path):
    path = tmp_path / "privacy.key"
    Pseudonyms.from_key_file(path)
    path.chmod(0o644)
    with pytest.raises(StorageError, match=r"(?s)got mode 0044 .*chmod 600"):
        Pseudonyms.from_key_file(path)


def test_a_folder_in_place_of_the_key_is_said(tmp_path):
    (tmp_path / "privacy.key").mkdir(mode=0o700)
    with pytest.raises(StorageError, match="must be readable"):
        Pseudonyms.from_key_file(tmp_path / "privacy.key")


def _mark(path: str) -> str:
    return Pseudonyms.from_key_file(Path(path)).mark("EMAIL", "a@b.c")


def test_processes_that_make_it_at_once_agree(tmp_path):
    with get_context("spawn").Pool(4) as pool:
        marks = pool.map(_mark, [str(tmp_path / "privacy.key")] * 8)
    assert len(set(marks)) == 1
