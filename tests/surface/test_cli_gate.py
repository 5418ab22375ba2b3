"""``upturn gate``: answers, exit codes, and files that break a rule."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.surface.conftest import Upturn
from upturn.gate import GateReport


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """60 rows: the challenger mends 20 of them and breaks 4."""
    for name, right in (("a", range(20, 60)), ("b", range(56))):
        rows = [json.dumps({"id": f"r{i}", "score": float(i in right)}) for i in range(60)]
        (tmp_path / name).write_text("\n".join(rows))
    return tmp_path / "a", tmp_path / "b"


@pytest.mark.parametrize("design", ["fixed", "group_sequential", "betting"])
def test_it_promotes_what_is_better_and_nothing_else(files, upturn: Upturn, design: str):
    before, after = files
    ran = upturn("gate", "--baseline", before, "--challenger", after, "--design", design)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("PROMOTE\n- The challenger is better by +0.")
    assert ("stages" in ran.out) == (design != "fixed")
    ran = upturn("gate", "--baseline", after, "--challenger", before, "--design", design)
    assert (ran.code, ran.out.splitlines()[0]) == (3, "HOLD")


def test_json_is_the_whole_report(files, upturn: Upturn):
    sides = ("--baseline", files[0], "--challenger", files[1])
    ran = upturn("gate", *sides, "--alpha", 0.0002, "--min-gain", "0.1", "--json")
    report = GateReport.from_json(ran.json)
    assert (ran.code, str(report.verdict), report.alpha) == (3, "INCONCLUSIVE", 0.0002)
    assert report.effect == pytest.approx(16 / 60)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--design", "beting"], "did you mean betting?"),
        (["--alpha", "0.7"], "alpha must be in (0, 0.5), got 0.7"),
        (["--min-gain", "1"], "min_gain must be in [0, 1), got 1.0"),
        (["--baseline", "absent.jsonl"], "absent.jsonl: the file must exist"),
    ],
)
def test_bad_options_are_exit_2(files, upturn: Upturn, options, told):
    ran = upturn("gate", "--baseline", files[0], "--challenger", files[1], *options)
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err
    assert "Traceback" not in ran.err


def test_a_bad_line_is_named_by_file_and_line(files, upturn: Upturn):
    files[1].write_text('{"id": "r0", "score": 1}\n{"id": "r1", "scores": 1}\n')
    ran = upturn("gate", "--baseline", files[0], "--challenger", files[1])
    assert (ran.code, ran.out) == (2, "")
    assert f"error: {files[1]}:2: key must be one of id, group, score" in ran.err
    assert "did you mean score?" in ran.err
    assert "next: " in ran.err


def test_a_design_takes_its_settings(files, upturn: Upturn):
    options = ["--design", "group_sequential", "--design-setting", "stages=2"]
    sides = ["--baseline", files[0], "--challenger", files[1]]
    ran = upturn("gate", *sides, *options, "--design-setting", "spending=pocock", "--json")
    assert (ran.code, ran.json["staged"]["stages"]) == (0, 2)
    ran = upturn("gate", *sides, *options, "--design-setting", "stagse=2")
    assert ran.code == 2
    assert "did you mean stages?" in ran.err
