"""Curation before the split: nobody, no template and no week may fill the data alone.

Caps only ever leave rows out. Who stays is fixed: the surest label first, then a hash of the row's
id, so the order of the rows has no effect. Balance among labels is a matter of train alone, after
the split: see :class:`~upturn.datasets.terms.Terms`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from upturn.datasets.balance import preference
from upturn.datasets.groups import GroupRules, text_of
from upturn.datasets.near_duplicates import near_duplicate_clusters
from upturn.errors import ConfigError, DataError
from upturn.records import Example

_CAPITAL = r"[A-ZÀ-ÖØ-ÞĀĂĄĆČĎĐĒĖĘĚĞĢĪĮİĶĹĻĽŁŃŅŇŌŐŒŔŘŚŞŠŢŤŪŮŰŲŴŶŹŻŽ]"
_BEFORE = (
    r"(?i:\b(?:hi|hello|hey|dear|hallo|liebe[rs]?|moin|bonjour|salut|ch[èe]re?|hola|estimad[oa]|ciao"
    r"|my name is|i am|i'm|this is|ich bin|ich hei(?:ß|ss)e|mein name ist|je m'appelle|me llamo"
    r"|regards|thanks|cheers|sincerely|gr(?:ü|ue)(?:ß|ss)e|gru(?:ß|ss)|cordialement|saludos)"
    r"[\s,:!]+)"
)
_TITLE = r"(?i:(?:mr|mrs|ms|dr|herr|frau|m|mme|sr|sra)\b\.?\s+)?"
#: A name where people put one: after a greeting, an introduction or a closing.
_NAME = re.compile(rf"({_BEFORE}){_TITLE}{_CAPITAL}[\w'’-]*(?:[ ]{_CAPITAL}[\w'’-]*)*")
#: What privacy rules leave in a name's place, and what stands for a person or a thing elsewhere.
_MARK = re.compile(r"<[A-Z][A-Z0-9_]*:[0-9a-f]+>|\S+@\S+\.\S+|https?://\S+|\b[0-9a-f]{8,}\b")


@dataclass(frozen=True, kw_only=True)
class CurateRules:
    """How many rows may come from where; None is no limit, and all are None.

    Attributes:
        max_per_user: rows of one user.
        max_per_template: rows whose texts are near-duplicates but for digits and names.
        max_per_week: rows of one week (ISO 8601, UTC); rows without a time are not counted.
        threshold: Jaccard similarity in (0, 1] from which texts are one template.
    """

    max_per_user: int | None = None
    max_per_template: int | None = None
    max_per_week: int | None = None
    threshold: float = GroupRules().threshold

    def __post_init__(self) -> None:
        for name in ("max_per_user", "max_per_template", "max_per_week"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} must be >= 1, got {value}")


def curate(
    rows: Sequence[Example], *, rules: CurateRules | None = None
) -> tuple[list[Example], dict[str, int]]:
    """Applies the caps, of users, then templates, then weeks.

    Args:
        rows: rows before they are grouped: ``group`` is the user.
        rules: the caps; none where None.

    Returns:
        The rows that are left, sorted by id, and how many were left out, by ``over_user_cap``,
        ``over_template_cap`` and ``over_week_cap``.

    Raises:
        DataError: weeks are capped and a row's time is none.
    """
    rules = rules or CurateRules()
    left = sorted(rows, key=lambda e: e.id)
    dropped: dict[str, int] = {}
    caps: tuple[tuple[str, int | None, Callable[[Sequence[Example]], list[str]]], ...] = (
        ("over_user_cap", rules.max_per_user, lambda given: [e.group for e in given]),
        ("over_template_cap", rules.max_per_template, lambda g: _templates(g, rules.threshold)),
        ("over_week_cap", rules.max_per_week, lambda given: [week_of(e.time) for e in given]),
    )
    for reason, most, keys_of in caps:
        if most is not None:
            kept = _capped(left, keys_of(left), most)
            if len(kept) < len(left):
                dropped[reason] = len(left) - len(kept)
            left = kept
    return left, dropped


def template_text(text: str) -> str:
    """Returns a text with names, addresses and marks of privacy rules in one neutral form."""
    return _MARK.sub(" ", _NAME.sub(r"\1", text))


def week_of(time: str) -> str:
    """Returns the week of a time, such as ``2026-W36`` (ISO 8601, UTC); "" where there is none.

    Raises:
        DataError: the text is no time.
    """
    if not time:
        return ""
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        raise DataError(f"a row's time must be ISO 8601, got {time!r}") from None
    year, week, _ = (moment if moment.tzinfo is None else moment.astimezone(UTC)).isocalendar()
    return f"{year}-W{week:02}"


def _templates(rows: Sequence[Example], threshold: float) -> list[str]:
    """Returns the template of each row: the id of the first row of its cluster."""
    keys = [e.id for e in rows]
    texts = [template_text(text_of(e.inputs)) for e in rows]
    for first, *others in near_duplicate_clusters(texts, threshold=threshold):
        for other in others:
            keys[other] = rows[first].id
    return keys


def _capped(rows: Sequence[Example], keys: Sequence[str], most: int) -> list[Example]:
    """Returns the rows of which at most so many have one key, in the order given."""
    taken = Counter[str]()
    kept: set[str] = set()
    for row, key in sorted(zip(rows, keys, strict=True), key=lambda pair: preference(pair[0])):
        if not key or taken[key] < most:
            taken[key] += 1
            kept.add(row.id)
    return [row for row in rows if row.id in kept]
