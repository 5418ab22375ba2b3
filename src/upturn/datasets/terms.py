"""On which terms rows are split: what earlier snapshots forbid, consent, balance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from upturn.datasets.balance import Balance, balanced
from upturn.datasets.history import History
from upturn.datasets.split import Split, SplitRules, Splits, make_splits
from upturn.errors import DataError
from upturn.events.records import Purpose
from upturn.privacy.consent import Unstated, may
from upturn.records import Example, Json

_PURPOSES = {
    Split.TRAIN: (Purpose.TRAIN, "no_consent_to_train"),
    Split.DEV: (Purpose.EVALUATE, "no_consent_to_evaluate"),
    Split.HOLDOUT: (Purpose.EVALUATE, "no_consent_to_evaluate"),
}


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a split must respect besides its sizes.

    Attributes:
        history: of earlier snapshots.
        joined: customer -> group, from the report on groups; says who else is in a group.
        unstated: whether rows that state no consent may be used.
        balance: how labels of train are balanced; dev and holdout keep what production sends.
    """

    history: History = field(default_factory=History)
    joined: Mapping[str, str] = field(default_factory=dict)
    unstated: Unstated = "allow"
    balance: tuple[Balance, ...] = ()

    def to_json(self) -> dict[str, Json]:
        return {
            "unstated_consent": self.unstated,
            "balance": [b.to_json() for b in self.balance],
            "previous": list(self.history.snapshots),
        }


def split_on(
    rows: Sequence[Example], *, rules: SplitRules, terms: Terms
) -> tuple[Splits, dict[str, int]]:
    """Splits rows on terms, and counts the rows that are left out by reason.

    Rows without consent to anything are left out first (``no_consent``). Then groups are assigned,
    and a row leaves its split where it lacks consent to that split's purpose: training for train
    (``no_consent_to_train``), evaluation for dev and holdout (``no_consent_to_evaluate``). Last,
    train is balanced (``over_balance``). Rows of dev without consent to training lose their notes,
    of which instructions are made; so do all rows of the holdout, which nobody reads notes of: a
    comment makes no new holdout.

    Raises:
        DataError: the rows cannot be split, or consent leaves a split empty.
    """
    may_be = _Consents(terms.unstated)
    usable = [e for e in rows if any(may_be(e, purpose) for purpose in Purpose)]
    dropped = Counter({"no_consent": len(rows) - len(usable)})
    barred = terms.history.barred(usable, terms.joined)
    splits = make_splits(usable, rules=rules, barred=barred)
    kept: dict[Split, tuple[Example, ...]] = {}
    for name, (purpose, reason) in _PURPOSES.items():
        given: tuple[Example, ...] = getattr(splits, name)
        kept[name] = tuple(e for e in given if may_be(e, purpose))
        dropped[reason] += len(given) - len(kept[name])
        if not kept[name]:
            raise DataError(
                f"{name} must hold at least one row, got none of {len(given)} with consent to "
                f"{purpose}",
                fix="ask for consent, or set privacy.unstated_consent=allow if that is lawful",
            )
    train, over = balanced(kept[Split.TRAIN], terms.balance)
    dropped["over_balance"] = over
    made = Splits(
        train=train,
        dev=tuple(e if may_be(e, Purpose.TRAIN) else _mute(e) for e in kept[Split.DEV]),
        holdout=tuple(map(_mute, kept[Split.HOLDOUT])),
    )
    return made, {reason: n for reason, n in dropped.items() if n}


def _mute(row: Example) -> Example:
    return replace(row, notes=()) if row.notes else row


class _Consents:
    """Whether rows may be used for a purpose; the few kinds of consent are worked out once each."""

    def __init__(self, unstated: Unstated) -> None:
        self._unstated: Unstated = unstated
        self._known: dict[tuple[tuple[str, ...] | None, Purpose], bool] = {}

    def __call__(self, row: Example, purpose: Purpose) -> bool:
        key = (row.consent, purpose)
        if key not in self._known:
            self._known[key] = may(row.consent, purpose, self._unstated)
        return self._known[key]
