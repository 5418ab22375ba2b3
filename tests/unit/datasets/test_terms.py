"""Consent and balance at the split: who may not be used is gone and counted, nobody is invented."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from upturn.datasets import Balance, Method, SplitRules, Terms, freeze, preview
from upturn.datasets.balance import balanced
from upturn.datasets.diff import compare_snapshots
from upturn.errors import ConfigError, DataError
from upturn.records import Example


def row(n: int, *, consent: tuple[str, ...] | None = None, team: str = "a", weight: float = 1.0):
    return Example(
        id=f"r{n:03}",
        inputs={"message": f"message {chr(97 + n % 26)}{chr(97 + n // 26)}"},
        labels={"team": team},
        group=f"c{n:03}",
        time=f"2026-09-{1 + n // 5:02}T10:00:00+00:00",
        weight=weight,
        consent=consent,
    )


KINDS: tuple[tuple[str, ...] | None, ...] = (
    None,
    (),
    ("train",),
    ("evaluate",),
    ("train", "evaluate"),
)


def test_rows_without_consent_to_train_never_reach_train(tmp_path: Path):
    rows = [row(n, consent=KINDS[n % 5]) for n in range(100)]
    made = freeze(rows, rules=SplitRules(), folder=tmp_path, provenance={})
    assert {e.consent for e in made.train} == {None, ("train",), ("train", "evaluate")}
    assert {e.consent for e in made.dev} == {None, ("evaluate",), ("train", "evaluate")}
    dropped = made.manifest["dropped"]
    assert dropped["no_consent"] == 20
    kept = len(made.train) + len(made.dev) + made.holdout.rows
    assert kept + sum(dropped.values()) == 100
    assert set(dropped) == {"no_consent", "no_consent_to_train", "no_consent_to_evaluate"}
    text = (made.folder / "holdout.jsonl").read_text()
    assert '"consent":["train"]' not in text


def test_unstated_consent_follows_the_operator(tmp_path: Path):
    rows = [row(n, consent=None if n % 4 else ("train", "evaluate")) for n in range(100)]
    allowed = freeze(rows, rules=SplitRules(), folder=tmp_path / "a", provenance={})
    assert allowed.manifest["dropped"] == {}
    terms = Terms(unstated="deny")
    denied = freeze(rows, rules=SplitRules(), folder=tmp_path / "b", provenance={}, terms=terms)
    assert denied.manifest["dropped"] == {"no_consent": 75}
    assert denied.manifest["history"]["terms"]["unstated_consent"] == "deny"
    assert {e.consent for e in denied.train + denied.dev} == {("train", "evaluate")}


def test_reasons_add_to_those_that_are_given(tmp_path: Path):
    rows = [row(n, consent=() if n % 2 else None) for n in range(60)]
    given = {"no_consent": 4, "repeated": 1}
    made = freeze(rows, rules=SplitRules(), folder=tmp_path, provenance={}, dropped=given)
    assert made.manifest["dropped"] == {"no_consent": 34, "repeated": 1}


def test_a_split_that_consent_leaves_empty_is_an_error():
    rows = [row(n, consent=("evaluate",)) for n in range(30)]
    with pytest.raises(DataError, match="train must hold at least one row, got none of") as caught:
        preview(rows, rules=SplitRules())
    assert "unstated_consent" in caught.value.fix


def unbalanced() -> list[Example]:
    teams = ["a"] * 60 + ["b"] * 30 + ["c"] * 10
    return [row(n, team=team, weight=0.5 + n % 3 / 10) for n, team in enumerate(teams)]


def test_down_sampling_keeps_the_surest_rows_of_frequent_labels():
    rows = unbalanced()
    left, out = balanced(rows, [Balance(field="team", method=Method.DOWN_SAMPLE, ratio=2.0)])
    assert Counter(e.labels["team"] for e in left) == {"a": 20, "b": 20, "c": 10}
    assert out == 50
    assert {e.id for e in left} < {e.id for e in rows}
    assert {e.weight for e in left if e.labels["team"] == "a"} == {0.7}
    assert balanced(rows[::-1], [Balance(field="team", method=Method.DOWN_SAMPLE, ratio=2.0)]) == (
        left,
        out,
    )


def test_weights_make_labels_count_the_same_and_keep_every_row():
    rows = [row(n, team=e.labels["team"]) for n, e in enumerate(unbalanced())]
    left, out = balanced(rows, [Balance(field="team")])
    assert (len(left), out) == (100, 0)
    mass = Counter[str]()
    for e in left:
        assert 0 < e.weight <= 1
        mass[e.labels["team"]] += e.weight
    assert mass == {"a": pytest.approx(10), "b": pytest.approx(10), "c": pytest.approx(10)}


def test_only_train_is_balanced(tmp_path: Path):
    rows = [row(n, team="b" if n % 10 == 0 else "a") for n in range(140)]
    plain = preview(rows, rules=SplitRules())
    balance = (Balance(field="team", method=Method.DOWN_SAMPLE),)
    terms = Terms(balance=balance)
    made = freeze(rows, rules=SplitRules(), folder=tmp_path, provenance={}, terms=terms)
    assert (made.dev, made.holdout) == (plain.dev, plain.holdout)
    counts = Counter(e.labels["team"] for e in made.train)
    assert counts["a"] == counts["b"] == sum(e.labels["team"] == "b" for e in plain.train)
    assert made.manifest["dropped"] == {"over_balance": len(plain.train) - len(made.train)}
    assert made.manifest["history"]["terms"]["balance"] == [
        {"field": "team", "method": "down_sample", "ratio": 1.0}
    ]


def test_balance_of_no_field_or_below_one_is_refused():
    with pytest.raises(
        DataError, match=r"row r000: balance needs a label 'tone' .* got \['team'\]"
    ):
        balanced([row(0)], [Balance(field="tone")])
    with pytest.raises(ConfigError, match=r"ratio must be >= 1, got 0.5"):
        Balance(field="team", ratio=0.5)


def test_notes_reach_only_who_may_learn_from_them(tmp_path: Path):
    rows = [replace(row(n, consent=KINDS[n % 5]), notes=(f"note {n}",)) for n in range(100)]
    made = freeze(rows, rules=SplitRules(), folder=tmp_path / "a", provenance={})
    assert all(e.notes == (f"note {int(e.id[1:])}",) for e in made.train)
    assert {(e.consent, bool(e.notes)) for e in made.dev} == {
        (None, True),
        (("evaluate",), False),
        (("train", "evaluate"), True),
    }
    assert "note" not in (made.folder / "holdout.jsonl").read_text()


def test_a_comment_makes_a_new_snapshot_and_no_new_holdout(tmp_path: Path):
    rows = [row(n) for n in range(100)]
    noted = [replace(e, notes=("wrong",)) for e in rows]
    before = freeze(rows, rules=SplitRules(), folder=tmp_path, provenance={})
    after = freeze(noted, rules=SplitRules(), folder=tmp_path, provenance={})
    assert before.id != after.id
    assert before.holdout == after.holdout
    assert preview(noted, rules=SplitRules()).holdout.rows == after.holdout.rows
    assert compare_snapshots(before, after).relabelled == ()
    assert not any(compare_snapshots(before, after).added.values())
