"""The proposer that CONTRIBUTING.md shows is one file, and works as it stands there."""

import re
from pathlib import Path

import pytest
import yaml

import upturn.propose
from tests.unit.propose.worlds import package
from upturn.propose import PROPOSERS, ask, find
from upturn.propose.registry import discover
from upturn.search.catalogue import Catalogue

ROOT = Path(__file__).parents[3]
OWN = Path(upturn.propose.__path__[0])


@pytest.fixture(scope="module")
def section() -> str:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return text.partition("## Add a proposer\n")[2].partition("\n## ")[0]


@pytest.fixture(scope="module")
def newcomer(section) -> str:
    (code,) = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    return code


def shortest(evidence, size):
    rows = sorted(evidence.demo_pool(), key=lambda e: len(e.inputs["message"]))
    return [{**e.inputs, **e.labels} for e in rows[:size]]


def test_four_steps(section):
    assert re.findall(r"^(\d)\. ", section, flags=re.MULTILINE) == ["1", "2", "3", "4"]


def test_one_file_in_the_folder_is_enough(newcomer, evidence, tmp_path):
    files = {p.stem: p.read_text(encoding="utf-8") for p in OWN.glob("*.py")}
    files.pop("__init__")
    copied = package(tmp_path / "propose_and_newcomer", **files, shortest=newcomer)
    found = discover(copied)
    assert set(found) == {*PROPOSERS, "shortest"}
    proposals = [p for name in ("seed", "shortest") for p in ask(found[name](), evidence)]
    catalogue = Catalogue.build(proposals)
    own = [p for p in catalogue.options["route.demos"].values() if p.origin.startswith("shortest")]
    assert sorted(p.origin for p in own) == [f"shortest:{n}" for n in (2, 4, 6, 8)]
    largest = max(own, key=lambda p: len(p.demos))
    assert list(largest.demos) == shortest(evidence, 8)
    assert largest.event_ids == tuple(i.replace("e", "v") for i in largest.example_ids)


def test_a_file_of_ones_own_is_named_in_the_config(newcomer, section, evidence, tmp_path):
    (line,) = re.findall(r"`(search: \{.*\})`", section)
    *known, own = yaml.safe_load(line)["search"]["proposers"]
    assert set(known) <= set(PROPOSERS)
    path = tmp_path / own.partition(":")[0]
    path.parent.mkdir()
    path.write_text(newcomer, encoding="utf-8")
    proposals = ask(find(own, tmp_path), evidence)
    assert list(proposals[-1].demos) == shortest(evidence, 8)
