"""Proposers are found by name or file, checked, and never longer than allowed."""

from dataclasses import dataclass, field

import pytest

from tests.unit.propose.worlds import changed, examples, package, shown
from upturn.errors import BudgetExceededError, ProgramError
from upturn.propose import PROPOSERS, Proposal, ask, find
from upturn.propose.base import demo_set
from upturn.propose.registry import discover
from upturn.records import Candidate, PromptState

OWN = """
from dataclasses import dataclass

from upturn.propose import Proposal


@dataclass(frozen=True)
class Politeness:
    name: str = "politeness"

    def propose(self, evidence):
        yield Proposal(predictor="route", origin=self.name, instruction="Route, please.")


class Nameless:
    def propose(self, evidence):
        return []


class Needy(Nameless):
    def __init__(self, model):
        self.name = "needy"


class Copycat(Politeness):
    def __init__(self):
        super().__init__(name="seed")


number = 3
"""


@dataclass
class Scripted:
    """Offers what it is given; raises what it is given."""

    proposals: list = field(default_factory=list)
    error: Exception | None = None
    name: str = "scripted"

    def propose(self, evidence):
        yield from self.proposals
        if self.error is not None:
            raise self.error


@pytest.fixture
def told(evidence):
    said = []
    return changed(evidence, tell=lambda *words: said.append(words)), said


def test_proposers_are_found_seed_first_then_by_name():
    names = list(PROPOSERS)
    assert names[0] == "seed"
    assert names[1:] == sorted(names[1:])
    assert {"balanced", "bootstrapped", "confusion", "contrast", "covering", "crossover"} < set(
        names
    )
    assert {"labelled", "nearest", "shortening"} < set(names)
    assert "settings" not in names
    assert "base" not in names


def test_a_folder_is_searched_for_modules_that_end_in_a_proposer(tmp_path):
    line = "\n\nPROPOSER = Politeness\n"
    found = discover(package(tmp_path / "found_1", politeness=OWN + line, helpers=OWN))
    assert {name: kind.__name__ for name, kind in found.items()} == {"politeness": "Politeness"}


def test_a_proposer_is_named_as_its_file(tmp_path):
    broken = package(tmp_path / "found_2", manners=OWN + "\n\nPROPOSER = Politeness\n")
    with pytest.raises(ProgramError, match=r"that of its file: 'manners', got 'politeness'"):
        discover(broken)


def test_find_knows_names_and_files(tmp_path, evidence):
    (tmp_path / "own.py").write_text(OWN)
    assert find("balanced", tmp_path) == PROPOSERS["balanced"]()
    own = find("own.py:Politeness", tmp_path)
    assert [p.instruction for p in ask(own, evidence)] == ["Route, please."]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("balancd", "must be one of seed, .*, or a 'file.py:Name', got 'balancd'"),
        ("own.py:Polite", "has no name 'Polite'; did you mean Politeness"),
        ("gone.py:Politeness", "no such file: gone.py"),
        ("own.py:number", r"must be a class with propose\(evidence\), got 3"),
        ("own.py:Needy", "must be built without arguments: TypeError"),
        ("own.py:Nameless", "must have a name"),
        ("own.py:Copycat", "needs a name of its own, got 'seed'"),
    ],
)
def test_what_is_no_proposer_is_said(tmp_path, name, said):
    (tmp_path / "own.py").write_text(OWN)
    with pytest.raises(ProgramError, match=said):
        find(name, tmp_path)


@pytest.mark.parametrize(
    ("proposal", "said"),
    [
        (
            Proposal(predictor="rout", origin="x", instruction="a"),
            r"one of \('route',\), got 'rout'",
        ),
        (Proposal(predictor="route", origin="x"), "one of instruction, demos, setting, got 0"),
        (Proposal(predictor="route", origin="x", instruction="a", demos=()), "setting, got 2"),
        (Proposal(predictor="route", origin="x", setting=("a", 1)), r"one of \('',\), got 'route'"),
        (Proposal(predictor="route", origin="x", demos=({"a": object()},)), "TypeError"),
    ],
)
def test_what_is_no_choice_of_the_program_is_said(evidence, proposal, said):
    with pytest.raises(ProgramError, match=said):
        ask(Scripted([proposal]), evidence)


def test_a_proposer_that_raises_is_named_and_our_own_errors_pass(evidence):
    with pytest.raises(ProgramError, match=r"scripted: the proposer failed: KeyError: 'team'"):
        ask(Scripted(error=KeyError("team")), evidence)
    with pytest.raises(BudgetExceededError, match="a cap"):
        ask(Scripted(error=BudgetExceededError("a cap")), evidence)


def test_demo_sets_are_cut_to_the_characters_that_a_prompt_may_hold(told):
    evidence, said = told
    evidence = changed(evidence, max_prompt_chars=100)
    fields = evidence.program.predictors["route"]
    rows = examples(60)[:6]
    lengths = [sum(len(v) for v in demo.values()) for demo in shown(*rows)]
    assert lengths[:3] == [36, 31, 46]
    small, large = demo_set("route", fields, rows[:2], "x"), demo_set("route", fields, rows, "x")
    found = ask(Scripted([*small, *large]), evidence)
    assert found[0] == small[0]
    assert (found[1].demos, found[1].origin) == (small[0].demos, "x:cut")
    assert (found[1].example_ids, found[1].event_ids) == (("e000", "e001"), ("v000", "v001"))
    sentence = "demo sets cut to 2 to 2 demos: 1; a set may hold 8 demos and 100 characters"
    assert said == [("scripted", sentence)]


def test_demo_sets_are_cut_to_the_demos_that_the_search_allows(told):
    evidence, said = told
    large = demo_set("route", evidence.program.predictors["route"], examples(60)[:12], "x")
    assert [len(p.demos) for p in ask(Scripted(large), evidence)] == [8]
    assert said[0][1].endswith("a set may hold 8 demos")
    said.clear()
    assert ask(Scripted(large), changed(evidence, max_demos=0)) == []
    assert said == []


def test_what_runs_now_is_never_cut(told):
    evidence, said = told
    demos = tuple(shown(*examples(60)[:12]))
    start = Candidate(states={"route": PromptState(instruction="Route.", demos=demos)})
    evidence = changed(evidence, start=start, max_prompt_chars=10)
    assert [len(p.demos) for p in ask(PROPOSERS["seed"](), evidence) if p.demos] == [12]
    assert said == []
