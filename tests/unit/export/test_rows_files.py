"""Files of rows: whole or not at all, never over something else."""

import json
from pathlib import Path

import pytest

from upturn.errors import StorageError
from upturn.export.rows.files import write_array, write_folder, write_lines


def test_lines_and_arrays_hold_what_was_given(tmp_path: Path):
    rows = [{"a": 'é "\n\u2028'}, {"b": [1, None]}]
    assert write_lines(tmp_path / "x" / "rows.jsonl", iter(rows)) == 2
    text = (tmp_path / "x" / "rows.jsonl").read_text(encoding="utf-8")
    assert [json.loads(line) for line in text.rstrip("\n").split("\n")] == rows
    assert write_array(tmp_path / "rows.json", iter(rows)) == 2
    assert json.loads((tmp_path / "rows.json").read_text(encoding="utf-8")) == rows
    assert write_array(tmp_path / "none.json", []) == 0
    assert json.loads((tmp_path / "none.json").read_text()) == []


def test_the_same_rows_again_change_nothing_and_others_are_refused(tmp_path: Path):
    out = tmp_path / "rows.jsonl"
    write_lines(out, [{"a": 1}])
    before = out.stat().st_mtime_ns
    assert write_lines(out, [{"a": 1}]) == 1
    assert out.stat().st_mtime_ns == before
    with pytest.raises(StorageError, match="never overwrites"):
        write_lines(out, [{"a": 2}])
    assert out.read_text() == '{"a": 1}\n'
    assert [p.name for p in tmp_path.iterdir()] == ["rows.jsonl"]


def test_a_row_that_fails_leaves_no_file(tmp_path: Path):
    def rows():
        yield {"a": 1}
        raise KeyError("boom")

    with pytest.raises(KeyError):
        write_lines(tmp_path / "rows.jsonl", rows())
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_array(tmp_path / "rows.json", [{"a": float("nan")}])
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match=r"file/rows\.jsonl: the path must be writable"):
        write_lines(tmp_path / "file" / "rows.jsonl", [])


def test_a_folder_must_be_new_or_empty(tmp_path: Path):
    out = tmp_path / "made"
    out.mkdir()
    write_folder(out, lambda beside: (beside / "a").write_text("1"))
    assert (out / "a").read_text() == "1"
    with pytest.raises(StorageError, match="never overwrites"):
        write_folder(out, lambda beside: None)
    with pytest.raises(RuntimeError):
        write_folder(tmp_path / "other", _fail)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["made"]


def _fail(beside: Path) -> None:
    (beside / "half").write_text("x")
    raise RuntimeError("boom")
