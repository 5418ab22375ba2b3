"""Later generations: parts are crossed and shortened, and stay what they claim to be."""

import pytest

from tests.unit.propose.worlds import changed, examples, shown, survivor
from upturn.programs import PredictorFields
from upturn.propose import PROPOSERS
from upturn.propose.crossover import united_demos
from upturn.propose.shortening import redundant, shorter_sets, shorter_texts
from upturn.propose.wording import Wording

FIELDS = PredictorFields(inputs=("text",), outputs={"team": ("billing", "technical")})
TEAMS = ("billing", "technical")
DEFINED = "Route it. Be quick.\nbilling: refund, charge\ntechnical: login"


def demo(text, team="billing"):
    return {"text": text, "team": team}


def crossed(evidence):
    return list(PROPOSERS["crossover"]().propose(evidence))


def test_the_first_generation_has_no_parents(evidence):
    assert crossed(evidence) == []


def test_parents_parts_may_meet_and_their_demos_are_united(evidence):
    rows = evidence.train
    parents = [
        survivor(evidence, "Route.", shown(*rows[:6])),
        survivor(evidence, "Route it.", shown(*rows[4:12])),
    ]
    found = crossed(changed(evidence, survivors=parents))
    kept = [p for p in found if p.origin == "crossover:parent"]
    assert {p.instruction for p in kept} == {"Route.", "Route it.", None}
    assert next(p.example_ids for p in kept if p.demos) == tuple(e.id for e in rows[:6])
    (united,) = [p for p in found if p.origin == "crossover:demos"]
    assert len(united.demos) == 8
    assert [d["team"] for d in united.demos] == ["billing", "technical"] * 4
    assert set(united.example_ids) == {f"e{i:03d}" for i in (0, 4, 2, 6, 1, 5, 3, 7)}
    assert set(united.event_ids) == {i.replace("e", "v") for i in united.example_ids}


def test_only_the_best_are_parents(evidence):
    parents = [survivor(evidence, f"Route {i}.") for i in range(5)]
    found = crossed(changed(evidence, survivors=parents))
    kept = [p.instruction for p in found if p.origin == "crossover:parent" and p.instruction]
    assert kept == ["Route 0.", "Route 1.", "Route 2."]
    assert sum(p.origin == "crossover:instruction" for p in found) == 3


def test_a_union_takes_both_sets_in_turn_and_no_demo_twice():
    left = (demo("a"), demo("b"), demo("c", "technical"))
    right = (demo("a"), demo("d", "technical"), demo("e"))
    texts = [d["text"] for d in united_demos(left, right, "team", 4)]
    assert texts == ["a", "d", "b", "c"]
    assert [d["text"] for d in united_demos(left, right, None, 9)] == ["a", "b", "d", "c", "e"]
    assert united_demos((), (), "team", 4) == ()


def test_an_instruction_is_read_as_sentences_and_definitions():
    wording = Wording.parse(DEFINED, TEAMS)
    assert wording.sentences == ("Route it.", "Be quick.")
    assert wording.definitions == {"billing": ("refund", "charge"), "technical": ("login",)}
    assert wording.text == DEFINED
    assert Wording.parse("Answer e.g. 3.5 or so.\n\nNote: x", TEAMS).text == (
        "Answer e.g. 3.5 or so.\n\nNote: x"
    )


def test_merged_instructions_say_what_both_said_once():
    other = Wording.parse("Route it. Be kind.\nbilling: charge, invoice", TEAMS)
    merged = Wording.parse(DEFINED, TEAMS).merged(other).text
    assert merged == (
        "Route it. Be quick. Be kind.\nbilling: refund, charge, invoice\ntechnical: login"
    )
    nothing = Wording.parse("", TEAMS)
    assert nothing.merged(other).text == other.text
    assert other.merged(nothing).text == other.text


def test_what_stands_nearest_to_another_demo_of_its_label_goes_first():
    demos = (
        demo("refund the charge"),
        demo("login fails", "technical"),
        demo("refund the charge now"),
        demo("login fails"),
        demo("invoice"),
    )
    assert redundant(demos, FIELDS)[0] == 2
    assert shorter_sets(demos, FIELDS)[0] == (demos[0], demos[1], demos[3], demos[4])
    assert shorter_sets(demos[:1], FIELDS) == []


@pytest.mark.parametrize("count", [2, 3, 5, 8, 16])
def test_smaller_sets_are_parts_of_the_set_and_never_empty(count):
    demos = tuple(demo(e.inputs["message"], e.labels["team"]) for e in examples(count))
    for shorter in shorter_sets(demos, FIELDS):
        assert 0 < len(shorter) < count
        assert [d for d in demos if d in shorter] == list(shorter)


def test_appended_sentences_and_words_go_the_authors_stay():
    text = "Route it. When it mentions login choose technical. Be quick.\nbilling: a, b, c, d"
    found = shorter_texts(text, "Route it.", FIELDS)
    assert found == [
        "Route it. Be quick.\nbilling: a, b, c, d",
        "Route it. When it mentions login choose technical. Be quick.\nbilling: a, b",
        "Route it. When it mentions login choose technical. Be quick.",
    ]
    assert shorter_texts("Route it.", "Route it.", FIELDS) == []
    assert shorter_texts("Written anew.", "Route it.", FIELDS) == []


def test_shortening_starts_from_the_best_survivor(evidence):
    rows = evidence.train
    best = survivor(evidence, "Route. Be quick.", shown(*rows[:8]))
    found = list(PROPOSERS["shortening"]().propose(changed(evidence, survivors=[best])))
    assert [p.instruction for p in found if p.instruction] == ["Route."]
    sets = [p for p in found if p.demos]
    assert [len(p.demos) for p in sets] == [6, 4, 4, 4]
    assert {i for p in sets for i in p.example_ids} == {e.id for e in rows[:8]}
    chars = best.candidate.prompt_chars
    for p in found:
        state = best.candidate.states["route"]
        assert len(p.instruction or state.instruction) + len(str(p.demos or ())) < chars


def test_a_bare_seed_has_nothing_to_drop(evidence):
    assert list(PROPOSERS["shortening"]().propose(evidence)) == []
