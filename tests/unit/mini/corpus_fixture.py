"""A small made-up corpus, so that training is tested where the real one is absent."""

from __future__ import annotations

import random
from typing import Any

_THINGS = "lamp radio kettle bicycle camera printer window garden hammer pillow basket candle".split(" ")
_ACTS = "repair return clean order cancel paint measure replace borrow polish".split(" ")
_PLACES = "berlin oslo lyon porto krakow turin".split(" ")


def small_corpus(seed: int = 0) -> dict[str, Any]:
    """Returns the body of a corpus: every key that a real one has, a few hundred lines."""
    rng = random.Random(seed)

    def line() -> str:
        act, thing, place = rng.choice(_ACTS), rng.choice(_THINGS), rng.choice(_PLACES)
        return f"please {act} the {thing} that stands in {place}" + rng.choice(["", "?", " today"])

    tables = {
        f"table {k}": {
            f"{act} {thing}": {
                "desc": [f"wants to {act} the {thing}"] if k else [],
                "texts": [f"could you {act} my {thing} number {n}" for n in range(20)],
            }
            for act, thing in zip(_ACTS[k * 5 : k * 5 + 5], _THINGS, strict=False)
        }
        for k in range(2)
    }
    words = _THINGS + _ACTS
    return {
        "tables": tables,
        "pairs": [[line(), f"we will look at the {rng.choice(_THINGS)}"] for _ in range(50)],
        "spans": [[f"send it to {p}", "city", p, "where it goes"] for p in _PLACES],
        "words": [[w, f"what one calls a {w}", f"a {w} here", [w[::-1]], "noun"] for w in words],
        "lines": [line() for _ in range(600)],
        "wiki": [line() for _ in range(20)],
        "abcd": [line() for _ in range(20)],
    }
