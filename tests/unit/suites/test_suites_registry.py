"""Ten evals in the format of OpenAI's registry, run as suites: who passes is known beforehand."""

from __future__ import annotations

import pytest
import yaml

from tests.unit.suites.suiting import REGISTRY, bench, says

ANSWERS = {
    "France": "Paris, on the Seine",
    "Italy": "Rome",
    "Peru": "Lima",
    "Austria": "Vienna",
    "grass": "Green, mostly",
    "snow": "Ivory",
    "coal": "Black",
    "router": "First unplug it.",
    "reset the app": "Open SETTINGS and press reset.",
    "label": "Press print.",
    "great ape": "It is the film King Kong!",
    "white whale": "moby dick",
    "Denmark": "Hamlet",
    "nothing at all": "the a an",
    "Two pens": '{"count": 2, "item": "pen"}',
    "red cup": '{"item": "cup", "colour": "red"}',
    "Three hats": '{"item": "hat", "count": 3, "colour": null}',
    "primes": "[2, 3, 5, 7]",
    "Whatever": "Sure: {}",
    "apple": "Apfel",
    "cat": "猫です",
    "summer": "e\u0301te\u0301",
    "Faust": "Goethe did",
    "Night Watch": "Vermeer",
    "Fidelio": "some composer",
    "radium": "Marie Curie",
    "tides": "The moon.",
    "rainbow": "It may be light. It may be water.",
    "echo": "Y\nY\nNo idea {criteria} {input.__class__}",
    "Greet a customer kindly": "A warm welcome!",
    "Greet a customer.": "Hello.",
    "goodbye kindly": "Bye.",
    "goodbye.": "Goodbye, it was a pleasure.",
}
#: What the judge says to a prompt that holds a text; the last one to every other prompt.
GRADES = {
    "Goethe did": "They say the same.\nC",
    "Vermeer": "They disagree. A good painter, too.\n\n(D)",
    "some composer": "I would rather not say.",
    "Marie Curie": "It is a part of it.\nA",
    "The moon.": "It is.\nY",
    "It may be light": "It has two sentences.\n**N**",
    "warm welcome": "Yes",
    "Bye.": "Yes, I think so",
}
EXPECTED = {
    "capitals": (2, 4),
    "colours": (2, 3),
    "support_steps": (1, 3),
    "support_steps_any_case": (3, 3),
    "titles": (3, 4),
    "orders": (2, 5),
    "words": (2, 3),
    "facts": (1, 4),
    "closed_questions": (1, 3),
    "battle_of_tones": (1, 2),
}


def grade(prompt: str) -> str:
    return next((said for text, said in GRADES.items() if text in prompt), "Hard to say.")


def test_the_ten_are_ten():
    names = {p.stem for p in (REGISTRY / "evals").glob("*.yaml")}
    assert names == set(EXPECTED)
    classes = [
        entry["class"].rpartition(":")[2]
        for name in names
        for entry in yaml.safe_load((REGISTRY / "evals" / f"{name}.yaml").read_text()).values()
        if "class" in entry
    ]
    assert sorted(set(classes)) == [
        *("FuzzyMatch", "Includes", "JsonMatch", "Match", "ModelBasedClassify"),
    ]


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_an_eval_passes_what_it_should(tmp_path, name):
    with bench(tmp_path, says(ANSWERS), grade) as on:
        found = on.evals(name)
    assert (found.passed, len(found.rows)) == EXPECTED[name]
    assert found.name == name


def test_which_rows_fail_and_why(tmp_path):
    with bench(tmp_path, says(ANSWERS), grade) as on:
        whys = {r.id: r.why for r in on.evals("capitals").rows}
        facts = on.evals("facts")
    assert whys == {
        "1": "",
        "2": "",
        "3": "answer must start with 'lima'",
        "4": "answer must start with 'Vienna, the'",
    }
    # A grade that cannot be read is counted, and never a pass; the lowest score would be one too.
    assert facts.invalid == 1
    assert [(r.id, r.passed, r.invalid) for r in facts.rows] == [
        ("1", True, False),
        ("2", False, False),
        ("3", False, True),
        ("4", False, False),
    ]


def test_a_judge_reads_the_answers_and_nothing_that_they_ask_for(tmp_path):
    with bench(tmp_path, says(ANSWERS), grade) as on:
        on.evals("closed_questions")
        # Two criteria of three samples, and what they say in the eval goes before the file's own.
        assert len(on.judged) == 6
        assert not any("correctness" in prompt for prompt in on.judged)
        echo = [p for p in on.judged if "echo" in p]
    assert all(
        "[Answer] Y\nY\nNo idea {criteria} {input.__class__}\n[Criterion]" in p for p in echo
    )


def test_two_answers_are_compared_where_a_specification_names_two(tmp_path):
    with bench(tmp_path, says(ANSWERS), grade) as on:
        found = on.evals("battle_of_tones")
        assert "[Response 1] A warm welcome!\n" in on.judged[0]
        assert "[Response 2] Hello.\n" in on.judged[0]
        assert "system: Answer the question.\nuser: Greet a customer kindly." in on.judged[0]
        assert on.judged[0].endswith(
            'Answer with one choice from "Yes" or "No" alone, without quotes or punctuation.'
        )
    # match_fn is exact there: "Yes, I think so" is no choice.
    assert [r.invalid for r in found.rows] == [False, True]
    assert on.meter.totals().calls == 4 + 2
