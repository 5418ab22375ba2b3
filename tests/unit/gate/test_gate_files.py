"""The gate over two files: what it says, and what it says of files that break a rule."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from upturn.errors import ConfigError, DataError, StorageError
from upturn.gate import GateReport, GateRules, design, design_names
from upturn.gate.files import decide_files, settings_of
from upturn.records import Verdict

# 60 rows: 20 mended, 4 broken
BEFORE = [{"id": f"r{i}", "score": float(i >= 20)} for i in range(60)]
AFTER = [{"id": f"r{i}", "score": float(i < 56)} for i in range(60)]


def write(path: Path, rows) -> Path:
    lines = [r if isinstance(r, str) else json.dumps(r) for r in rows]
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def judged(folder: Path, before=BEFORE, after=AFTER, name: str = "fixed", **rules) -> GateReport:
    sides = (write(folder / "a.jsonl", before), write(folder / "b.jsonl", after))
    return decide_files(*sides, rules=GateRules(design=design(name), draws=2000, **rules))


def refused(folder: Path, before=BEFORE, after=AFTER) -> str:
    with pytest.raises(DataError) as caught:
        judged(folder, before, after)
    return str(caught.value).replace(f"{folder}/", "")


@pytest.mark.parametrize("name", design_names())
def test_a_gain_is_promoted_under_every_design(tmp_path: Path, name: str):
    report = judged(tmp_path, name=name)
    assert report.verdict is Verdict.PROMOTE
    assert [g.name for g in report.guards] == ["failure rate"]
    assert (report.alpha, report.look) == (0.05, 1)
    if name == "fixed":
        assert report.effect == pytest.approx(16 / 60)
        assert (report.test, report.effective_rows) == ("exact McNemar", None)


def test_a_files_order_of_rows_says_nothing(tmp_path: Path):
    for name in design_names():
        first = judged(tmp_path, name=name)
        assert judged(tmp_path, BEFORE[::-1], AFTER[7:] + AFTER[:7], name) == first


def test_ids_may_be_numbers_scores_bools_and_lines_blank(tmp_path: Path):
    before = [{"id": i, "score": False} for i in range(9)]
    after = ["", *({"id": i, "score": True, "failed": False} for i in range(9)), "  "]
    assert judged(tmp_path, before, after).effect == 1.0


def test_one_group_ties_failures_and_a_single_row(tmp_path: Path):
    grouped = [[{**r, "group": "one"} for r in rows] for rows in (BEFORE, AFTER)]
    one = judged(tmp_path, *grouped)
    assert (one.verdict, one.groups, one.p_value) == (Verdict.INCONCLUSIVE, 1, 0.5)
    ties = judged(tmp_path, BEFORE, BEFORE)
    assert (ties.verdict, ties.effect, ties.p_value) == (Verdict.HOLD, 0.0, 1.0)
    failed = [{"id": r["id"], "score": None, "failed": True} for r in BEFORE]
    lost = judged(tmp_path, BEFORE, failed)
    assert (lost.verdict, lost.challenger_counts.failed) == (Verdict.HOLD, 60)
    both = judged(tmp_path, failed, failed)
    assert (both.verdict, both.effect) == (Verdict.HOLD, 0.0)
    single = judged(tmp_path, [{"id": "x", "score": 0}], [{"id": "x", "score": 1}])
    assert (single.verdict, single.n, single.rows_needed is None) == (
        Verdict.INCONCLUSIVE, 1, False,
    )  # fmt: skip


def test_weights_count(tmp_path: Path):
    heavy = [
        [{**r, "weight": 30.0 if i >= 56 else 1} for i, r in enumerate(rows)]
        for rows in (BEFORE, AFTER)
    ]
    report = judged(tmp_path, *heavy)
    assert report.effect == pytest.approx((20 - 4 * 30) / (56 + 4 * 30))
    assert report.effective_rows == pytest.approx(176**2 / (56 + 4 * 900))
    assert report.verdict is Verdict.HOLD


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"id": "x", "scroe": 1}', "got 'scroe'; did you mean score?"),
        ('{"id": "x", "score": NaN}', "must be one whole JSON object (NaN is no JSON)"),
        ('{"id": "x", "score": 1', "must be one whole JSON object"),
        ("[1]", "must be a JSON object, got [1]"),
        ('{"score": 1}', "id must be a text or a whole number, got None"),
        ('{"id": "", "score": 1}', "id must be a text"),
        ('{"id": "x", "score": 1, "group": 1.5}', "group must be a text"),
        ('{"id": "x", "score": 1.2}', "score must be a number in [0, 1], got 1.2"),
        ('{"id": "x"}', "score must be a number in [0, 1], got None"),
        ('{"id": "x", "score": "1"}', "score must be a number in [0, 1], got '1'"),
        ('{"id": "x", "score": 1, "failed": true}', "score must be null where failed is true"),
        ('{"id": "x", "failed": 1}', "failed must be true or false, got 1"),
        (
            '{"id": "x", "score": 1, "weight": -1}',
            "weight must be 0 or a number in [1e-09, 1e+09], got -1",
        ),
        ('{"id": "x", "score": 1, "weight": 1e10}', "got 10000000000.0"),
        ('{"id": "r3", "score": 1}', "id must be given once, 'r3' was given before"),
        ('\xff{"id": "x"}', "must be one whole JSON object"),
    ],
)
def test_a_bad_line_is_named_with_its_place(tmp_path: Path, line: str, told: str):
    message = refused(tmp_path, [*BEFORE, line])
    assert message.startswith("a.jsonl:61: ")
    assert told in message


def test_files_that_do_not_fit_each_other(tmp_path: Path):
    told = refused(tmp_path, BEFORE, AFTER[:-2])
    assert told.startswith("a.jsonl:59: both files must hold the same ids, 2 are here alone")
    assert "next: add them to" in told
    assert refused(tmp_path, BEFORE[:-1]).startswith("b.jsonl:60: both files")
    for key, was in (("group", "'r4'"), ("weight", "1.0")):
        moved = [{**r, key: 7} if r["id"] == "r4" else r for r in AFTER]
        told = refused(tmp_path, BEFORE, moved)
        assert told.startswith(f"b.jsonl:5: a row must keep its {key}, a.jsonl has {was}, got ")


def test_files_without_rows_or_weight(tmp_path: Path):
    assert refused(tmp_path, []).startswith("a.jsonl: a file of rows must hold at least one")
    nothing = [[{**r, "weight": 0} for r in rows] for rows in (BEFORE, AFTER)]
    assert "the weights of all rows must sum to more than 0" in refused(tmp_path, *nothing)
    with pytest.raises(DataError, match="the file must exist, found no such file"):
        decide_files(tmp_path / "none", tmp_path / "none", rules=GateRules())
    with pytest.raises(StorageError, match="the file must be readable"):
        decide_files(tmp_path, tmp_path, rules=GateRules())


def test_settings_are_read_as_what_they_are():
    found = settings_of(["stages=4", "futility=0.2", "spending=pocock", "rho=2e0"])
    assert found == {"stages": 4, "futility": 0.2, "spending": "pocock", "rho": 2.0}
    assert design("group_sequential", found).stages == 4
    for bad in (["stages"], ["=4"], ["stages="], ["a=1", "a=2"]):
        with pytest.raises(ConfigError, match="must be name=value, each name once"):
            settings_of(bad)
