"""Slices by rule and by cluster; nothing outside train shapes them."""

from __future__ import annotations

import random

import pytest

from upturn.datasets.slices import Slicer, SliceRules
from upturn.errors import ConfigError, DataError
from upturn.records import Example

TOPICS = {
    "refund": ["refund", "money", "back", "payment", "invoice", "charged", "card", "twice"],
    "parcel": ["parcel", "delivery", "courier", "address", "street", "late", "tracking", "door"],
    "login": ["login", "password", "account", "reset", "screen", "error", "locked", "code"],
}


def rows(n: int = 120, seed: int = 0) -> list[Example]:
    rng = random.Random(seed)
    made: list[Example] = []
    for i in range(n):
        topic = rng.choice(sorted(TOPICS))
        text = " ".join(rng.choices(TOPICS[topic], k=8))
        made.append(
            Example(
                id=f"{seed}-{i:03}",
                inputs={"message": text, "plan": "pro" if i % 3 else "free", "n": i % 2},
                labels={"team": topic},
                group=f"c{i}",
                slices={"lang": "en"},
            )
        )
    return made


def test_rules_look_at_inputs_labels_and_slices():
    rules = SliceRules(
        by_rule={
            "plan": "inputs.plan",
            "money": "contains(inputs.message, 'refund')",
            "n": "inputs.n",
            "team": "labels.team",
            "tongue": "slices.lang",
            "none": "inputs.absent",
            "odd": "length(inputs.n)",
        }
    )
    given = rows(6)
    for before, after in zip(given, Slicer.fit(given, rules).apply(given), strict=True):
        assert after.slices == {
            "lang": "en",
            "plan": before.inputs["plan"],
            "money": str("refund" in before.inputs["message"]).lower(),
            "n": str(before.inputs["n"]),
            "team": before.labels["team"],
            "tongue": "en",
        }
        assert after.inputs == before.inputs


def test_clusters_find_topics_and_are_named_by_their_words():
    rules = SliceRules(clusters=3)
    train, fresh = rows(120), rows(60, seed=1)
    slicer = Slicer.fit(train, rules)
    assert len(set(slicer.clusters)) == 3
    named = {
        (e.slices["topic"], e.labels["team"]) for e in [*slicer.apply(train), *slicer.apply(fresh)]
    }
    assert len(named) == 3, "one cluster a topic"
    for name, topic in named:
        assert set(name.split()) <= set(TOPICS[topic])


def test_the_order_of_rows_has_no_effect_and_other_rows_have_none_on_train():
    train, fresh = rows(120), rows(60, seed=1)
    rules = SliceRules(clusters=4, seed=3)
    first = Slicer.fit(train, rules)
    shuffled = list(train)
    random.Random(0).shuffle(shuffled)
    again = Slicer.fit(shuffled, rules)
    assert again.clusters == first.clusters
    assert again.apply(fresh) == first.apply(fresh)
    assert first.apply([*train, *fresh])[: len(train)] == first.apply(train)


def test_a_text_of_unknown_words_has_no_cluster():
    slicer = Slicer.fit(rows(), SliceRules(clusters=2))
    strange = Example(id="x", inputs={"message": "żółw 12"}, labels={}, group="x")
    assert slicer.apply([strange])[0].slices == {}
    assert slicer.apply([]) == []


def test_fewer_texts_than_clusters_are_fewer_clusters():
    assert len(Slicer.fit(rows()[:2], SliceRules(clusters=9)).clusters) == 2


def test_texts_without_words_are_refused():
    empty = [Example(id=f"{n}", inputs={"m": "12 !"}, labels={}, group="g") for n in range(4)]
    with pytest.raises(DataError, match="clusters need texts with words") as caught:
        Slicer.fit(empty, SliceRules(clusters=2))
    assert caught.value.fix == "set slices.clusters=0"


def test_what_is_no_slice_is_refused_with_its_row():
    for expression, found in (("inputs", "dict"), ("inputs.message", "str")):
        slicer = Slicer.fit([], SliceRules(by_rule={"s": expression}))
        long = Example(id="r1", inputs={"message": "x" * 81}, labels={}, group="g")
        with pytest.raises(DataError, match=rf"slices\.s, row r1: .* got {found}"):
            slicer.apply([long])


def test_rules_that_do_not_compile_or_collide_are_refused():
    with pytest.raises(ConfigError, match=r"slices\.plan: must be a JMESPath expression"):
        SliceRules(by_rule={"plan": "inputs."})
    with pytest.raises(ConfigError, match="'topic' is the clusters' name and a rule's"):
        SliceRules(by_rule={"topic": "inputs.x"})
    with pytest.raises(ConfigError, match="clusters must be 0 or >= 2, got 1"):
        SliceRules(clusters=1)
