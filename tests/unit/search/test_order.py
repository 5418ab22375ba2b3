"""The running order: groups together, slices from the start, the same for every candidate."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from upturn.records import Example
from upturn.search import racing_order
from upturn.search.order import units_of


def row(i, group, market="de", label="a"):
    return Example(
        id=f"r{i}", inputs={}, labels={"team": label}, group=group, slices={"market": market}
    )


rows = st.lists(
    st.tuples(st.integers(0, 8), st.sampled_from(["de", "fr"]), st.sampled_from(["a", "b"])),
    max_size=40,
)


@given(rows, st.integers(0, 5))
def test_every_row_once_and_groups_together(drawn, seed):
    examples = [row(i, f"g{g}", market, label) for i, (g, market, label) in enumerate(drawn)]
    ordered = racing_order(examples, seed)
    assert sorted(e.id for e in ordered) == sorted(e.id for e in examples)
    assert ordered == racing_order(examples[::-1], seed)
    units = units_of(ordered)
    assert (np.diff(units) >= 0).all()
    assert len(set(units.tolist())) == len({e.group for e in examples})


def test_a_slice_of_a_tenth_is_seen_from_the_start():
    examples = [row(i, f"g{i}", "fr" if i % 10 == 0 else "de") for i in range(200)]
    ordered = racing_order(examples, seed=3)
    for n in (30, 60, 100):
        seen = Counter(e.slices["market"] for e in ordered[:n])
        assert abs(seen["fr"] - n / 10) <= 1.5
    assert [e.id for e in racing_order(examples, 4)] != [e.id for e in ordered]
