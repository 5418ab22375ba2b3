"""The page on suites says what the code does, and its examples open."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tests.unit.suites.suiting import bench, says
from upturn.config.suites import SuiteSection
from upturn.suites import jsonl, open_suite
from upturn.suites.evals import read_evals

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
PAGE = (DOCS / "suites.md").read_text()


def names(heading: str) -> list[str]:
    """The code spans in the first column of the table that a heading cell begins."""
    table = PAGE.partition(f"| {heading} |")[2].partition("\n\n")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("|")]
    return [name for cell in cells for name in re.findall("`([^`]+)`", cell)]


def test_every_check_and_every_key_is_on_the_page():
    assert sorted(names("check")) == sorted(jsonl._MAKERS)
    keys = {f.alias or name for name, f in SuiteSection.model_fields.items()}
    assert set(names("key")) == keys


def test_the_examples_open_and_run(tmp_path):
    folder = DOCS / "examples" / "suites"
    own = open_suite("must_hold.jsonl", folder)
    graded = read_evals(folder / "evals" / "refund_terms.yaml")
    with bench(tmp_path, says({}, "Returns will look into it."), lambda _: "So:\nA") as on:
        assert (on.run(own).passed, on.run(graded).passed) == (3, 2)
        assert all("Reasoning:" in prompt for prompt in on.judged)


def test_the_rows_on_the_page_are_rows(tmp_path):
    block = next(b for b in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL) if '"expect"' in b)
    (tmp_path / "s.jsonl").write_text(block)
    assert len(open_suite("s.jsonl", tmp_path).rows) == 2
    sections = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0])
    given = [s for s in sections["gate"]["suites"] if isinstance(s, dict)]
    assert [SuiteSection.model_validate(s).pass_share for s in given] == [1.0, 1.0]


def test_the_page_counts_the_safety_set():
    suite = open_suite("safety", ROOT)
    kinds = ("injection", "secret", "refusal", "format")
    counted = [sum(r.id.startswith(f"{k}-") for r in suite.rows) for k in kinds]
    assert [int(n) for n in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)] == counted
    assert f"{len(suite.rows)} rows of our own" in PAGE
