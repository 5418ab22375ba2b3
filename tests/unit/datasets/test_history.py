"""Rotation: what a search has seen never becomes a holdout, over any sequence of snapshots."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from upturn.datasets import (
    History,
    Order,
    Snapshot,
    Split,
    SplitRules,
    Terms,
    freeze,
    group_examples,
    preview,
)
from upturn.datasets.history import group_hash, row_hash, text_hash, without
from upturn.datasets.near_duplicates import shingles
from upturn.datasets.split import make_splits
from upturn.errors import DataError
from upturn.records import Example, content_hash

START = datetime(2026, 9, 1, tzinfo=UTC)
RULES = SplitRules(order=Order.HASH, holdout=0.34, dev=0.33)


def row(name: str, customer: str, text: str, *, day: int = 0) -> Example:
    return Example(
        id=name,
        inputs={"message": text},
        labels={"team": "billing"},
        group=customer,
        time=(START + timedelta(days=day)).isoformat(),
    )


def word(n: int) -> str:
    """A text of its own for each number: no two are near-duplicates."""
    return content_hash(n, length=40).translate(str.maketrans("0123456789", "ghijklmnop"))


def placed(rows: Sequence[Example], snapshot: Snapshot) -> dict[str, Split]:
    """Where each row went; what is in neither open split is in the holdout."""
    train, dev = ({e.id for e in part} for part in (snapshot.train, snapshot.dev))
    named = {True: Split.TRAIN, False: Split.HOLDOUT}
    return {e.id: Split.DEV if e.id in dev else named[e.id in train] for e in rows}


@dataclass
class World:
    """Snapshots of one program, each frozen with all earlier ones in mind."""

    folder: Path
    rules: SplitRules = RULES
    snapshots: list[Snapshot] = field(default_factory=list)
    retired: set[str] = field(default_factory=set)

    def freeze(self, rows: Sequence[Example]) -> dict[str, Split]:
        grouped, report = group_examples(rows)
        history = History.of(self.snapshots, retired=self.retired)
        terms = Terms(history=history, joined=report.joined)
        made = freeze(grouped, rules=self.rules, folder=self.folder, provenance={}, terms=terms)
        self.snapshots.append(made)
        return placed(rows, made)


# A row: customer, text, and the day it comes and the day it is gone.
ROWS = st.lists(
    st.tuples(st.integers(0, 14), st.integers(0, 14), st.integers(0, 3), st.integers(1, 4)),
    min_size=8,
    max_size=40,
)


@settings(max_examples=40, deadline=None)
@given(ROWS, st.sampled_from(list(Order)), st.booleans())
def test_nothing_goes_from_train_or_dev_to_a_holdout(
    drawn: list[tuple[int, int, int, int]], order: Order, retire: bool
):
    # Neighbours among the numbers 0..14 by threes are near-duplicates of each other.
    texts = [word(n // 3) + f" number {chr(97 + n % 3)}" for n in range(15)]
    rows = [
        (row(f"r{i}", f"c{c}", texts[t], day=come), come, come + stay)
        for i, (c, t, come, stay) in enumerate(drawn)
    ]
    # New customers with texts of their own come each day, so that a holdout can be filled.
    rows += [
        (row(f"n{day}-{i}", f"new{day}-{i}", word(1000 + 10 * day + i), day=day), day, day + 2)
        for day in range(4)
        for i in range(6)
    ]
    seen: list[Example] = []
    with tempfile.TemporaryDirectory() as folder:
        world = World(folder=Path(folder), rules=replace(RULES, order=order))
        held: list[Example] = []
        for day in range(4):
            today = [e for e, come, gone in rows if come <= day < gone]
            if retire and world.snapshots:
                world.retired.add(world.snapshots[-1].holdout.sha256)
            old = list(held) if retire else []
            try:
                where = world.freeze(today)
            except DataError as error:
                event(f"day {day}: {str(error)[:40]}")
                if "was never in" in str(error) or "no group may hold" in str(error):
                    return
                raise
            in_holdout = [e for e in today if where[e.id] is Split.HOLDOUT]
            opened = [e for e in today if where[e.id] is not Split.HOLDOUT]
            assert_apart(in_holdout, seen)
            assert_apart([e for e in today if where[e.id] is Split.TRAIN], held, exact=True)
            assert_apart([e for e in today if where[e.id] is not Split.DEV], old, exact=True)
            seen += opened
            held += in_holdout


def assert_apart(rows: list[Example], before: list[Example], *, exact: bool = False) -> None:
    """No customer, text or near-duplicate of it in both (exact: customers and equal texts)."""
    assert not {e.group for e in rows} & {e.group for e in before}
    texts = {e.inputs["message"] for e in rows}
    past = {e.inputs["message"] for e in before}
    assert not texts & past
    if not exact:
        assert all(likeness(a, b) < 0.8 for a in texts for b in past)


def likeness(a: str, b: str) -> float:
    one, other = shingles(a), shingles(b)
    return len(one & other) / len(one | other)


def test_the_same_rows_again_are_the_same_snapshot(tmp_path: Path):
    rows = [row(f"r{n}", f"c{n // 2}", word(n), day=n) for n in range(60)]
    for order in Order:
        world = World(folder=tmp_path / order, rules=SplitRules(order=order))
        first = world.freeze(rows)
        assert world.freeze(rows) == first
        assert world.freeze(rows) == first
        assert len({s.id for s in world.snapshots}) == 1


def test_a_holdout_grows_by_new_customers_only(tmp_path: Path):
    world = World(folder=tmp_path, rules=SplitRules())
    old = [row(f"r{n}", f"c{n}", word(n), day=n) for n in range(60)]
    first = world.freeze(old)
    again = [row(f"s{n}", f"c{n}", word(500 + n), day=90) for n in range(60)]
    new = [row(f"t{n}", f"d{n}", word(900 + n), day=80) for n in range(60)]
    second = world.freeze([*old, *again, *new])
    for n in range(60):
        if first[f"r{n}"] is not Split.HOLDOUT:
            assert Split.HOLDOUT not in (second[f"r{n}"], second[f"s{n}"])
        else:
            assert Split.TRAIN not in (second[f"r{n}"], second[f"s{n}"])
    assert sum(second[f"t{n}"] is Split.HOLDOUT for n in range(60)) == 18
    assert list(second.values()).count(Split.HOLDOUT) == 54  # 0.3 of 180


def test_a_retired_holdout_becomes_dev(tmp_path: Path):
    world = World(folder=tmp_path, rules=SplitRules())
    old = [row(f"r{n}", f"c{n}", word(n), day=n) for n in range(60)]
    first = world.freeze(old)
    world.retired.add(world.snapshots[0].holdout.sha256)
    new = [row(f"t{n}", f"d{n}", word(900 + n), day=0) for n in range(60)]
    second = world.freeze([*old, *new])
    retired = [name for name, split in first.items() if split is Split.HOLDOUT]
    assert len(retired) == 18
    assert {second[name] for name in retired} == {Split.DEV}
    assert list(second.values()).count(Split.HOLDOUT) == 36
    with pytest.raises(DataError, match="holdout needs a group that was never in train or dev"):
        World(folder=tmp_path, snapshots=world.snapshots[:1], retired=world.retired).freeze(old)


def test_a_near_duplicate_of_a_row_that_is_gone_stays_out(tmp_path: Path):
    world = World(folder=tmp_path, rules=SplitRules())
    first = world.freeze([row(f"r{n}", f"c{n}", word(n), day=n) for n in range(60)])
    opened = [n for n in range(60) if first[f"r{n}"] is not Split.HOLDOUT]
    copies = [row(f"x{n}", f"x{n}", f"{word(n)}!? a", day=99) for n in opened]
    fresh = [row(f"y{n}", f"y{n}", word(700 + n), day=1) for n in range(20)]
    second = world.freeze([*copies, *fresh])
    assert {second[e.id] for e in copies} == {Split.TRAIN, Split.DEV}
    assert list(second.values()).count(Split.HOLDOUT) == 19


def test_a_customer_who_was_joined_under_another_name_is_remembered(tmp_path: Path):
    world = World(folder=tmp_path, rules=SplitRules())
    rows = [row(f"r{n}", f"c{n:02}", word(n), day=n) for n in range(40)]
    linked = [row("a", "c00", word(99)), row("b", "zoe", word(99)), row("c", "zoe", word(98))]
    assert world.freeze([*rows, *linked])["c"] is not Split.HOLDOUT
    later = [row("d", "zoe", word(97), day=300)]
    fresh = [row(f"y{n}", f"y{n}", word(700 + n), day=200) for n in range(40)]
    assert world.freeze([*later, *fresh])["d"] is not Split.HOLDOUT


def test_snapshots_from_before_there_were_hashes_bar_by_their_rows(tmp_path: Path):
    rows = [row(f"r{n}", f"c{n}", word(n), day=n) for n in range(40)]
    world = World(folder=tmp_path, rules=SplitRules())
    world.freeze(rows)
    path = world.snapshots[0].folder / "manifest.json"
    manifest = {k: v for k, v in world.snapshots[0].manifest.items() if k != "history"}
    path.write_text(json.dumps({**manifest, "manifest_sha256": content_hash(manifest)}))
    old = Snapshot.load(world.snapshots[0].folder)
    barred = History.of([old]).barred(rows, {})
    assert {g for g, s in barred.items() if Split.HOLDOUT in s} == {
        e.group for e in old.train + old.dev
    }


def test_a_manifest_lists_hashes_and_never_names(tmp_path: Path):
    world = World(folder=tmp_path)
    world.freeze([row(f"r{n}", f"customer-{n}", word(n), day=n) for n in range(30)])
    hashes = world.snapshots[0].manifest["history"]["hashes"]
    assert sum(len(hashes[s]["rows"]) for s in Split) == 30 * 16
    text = (world.snapshots[0].folder / "manifest.json").read_text()
    assert "customer-" not in text
    assert not any(word(n) in text for n in range(30))


KINDS = {
    "free": frozenset[Split](),
    "seen": frozenset({Split.HOLDOUT}),
    "held": frozenset({Split.TRAIN}),
    "retired": frozenset({Split.TRAIN, Split.HOLDOUT}),
}


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(list(KINDS)), st.integers(1, 4)), min_size=1, max_size=9),
    st.sampled_from(list(Order)),
    st.sampled_from([0.1, 0.3, 0.5]),
)
def test_whatever_is_barred_is_respected_or_said_to_be_impossible(
    drawn: list[tuple[str, int]], order: Order, share: float
):
    rows = [
        row(f"{g}-{i}", f"g{g}", "", day=g * 7 % 5)
        for g, (_, size) in enumerate(drawn)
        for i in range(size)
    ]
    barred = {f"g{g}": KINDS[kind] for g, (kind, _) in enumerate(drawn)}
    count = {k: sum(kind == k for kind, _ in drawn) for k in KINDS}
    able = count["free"] + count["seen"], count["free"] + count["held"]
    possible = len(drawn) >= 3 and min(able) >= 1 and len(drawn) - count["retired"] >= 2
    rules = SplitRules(holdout=share, dev=0.3, order=order)
    if not possible:
        with pytest.raises(DataError):
            make_splits(rows, rules=rules, barred=barred)
        return
    splits = make_splits(rows, rules=rules, barred=barred)
    for split in Split:
        inside = {e.group for e in getattr(splits, split)}
        assert inside
        assert all(split not in barred[g] for g in inside)


def test_a_preview_knows_the_same_history(tmp_path: Path):
    world = World(folder=tmp_path, rules=SplitRules())
    old = [row(f"r{n}", f"c{n}", word(n), day=n) for n in range(40)]
    world.freeze(old)
    rows = [*old, *(row(f"t{n}", f"d{n}", word(900 + n), day=80) for n in range(40))]
    terms = Terms(history=History.of(world.snapshots))
    shown = preview(rows, rules=SplitRules(), terms=terms)
    world.freeze(rows)
    first, made = world.snapshots
    assert (shown.train, shown.dev, shown.holdout) == (made.train, made.dev, made.holdout)
    assert all(a.id != b.id for a, b in pairwise([first, made]))


def test_what_is_forgotten_leaves_no_hash(tmp_path: Path) -> None:
    rows = [row(f"r{i}", f"u{i % 6}", word(i)) for i in range(12)]
    snapshot = freeze(rows, rules=RULES, folder=tmp_path, provenance={})
    train = [e for e in rows if e in snapshot.train]
    gone = [e for e in train if e.group == train[0].group]
    kept = [e for e in train if e.group != train[0].group]
    left = without(snapshot.manifest, Split.TRAIN, gone=gone, kept=kept, names=[])
    only_kept = {
        "groups": "".join(sorted({group_hash(e.group) for e in kept})),
        "texts": "".join(sorted(map(text_hash, kept))),
        "rows": "".join(sorted(row_hash(e.id) for e in kept)),
    }
    assert gone
    assert left == only_kept
