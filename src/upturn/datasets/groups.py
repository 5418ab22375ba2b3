"""Groups: what must not straddle two splits. Rows of one customer, and near-duplicates, are one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

from upturn.datasets.near_duplicates import near_duplicate_clusters
from upturn.datasets.union import UnionFind
from upturn.errors import ConfigError, DataError
from upturn.records import Example, Json, canonical_json


@dataclass(frozen=True, kw_only=True)
class GroupRules:
    """How rows are grouped.

    Attributes:
        threshold: Jaccard similarity in (0, 1] from which two inputs are near-duplicates.
        warn_share: share of all rows in one group from which the report warns.
        max_share: share from which no honest split is left, and grouping fails.
    """

    threshold: float = 0.8
    warn_share: float = 0.2
    max_share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.warn_share <= self.max_share <= 1:
            raise ConfigError(
                "groups: 0 < warn_share <= max_share <= 1 must hold, got "
                f"{self.warn_share}, {self.max_share}"
            )


@dataclass(frozen=True, kw_only=True)
class GroupReport:
    """How the rows fell into groups.

    Attributes:
        rows, groups: how many of each.
        clusters, clustered_rows: near-duplicate clusters of two and more rows, and their rows.
        largest, largest_rows: the largest group and its size.
        cause: why the largest group is as large as it is.
        warning: a sentence where it holds more than ``warn_share`` of all rows, else "".
        joined: customer -> group, for customers whose group has another's name.
        cluster_sizes: rows of a near-duplicate cluster -> how many clusters have so many.
    """

    rows: int
    groups: int
    clusters: int
    clustered_rows: int
    largest: str
    largest_rows: int
    cause: str
    warning: str
    joined: Mapping[str, str] = field(default_factory=dict)
    cluster_sizes: Mapping[int, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Json]:
        """Returns the counts; the name and the texts may be those of rows in the holdout."""
        counts = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k: v for k, v in counts.items() if isinstance(v, int)}


def group_examples(
    examples: Sequence[Example], *, rules: GroupRules | None = None
) -> tuple[list[Example], GroupReport]:
    """Joins rows that share a group or are near-duplicates, and names each group after its least.

    Args:
        examples: rows whose ``group`` is their customer; ids are unique.
        rules: the defaults of :class:`GroupRules` where None.

    Returns:
        The rows sorted by id, each with the joined group's name (the smallest customer's in it),
        and a report. The order of the rows given has no effect.

    Raises:
        DataError: there is no row, or one group holds more than ``max_share`` of all.
    """
    rules = rules or GroupRules()
    if not examples:
        raise DataError("grouping needs at least one row, got 0")
    rows = sorted(examples, key=lambda e: e.id)
    customers = sorted({e.group for e in rows})
    number = {customer: i for i, customer in enumerate(customers)}
    union = UnionFind(len(customers))
    clusters = near_duplicate_clusters([text_of(e.inputs) for e in rows], threshold=rules.threshold)
    for first, *others in clusters:
        for other in others:
            union.union(number[rows[first].group], number[rows[other].group])
    names = {customer: customers[union.find(i)] for customer, i in number.items()}
    report = _report(rows, names, clusters, rules)
    if report.largest_rows > rules.max_share * report.rows and report.rows > 1:
        raise DataError(
            f"no group may hold more than {rules.max_share:g} of all rows; {report.warning}",
            fix="check the log's user ids and inputs, or raise the near-duplicate threshold",
        )
    return [replace(e, group=names[e.group]) for e in rows], report


def text_of(inputs: Mapping[str, Json]) -> str:
    """Returns the text that near-duplicates are compared by: all inputs, sorted by field."""
    values = (inputs[name] for name in sorted(inputs))
    return "\n".join(v if isinstance(v, str) else canonical_json(v) for v in values)


def _report(
    rows: Sequence[Example],
    names: Mapping[str, str],
    clusters: Sequence[Sequence[int]],
    rules: GroupRules,
) -> GroupReport:
    sizes = Counter(names[e.group] for e in rows)
    largest, size = min(sizes.items(), key=lambda item: (-item[1], item[0]))
    cause = _cause(rows, names, clusters, largest)
    warning = ""
    if size > rules.warn_share * len(rows):
        warning = f"group {largest!r} holds {size} of {len(rows)} rows: {cause}"
    return GroupReport(
        rows=len(rows),
        groups=len(sizes),
        clusters=len(clusters),
        clustered_rows=sum(map(len, clusters)),
        largest=largest,
        largest_rows=size,
        cause=cause,
        warning=warning,
        joined={customer: name for customer, name in names.items() if name != customer},
        cluster_sizes=dict(sorted(Counter(map(len, clusters)).items())),
    )


def _cause(
    rows: Sequence[Example],
    names: Mapping[str, str],
    clusters: Sequence[Sequence[int]],
    largest: str,
) -> str:
    """Says whether one customer, one text, or a chain of both makes the largest group."""
    inside = [c for c in clusters if names[rows[c[0]].group] == largest]
    customers = Counter(e.group for e in rows if names[e.group] == largest)
    top, count = min(customers.items(), key=lambda item: (-item[1], item[0]))
    if len(customers) == 1:
        return f"one customer ({top}) sent {count} requests"
    text = text_of(rows[max(inside, key=len)[0]].inputs)
    return (
        f"{len(inside)} near-duplicate clusters join {len(customers)} customers; the largest "
        f"has {max(map(len, inside))} rows like {text[:60]!r}, the busiest customer {count} ({top})"
    )
