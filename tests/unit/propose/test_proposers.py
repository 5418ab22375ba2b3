"""Proposers that need no strong model: each offers what it says, from rows that it may see."""

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.propose.worlds import TEXTS, changed, examples, shown, survivor
from upturn.programs import PredictorFields
from upturn.propose import PROPOSERS, ask
from upturn.propose.balanced import balanced_order
from upturn.propose.covering import covering_order
from upturn.propose.drawing import at_most, balanced_draw, in_turn, shuffled, widest_field
from upturn.propose.settings import SettingsProposer
from upturn.propose.words import contrast_words, supporting
from upturn.records import Candidate, PromptState

#: Those that ask a strong model have tests of their own.
NAMES = [name for name in PROPOSERS if name not in ("reflective", "grounded")]
FIELDS = PredictorFields(inputs=("m",), outputs={"a": ("x", "y"), "b": ("x", "y", "z"), "c": None})


@pytest.fixture
def second(evidence):
    """The second generation, with two survivors that differ in everything."""
    rows = evidence.train
    lines = "Route.\nbilling: refund, charge\ntechnical: login"
    failed = [row for _, row in evidence.failures]
    parents = [
        survivor(evidence, "Route. Be quick.", shown(*rows[:6]), failed),
        survivor(evidence, lines, shown(*rows[6:10]), failed),
    ]
    return changed(evidence, survivors=parents)


@pytest.mark.parametrize("name", NAMES)
def test_every_proposer_keeps_the_contract(second, name):
    found = ask(PROPOSERS[name](), second)
    assert found
    rows = {e.id: e for e in second.train}
    failed = {i for e, _ in second.failures for i in e.event_ids}
    for p in found:
        assert p.predictor == "route"
        assert set(p.example_ids) <= set(rows)
        assert len(set(p.event_ids)) == len(p.event_ids)
        assert {i for x in p.example_ids for i in rows[x].event_ids} <= set(p.event_ids)
        assert set(p.event_ids) <= {i for e in rows.values() for i in e.event_ids} | failed
        assert p.origin.split(":")[0] in (name, "seed", "champion", "no-demos")
        assert len(p.demos or ()) <= 8
        for demo in p.demos or ():
            assert set(demo) == {"message", "team", "urgent"}
    assert ask(PROPOSERS[name](), second) == found


def test_whoever_makes_demos_says_from_which_rows_and_events(second):
    for name in ("labelled", "balanced", "covering", "nearest", "bootstrapped", "crossover"):
        for p in (p for p in ask(PROPOSERS[name](), second) if p.demos):
            assert len(p.example_ids) == len(p.demos), p.origin
            assert p.event_ids == tuple(i.replace("e", "v") for i in p.example_ids)


def test_the_seed_is_always_offered_with_and_without_demos(evidence):
    champion = Candidate(states={"route": PromptState(instruction="Better.", demos=({"a": 1},))})
    found = list(PROPOSERS["seed"]().propose(changed(evidence, start=champion)))
    assert {p.instruction for p in found} == {"Route.", "Better.", None}
    assert () in [p.demos for p in found]
    assert ({"a": 1},) in [p.demos for p in found]


def test_what_runs_now_is_traced_to_its_rows(evidence):
    demos = tuple(shown(*evidence.train[3:5]))
    champion = Candidate(states={"route": PromptState(instruction="Better.", demos=demos)})
    found = PROPOSERS["seed"]().propose(changed(evidence, start=champion))
    (own,) = [p for p in found if p.demos == demos]
    assert (own.example_ids, own.event_ids) == (("e003", "e004"), ("v003", "v004"))


def test_contrast_words_tell_labels_apart():
    words = contrast_words(examples(60), "team")
    assert words["billing"][0] in {"refund", "charge", "charged"}
    assert words["technical"][0] == "login"
    assert not set(words["billing"]) & set(words["technical"])
    assert "number" not in words["billing"][:3]


def test_contrast_needs_two_labels():
    assert contrast_words([e for e in examples(20) if e.labels["team"] == "billing"], "team") == {}


def test_rows_that_bear_words_out_are_of_the_label_and_hold_them():
    found = supporting(examples(60), "team", {"billing": ["twice", "charged"]}, limit=4)
    assert [e.id for e in found] == ["e002", "e008", "e014", "e020"]
    assert {e.inputs["message"].split(" number")[0] for e in found} == {TEXTS["billing"][1]}


def test_definitions_are_one_line_a_label(evidence):
    found = [p for p in PROPOSERS["contrast"]().propose(evidence) if "definitions-team" in p.origin]
    assert [len(p.instruction.splitlines()) for p in found] == [3, 3, 3]
    assert found[0].instruction.splitlines()[1].startswith("billing: ")
    assert len(found[0].instruction.splitlines()[1].split(", ")) == 3
    assert 0 < len(found[0].example_ids) <= 128


@pytest.mark.parametrize("name", ["balanced", "covering"])
def test_balanced_sets_hold_every_label_alike(evidence, name):
    found = list(PROPOSERS[name]().propose(evidence))
    for p in found:
        counts = [sum(d["team"] == t for d in p.demos) for t in ("billing", "technical")]
        assert abs(counts[0] - counts[1]) <= 1
    assert len({str(p.demos) for p in found}) > len(found) / 2


def test_balanced_order_covers_each_issue_first():
    order = balanced_order(examples(60), "team", 6, np.random.default_rng(0))
    issues = {e.inputs["message"].split(" number")[0] for e in order}
    assert issues == {t for texts in TEXTS.values() for t in texts}


def test_a_covering_set_of_short_rows_shows_short_ones_first(evidence):
    found = [p for p in PROPOSERS["covering"]().propose(evidence) if ":short:" in p.origin]
    for p in found:
        lengths = [len(d["message"]) for d in p.demos]
        assert lengths == sorted(lengths)
        # The shorter half of both teams: 16 of 30 rows each.
        assert max(lengths) <= sorted(len(e.inputs["message"]) for e in evidence.train)[45]


def test_a_row_that_resembles_another_label_is_worth_less():
    def row(name, text, team):
        return replace(examples(1)[0], id=name, inputs={"message": text}, labels={"team": team})

    # "b" covers its label as well as "a0" does, in words that the other label uses.
    texts = {"a0": "refund charge", "a1": "refund", "b": "refund login", "b1": "login"}
    rows = [row(name, text, "billing") for name, text in texts.items()]
    rows += [row(f"c{i}", f"login page {i}", "technical") for i in range(4)]

    def first(kind):
        order = covering_order(rows, "team", 2, kind, np.random.default_rng(0))
        return next(e.id for e in order if e.labels["team"] == "billing")

    assert first("plain") == "b"
    assert first("apart") in {"a0", "a1"}


@pytest.mark.parametrize("name", ["balanced", "covering", "labelled", "nearest"])
def test_rows_with_doubtful_labels_are_seldom_shown(evidence, name):
    sure, doubtful = examples(30), examples(30, start=30, weight=0.01)
    evidence = changed(evidence, train=[*doubtful, *sure])
    ids = [i for p in PROPOSERS[name]().propose(evidence) for i in p.example_ids]
    assert sum(i < "e030" for i in ids) / len(ids) > 0.85


def test_the_balanced_field_is_the_one_with_most_labels():
    assert widest_field(FIELDS) == "b"
    assert widest_field(PredictorFields(inputs=("m",), outputs={"c": None})) is None


def test_a_weighted_draw_takes_each_row_as_often_as_its_weight_says():
    rows = [replace(e, weight=w) for e, w in zip(examples(3), (1.0, 0.5, 0.25), strict=True)]
    rng = np.random.default_rng(1)
    first = [shuffled(rows, rng)[0].id for _ in range(4000)]
    shares = [first.count(e.id) / 4000 for e in rows]
    assert shares == pytest.approx([4 / 7, 2 / 7, 1 / 7], abs=0.03)


def test_draws_take_labels_in_turn_and_no_row_twice():
    rows = examples(9)
    order = balanced_draw(rows, "team", np.random.default_rng(0))
    teams = [e.labels["team"] for e in order]
    assert [set(teams[i : i + 2]) for i in (0, 2, 4, 6)] == [{"billing", "technical"}] * 4
    assert sorted(e.id for e in order) == [e.id for e in rows]
    assert [e.id for e in in_turn([rows[:3], rows[1:3]])] == ["e000", "e001", "e002"]
    assert balanced_draw([], None, np.random.default_rng(0)) == []


def test_a_draw_of_too_many_rows_keeps_their_order():
    rows = examples(9)
    assert at_most(rows, 9, np.random.default_rng(0)) == rows
    few = [e.id for e in at_most(rows, 4, np.random.default_rng(0))]
    assert len(few) == 4
    assert few == sorted(few)


def test_nearest_takes_rows_of_the_failed_label(evidence):
    first = next(iter(PROPOSERS["nearest"]().propose(evidence)))
    assert first.origin == "nearest:8"
    wanted = {(e.labels["team"], e.labels["urgent"]) for e, _ in evidence.failures}
    assert {(d["team"], d["urgent"]) for d in first.demos} <= wanted
    assert list(PROPOSERS["nearest"]().propose(changed(evidence, failures=[]))) == []


def test_half_of_a_mixed_set_is_balanced(evidence):
    found = {p.origin: p for p in PROPOSERS["nearest"]().propose(evidence)}
    assert {d["team"] for d in found["nearest:8"].demos} == {"technical"}
    teams = [d["team"] for d in found["nearest:mixed:8"].demos]
    assert 2 <= teams.count("billing") <= 4


def test_settings_are_the_values_of_the_space(evidence):
    space = {"temperature": [0.0, 0.7], "n_demos": [0], "module": [], "model": [None, "big"]}
    found = ask(SettingsProposer(space=space), evidence)
    assert [p.setting for p in found] == [
        ("temperature", 0.0),
        ("temperature", 0.7),
        ("n_demos", 0),
        ("model", "big"),
    ]
    assert {p.kind for p in found} == {"setting"}


def test_long_rows_make_no_demos(evidence):
    evidence = changed(evidence, max_demo_chars=22)
    demos = [d for p in PROPOSERS["labelled"]().propose(evidence) for d in p.demos]
    assert demos
    assert all(len(d["message"]) <= 22 for d in demos)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_to_learn_from_is_no_error(evidence, name):
    bare = changed(evidence, train=[], failures=[], searched=[])
    assert [p for p in ask(PROPOSERS[name](), bare) if p.origin.startswith(name)] == [
        p for p in ask(PROPOSERS["seed"](), bare) if p.origin.startswith(name)
    ]
