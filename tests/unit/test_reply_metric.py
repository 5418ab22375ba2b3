"""The metric of the reply program: facts, form, length and promises, and no way to talk it up."""

from __future__ import annotations

import random
from pathlib import Path

import dspy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from upturn.programs import Program, load_metric
from upturn.quickstart.phrases import load
from upturn.quickstart.reactions import PRIORITIES, TEAMS
from upturn.quickstart.reply_texts import Facts, word

ROOT = Path(__file__).parents[2]
METRIC = load_metric("programs/reply.py:metric", ROOT)

PROMISES = load("replies")["promises"]
MESSAGE = "My bank shows two payments instead of one, order 28946"
LABEL = "Our Billing team will check order 28946 and answer within two days."

FACTS = st.builds(
    Facts,
    team=st.sampled_from(TEAMS),
    priority=st.sampled_from(PRIORITIES),
    number=st.sampled_from([None, "28946", "77318"]),
)
SEEDS = st.integers(0, 10**6).map(random.Random)
#: Words without a team, a deadline or a number.
IDLE = st.lists(
    st.sampled_from(["we", "are", "very", "glad", "you", "wrote", "so", "kind", "of", "it"]),
    min_size=1,
    max_size=60,
).map(" ".join)


def scored(answer: str, label: str = LABEL, message: str = MESSAGE) -> dict[str, float]:
    example = dspy.Example(message=message, answer=label).with_inputs("message")
    got = METRIC(example, dspy.Prediction(answer=answer), example_id="x")
    assert got.value is not None
    return {"score": got.value, **got.parts}


def test_the_program_has_the_fields_of_its_log() -> None:
    program = Program("programs/reply.py:ReplyWriter", ROOT)
    assert program.fields.inputs == ("message",)
    assert program.fields.outputs == {"answer": None}
    assert list(program.predictors) == ["write"]


def test_the_labels_own_words_are_worth_one() -> None:
    assert scored(LABEL) == {
        **{"score": 1.0, "facts": 1.0, "clean": 1.0, "form": 1.0, "length": 1.0},
        **{"team": 1.0, "when": 1.0, "order": 1.0},
    }


@pytest.mark.parametrize(
    ("answer", "facts"),
    [
        ("Billing looks at order 28946 within two days.", 1.0),
        ("Our Billing team answers within two days.", 2 / 3),
        ("Our Billing team will check order 28946 today.", 2 / 3),
        ("Our Sales team will check this.", 0.0),
        ("Thank you for your message, we are here for you.", 0.0),
        ("", 0.0),
        # All teams, all deadlines, all numbers: that is knowing none.
        (f"{' '.join(TEAMS)} today, this week, within two days, 28946 28947.", 0.0),
    ],
)
def test_facts_are_held_alone_or_not_at_all(answer: str, facts: float) -> None:
    assert scored(answer)["facts"] == pytest.approx(facts)


def test_an_order_number_that_nobody_gave_halves_the_score() -> None:
    plain = "Our Billing team will answer today."
    right = scored(plain, label=plain, message="charged twice")
    wrong = scored(plain[:-1] + ", order 12345.", label=plain, message="charged twice")
    assert (right["score"], wrong["clean"], wrong["score"]) == (1.0, 0.5, 0.5)
    # The label made the number up: no answer can be asked to know it.
    assert "order" not in scored(plain, label="Our Billing team, order 12345, today.", message="?")


def test_a_label_without_facts_scores_nobody() -> None:
    example = dspy.Example(message=MESSAGE, answer="Thanks!")
    assert METRIC(example, dspy.Prediction(answer=LABEL), example_id="x").value is None


@pytest.mark.parametrize(
    "fault",
    [
        "Dear [name],",
        "{customer}",
        "<team>",
        "TBD",
        "so so so so",
        "calling calling calling calling",
    ],
)
def test_blanks_and_stutters_cost_the_form(fault: str) -> None:
    got = scored(f"{LABEL} {fault}")
    assert (got["form"], got["facts"]) == (0.0, 1.0)
    assert got["score"] == pytest.approx(0.8)


def test_a_sentence_said_twice_and_a_fourth_cost_the_form() -> None:
    assert scored(f"{LABEL} {LABEL}")["form"] == 0.0
    assert scored(f"{LABEL} Bye. Yes.")["form"] == 1.0
    assert scored(f"{LABEL} Bye. Yes. No.")["form"] == 0.0


def test_length_is_free_up_to_the_bound_and_worth_nothing_from_twice_as_much() -> None:
    lengths = [scored(" ".join(["word"] * n))["length"] for n in (1, 24, 25, 36, 48, 90)]
    assert lengths == pytest.approx([1.0, 1.0, 23 / 24, 0.5, 0.0, 0.0])


@pytest.mark.parametrize("promise", PROMISES)
def test_every_promise_that_the_log_makes_is_banned(promise: str) -> None:
    assert scored(f"{LABEL} {promise}")["clean"] == 0.5


@given(facts=FACTS, rng=SEEDS, count=st.integers(0, 2))
def test_each_promise_lowers_the_score(facts: Facts, rng: random.Random, count: int) -> None:
    label = word(facts, rng).text
    message = f"order {facts.number}"
    drafts = [word(facts, rng, promises=n).text for n in (count, count + 1)]
    fewer, more = (scored(d, label=label, message=message) for d in drafts)
    assert 0 < more["score"] <= fewer["score"] / 2
    assert more["clean"] == fewer["clean"] / 2


@given(facts=FACTS, told=FACTS, rng=SEEDS, pad=IDLE, promises=st.integers(0, 1))
def test_padding_never_raises_the_score(
    facts: Facts, told: Facts, rng: random.Random, pad: str, promises: int
) -> None:
    label, message = word(facts, rng).text, f"order {facts.number}"
    answer = word(told, rng, promises=promises).text
    plain = scored(answer, label=label, message=message)
    for padded in (f"{answer} {pad}", f"{answer} {pad}.", f"{pad}. {answer}"):
        got = scored(padded, label=label, message=message)
        assert all(got[part] <= plain[part] for part in plain)


@given(answer=st.text(max_size=80), pad=st.text(max_size=80))
def test_whatever_is_added_only_facts_can_earn(answer: str, pad: str) -> None:
    before, after = scored(answer), scored(f"{answer} {pad}")
    assert 0 <= after["score"] <= 1
    assert all(after[part] <= before[part] for part in ("clean", "form", "length"))
    assert after["score"] <= before["score"] or after["facts"] > before["facts"]


@given(facts=FACTS, told=FACTS, rng=SEEDS)
def test_another_fact_is_never_worth_more(facts: Facts, told: Facts, rng: random.Random) -> None:
    label, message = word(facts, rng).text, f"order {facts.number}"
    right = scored(word(facts, rng).text, label=label, message=message)["score"]
    other = scored(word(told, rng).text, label=label, message=message)["score"]
    assert right == 1.0
    assert (other == 1.0) == (told == facts)


def test_a_hostile_answer_costs_no_time() -> None:
    for text in (
        "ab" * 3 + "x" * 20_000,
        "[" * 20_000,
        "a." * 20_000,
        "".join(map(chr, range(33, 20_000))),
    ):
        assert scored(text)["facts"] == 0.0
