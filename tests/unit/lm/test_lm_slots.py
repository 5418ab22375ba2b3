"""The rows' own keys and values: gaps are closed before memory grows, and it stops growing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from upturn.lm.attention import Kept, Layout  # noqa: E402
from upturn.lm.local_slots import Slots  # noqa: E402

pytestmark = pytest.mark.local

N_HEADS, D = 2, 3


def layout(new_BT: Any) -> Layout:
    rows, columns = new_BT.nonzero(as_tuple=True)
    kept = Kept(index=torch.arange(len(rows)), rows=rows, columns=columns, width=new_BT.shape[1])
    return Layout(
        prefix=None,
        rows=rows,
        columns=columns,
        width=new_BT.shape[1],
        row_lengths=None,
        kept=kept,
        last_layer=0,
    )


def write(slots: Slots, valid: Any, tokens: Sequence[Sequence[float]]) -> Any:
    """Writes one token's number per row and column (0: no token); returns what counts then."""
    numbers = torch.tensor(tokens)
    new_BT = numbers > 0
    valid = slots.make_room(new_BT.shape[1], valid)
    slots.layout = layout(new_BT)
    packed = numbers[new_BT].view(1, 1, -1, 1).expand(1, N_HEADS, -1, D)
    slots.layers[0].update(packed, -packed)
    slots.advance()
    return torch.cat([valid, new_BT], dim=1)


def held(slots: Slots, valid: Any) -> list[list[float]]:
    """The numbers that count, row by row; checks that values went where keys went."""
    layer: Any = slots.layers[0]
    assert torch.equal(layer.keys, -layer.values)
    return [layer.keys[b, 1, : slots.used, 2][valid[b]].tolist() for b in range(slots.n_rows)]


def test_gaps_are_closed_before_memory_grows() -> None:
    slots = Slots(1, 2, capacity=4, most=6)
    valid = write(slots, torch.zeros(2, 0, dtype=torch.bool), [[1.0, 2.0], [0.0, 3.0]])
    valid = write(slots, valid, [[4.0, 5.0], [6.0, 7.0]])
    assert (slots.used, slots.capacity) == (4, 4)
    valid[0, -1] = False
    valid[1, -1] = False
    valid = write(slots, valid, [[8.0], [9.0]])
    assert (slots.used, slots.capacity) == (4, 4)
    assert held(slots, valid) == [[1.0, 2.0, 4.0, 8.0], [3.0, 6.0, 9.0]]


def test_memory_doubles_up_to_what_a_row_can_fill() -> None:
    slots = Slots(1, 1, capacity=2, most=5)
    valid = torch.zeros(1, 0, dtype=torch.bool)
    seen = []
    for number in range(1, 6):
        valid = write(slots, valid, [[float(number)]])
        seen.append((slots.capacity, slots.n_bytes // (2 * N_HEADS * D * 4)))
    assert seen == [(2, 2), (2, 2), (4, 4), (4, 4), (5, 5)]
    assert held(slots, valid) == [[1.0, 2.0, 3.0, 4.0, 5.0]]


def test_rows_that_are_done_give_their_memory_back() -> None:
    slots = Slots(1, 3, capacity=2, most=2)
    valid = write(slots, torch.zeros(3, 0, dtype=torch.bool), [[1.0], [2.0], [3.0]])
    before = slots.n_bytes
    slots.select([0, 2])
    layer: Any = slots.layers[0]
    assert layer.keys[:, 0, 0, 0].tolist() == [1.0, 3.0]
    assert slots.n_bytes == before * 2 // 3
    assert valid.shape == (3, 1)
