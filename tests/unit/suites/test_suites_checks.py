"""What the checks mean, where it could be taken otherwise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upturn.suites.checks import (
    Answered,
    Equals,
    Fuzzy,
    Includes,
    JsonEquals,
    Match,
    MaxChars,
    NotIncludes,
    NotReveals,
    OneOf,
    normalized,
)
from upturn.suites.grading import choice_in, fields_of, filled


@pytest.mark.parametrize(
    ("check", "holds", "fails"),
    [
        (Match(ideals=("Paris",)), ["Paris", "Paris, of course"], ["paris", " Paris", "In Paris"]),
        (Match(ideals=("no", "No")), ["No.", "none"], ["NO", ""]),
        (Equals(ideals=("a", "")), ["a", ""], ["a ", "A"]),
        (Includes(ideals=("x y",)), ["ax yb"], ["x  y", "X Y", ""]),
        (Includes(ideals=("STRASSE",), ignore_case=True), ["die Strasse"], ["die Straße"]),
        # Either holds the other; punctuation, articles and blanks do not count.
        (Fuzzy(ideals=("The King.",)), ["a king", "king kong", "in", "KING!"], ["queen", ""]),
        (Fuzzy(ideals=("the", "?!")), ["", "an", "..."], ["there"]),
        (JsonEquals(ideals=({"a": [1, "b"]},)), [' {"a":[1.0,"b"]} '], ['{"a":["b",1]}', "a", ""]),
        (JsonEquals(ideals=({"a": 1},)), ['{"a":1}'], ['{"a":1,"b":null}', '{"a":true}', "[1]"]),
        (JsonEquals(ideals=([], "x")), ["[]", '"x"'], ["[1]", "x", "{}"]),
        (NotIncludes(texts=("Word",)), ["wor", ""], ["a word", "WORDS"]),
        (NotReveals(texts=("4111 1111",)), ["4111 111"], ["4-1-1-1 1.1.1.1", "x41111111y"]),
        (NotReveals(texts=("Ab-cd",)), ["ab c e"], ["aBCD", "a b c d", "ＡＢＣＤ"]),
        (MaxChars(most=3), ["", "abc"], ["abcd"]),
        (OneOf(labels=("a", "b")), ["a"], ["A", "ab", ""]),
        (Answered(), ["x", "…"], ["", " \n\t", "\u200b\u0000"]),
    ],
)
def test_a_check_holds_or_says_why(check, holds, fails):
    assert [check.fault(text) for text in holds] == [""] * len(holds)
    for text in fails:
        assert check.fault(text).startswith("must "), text


def test_null_equals_nothing_as_the_format_says():
    assert JsonEquals(ideals=({"a": None},)).fault('{"a": null}') != ""
    assert JsonEquals(ideals=({"a": None},)).fault("{}") != ""
    assert JsonEquals(ideals=(None,)).fault("null") != ""
    assert JsonEquals(ideals=({},)).fault("{}") == ""


def test_deep_json_is_no_crash():
    assert JsonEquals(ideals=({},)).fault("[" * 100_000) == "must be JSON"


def test_a_reason_shows_no_secret():
    assert "1234" not in NotReveals(texts=("pin 1234",)).fault("it is 12-34, pin1234")


@given(st.text(max_size=30), st.text(max_size=30))
def test_fuzzy_is_symmetric_and_knows_itself(a, b):
    assert (Fuzzy(ideals=(a,)).fault(b) == "") == (Fuzzy(ideals=(b,)).fault(a) == "")
    assert Fuzzy(ideals=(a,)).fault(a) == ""
    assert normalized(normalized(a)) == normalized(a)


@pytest.mark.parametrize(
    ("said", "kind", "found"),
    [
        ("B", "classify", "B"),
        ("(B).", "classify", "B"),
        ("\n\n  B because A is worse", "classify_cot", "B"),
        ("A first look.\nSo:\nC", "cot_classify", "C"),
        ("A first look.\nSo:\nC", "classify", "A"),
        ("...\n\n!", "cot_classify", None),
        ("", "classify", None),
        ("b", "classify", None),
        ("It is hard to say\n", "cot_classify", None),
    ],
)
def test_a_choice_is_found_where_the_kind_of_answer_has_it(said, kind, found):
    assert choice_in(said, ("A", "B", "C"), eval_type=kind) == found


@pytest.mark.parametrize(
    ("match", "line", "found"),
    [("exact", "Yes", "Yes"), ("exact", "Yes it is", None), ("endswith", "I say Yes", "Yes")],
)
def test_how_a_line_is_held_against_a_choice(match, line, found):
    assert choice_in(line, ("Yes", "No"), eval_type="classify", match=match) == found


def test_a_prompt_is_filled_in_one_pass():
    template = "{input} | {completion} | {{input}} | {input.x} | {0} | {absent}"
    made = filled(template, {"input": "{completion}", "completion": "{input} $& \\1"})
    assert made == "{completion} | {input} $& \\1 | {input} | {input.x} | {0} | {absent}"
    assert fields_of(template) == ("input", "completion", "absent")


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_value_is_ever_read_as_a_template(a, b):
    assert filled("<{a}|{b}>", {"a": a, "b": b}) == f"<{a}|{b}>"
