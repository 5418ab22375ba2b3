"""What the answers to train on are like: how often each label comes, and how sure they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from upturn.finetune.findings import Finding
from upturn.finetune.kinds import job_kind
from upturn.finetune.rows import Material, TextRow
from upturn.records import Json, canonical_json

#: Share of one label from which a warning is due.
MAJORITY = 0.9
#: A field with more different values than this share of the rows is a text, and has no classes.
_TEXT = 0.5
_DESIRABLE = "(wanted)"


@dataclass(frozen=True, kw_only=True)
class Balance:
    """How often each label comes.

    Attributes:
        fields: output field -> label -> rows, most frequent first; free texts are left out. The
            two sides of judged answers are a field ``(wanted)``.
        texts: the fields that are free texts.
        rows: rows counted.
        title: of the job kind.
    """

    fields: Mapping[str, Mapping[str, int]]
    texts: tuple[str, ...]
    rows: int
    title: str

    def findings(self) -> tuple[list[Finding], list[Finding]]:
        """Returns problems and warnings."""
        constant = [name for name, counts in self.fields.items() if len(counts) == 1]
        problems: list[Finding] = []
        if _DESIRABLE in constant:
            problems.append(_one_side(self.title, self.fields[_DESIRABLE]))
        labels = [name for name in self.fields if name != _DESIRABLE]
        if self.rows > 1 and labels and not self.texts and set(labels) <= set(constant):
            problems.append(_one_class({n: next(iter(self.fields[n])) for n in labels}))
        return problems, [
            Finding(
                what=f"{name} is {label!r} in {count} of {sum(counts.values())} rows: whoever "
                "always says so is right as often",
                where="balance",
                fix="curate.balance in the config, where rarer labels matter as much",
            )
            for name, counts in self.fields.items()
            for label, count in list(counts.items())[:1]
            if count > MAJORITY * sum(counts.values()) and not (problems and len(counts) == 1)
        ]

    def to_json(self) -> dict[str, Json]:
        fields = {name: dict(counts) for name, counts in self.fields.items()}
        return {"fields": fields, "texts": list(self.texts), "rows": self.rows}


def balance(material: Material) -> Balance:
    """Counts the labels of a job's rows; of judged ones, those of the answers that are wanted."""
    rows = [row for row in material.rows if row.desirable]
    values = {name: _counts(rows, name) for name in (rows[0].labels if rows else ())}
    texts = tuple(n for n, counts in values.items() if _is_text(counts, len(rows)))
    fields = {n: dict(c.most_common()) for n, c in values.items() if n not in texts}
    kind = job_kind(material.kind)
    if kind.two_sided:
        sides = Counter("yes" if row.desirable else "no" for row in material.rows)
        fields = {_DESIRABLE: dict(sides.most_common()), **fields}
    return Balance(fields=fields, texts=texts, rows=len(material.rows), title=kind.title)


def _counts(rows: Sequence[TextRow], name: str) -> Counter[str]:
    values = (row.labels.get(name) for row in rows)
    return Counter(v if isinstance(v, str) else canonical_json(v) for v in values)


def _is_text(counts: Counter[str], rows: int) -> bool:
    return rows > 2 and len(counts) > _TEXT * rows


def _one_class(labels: Mapping[str, str]) -> Finding:
    said = ", ".join(f"{name}: {label}" for name, label in labels.items())
    return Finding(
        what=f"the answers must be of two and more classes, all are {said}",
        where="balance",
        fix="bring rows with other labels, then: upturn snapshot CONFIG",
    )


def _one_side(title: str, counts: Mapping[str, int]) -> Finding:
    side = "wanted" if "yes" in counts else "unwanted"
    return Finding(
        what=f"{title} must have wanted and unwanted answers, "
        f"all {sum(counts.values())} are {side}",
        where="balance",
        fix="bring thumbs of the other kind, or train with kind=sft",
    )
