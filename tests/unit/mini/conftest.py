"""A small made-up corpus, so that training is tested where the real one is absent."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_THINGS = (
    "lamp",
    "radio",
    "kettle",
    "bicycle",
    "camera",
    "printer",
    "window",
    "garden",
    "hammer",
    "pillow",
)
_ACTS = (
    "repair",
    "return",
    "clean",
    "order",
    "cancel",
    "paint",
    "measure",
    "replace",
    "borrow",
    "polish",
)
_PLACES = ("berlin", "oslo", "lyon", "porto", "krakow", "turin")


def _body(seed: int) -> dict[str, Any]:
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
            for act, thing in zip(_ACTS[k * 5 :], _THINGS[:5], strict=False)
        }
        for k in range(2)
    }
    # Names that mean nothing are drawn from the vocabulary: up to 8 names of 4 words.
    words = [*_THINGS, *_ACTS, *(a[:3] + b[-3:] for a in _ACTS for b in _THINGS)]
    return {
        "tables": tables,
        "pairs": [[line(), f"we will look at the {rng.choice(_THINGS)}"] for _ in range(50)],
        "spans": [[f"send it to {p}", "city", p, "where it goes"] for p in _PLACES],
        "words": [[w, f"what one calls a {w}", f"a {w} here", [w[::-1]], "noun"] for w in words],
        "lines": [line() for _ in range(600)],
        "wiki": [line() for _ in range(20)],
        "abcd": [line() for _ in range(20)],
    }


@pytest.fixture(scope="session")
def corpus_body() -> dict[str, Any]:
    """The body of a corpus: every key that a real one has, a few hundred lines."""
    return _body(0)


@pytest.fixture(scope="session")
def corpus_path(corpus_body: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "corpus.json"
    path.write_text(json.dumps(corpus_body))
    return path


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Tiny matrices on busy cores: a second thread would mostly wait for its turn."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
