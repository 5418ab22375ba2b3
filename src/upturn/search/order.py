"""The order in which rows are run: random, group by group, every slice from the start."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from upturn.records import Example, Json, content_hash

#: Labels that make a stratum; with more, the labels are no strata but texts.
_MAX_LABELS = 24


def racing_order(examples: Sequence[Example], seed: int) -> list[Example]:
    """Returns the rows in the order in which every candidate runs them.

    Groups stay together. A stratum is what a group's first row says of its slices and labels; each
    stratum's groups are spread evenly over the whole order, from a random offset, so that any first
    part holds every stratum in about its share.
    """
    groups: dict[str, list[Example]] = defaultdict(list)
    for example in sorted(examples, key=lambda e: content_hash([seed, e.id])):
        groups[example.group].append(example)
    strata: dict[str, list[str]] = defaultdict(list)
    use_labels = _few_labels(examples)
    for group in sorted(groups, key=lambda g: content_hash([seed, "group", g])):
        strata[_stratum(groups[group][0], use_labels)].append(group)
    places: dict[str, float] = {}
    for stratum, members in strata.items():
        offset = int(content_hash([seed, "offset", stratum], length=12), 16) / 16**12
        places |= {group: (i + offset) / len(members) for i, group in enumerate(members)}
    return [e for group in sorted(places, key=lambda g: (places[g], g)) for e in groups[group]]


def units_of(examples: Sequence[Example]) -> NDArray[np.int64]:
    """Numbers the rows' groups in the order of their first row."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(e.group, len(numbers)) for e in examples], dtype=np.int64)


def _few_labels(examples: Sequence[Example]) -> bool:
    return len({str(sorted(e.labels.items())) for e in examples}) <= _MAX_LABELS


def _stratum(example: Example, use_labels: bool) -> str:
    what: list[Json] = [sorted(example.slices.items())]
    if use_labels:
        what.append(sorted((k, str(v)) for k, v in example.labels.items()))
    return content_hash(what, length=12)
