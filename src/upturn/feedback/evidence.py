"""What is known about one answer: the last word of each rater, by kind of signal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from upturn.feedback.events import Feedback, Signal
from upturn.records import Json, canonical_json


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One rater's last word on one output field."""

    value: Json
    rater: str
    event_id: str

    @property
    def key(self) -> str:
        """The value as text that can be compared, whatever its type."""
        return canonical_json(self.value)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that counts about one answer.

    Attributes:
        corrections, edits: output field -> one claim per rater.
        up, down: thumbs, one per rater.
        kept, reopened: the implicit signs, all of them.
    """

    corrections: Mapping[str, tuple[Claim, ...]]
    edits: Mapping[str, tuple[Claim, ...]]
    up: tuple[Feedback, ...]
    down: tuple[Feedback, ...]
    kept: tuple[Feedback, ...]
    reopened: tuple[Feedback, ...]

    def without_thumbs_of(self, raters: frozenset[str]) -> Evidence:
        """Returns the evidence less the thumbs of raters who are not trusted."""
        return Evidence(
            corrections=self.corrections,
            edits=self.edits,
            up=tuple(f for f in self.up if f.rater not in raters),
            down=tuple(f for f in self.down if f.rater not in raters),
            kept=self.kept,
            reopened=self.reopened,
        )


def gather(feedback: Iterable[Feedback]) -> Evidence:
    """Reduces one request's feedback to each rater's last word, per field and kind."""
    ordered = sorted(feedback, key=lambda f: (f.time, f.id))
    thumbs = {f.rater: f for f in ordered if f.signal is Signal.THUMBS}
    return Evidence(
        corrections=_claims(ordered, Signal.CORRECTION),
        edits=_claims(ordered, Signal.EDIT),
        up=tuple(f for f in thumbs.values() if f.value),
        down=tuple(f for f in thumbs.values() if not f.value),
        kept=tuple(f for f in ordered if f.signal is Signal.KEPT),
        reopened=tuple(f for f in ordered if f.signal is Signal.REOPENED),
    )


def _claims(ordered: Iterable[Feedback], signal: Signal) -> dict[str, tuple[Claim, ...]]:
    last: dict[str, dict[str, Claim]] = {}
    for f in ordered:
        if f.signal is signal:
            for name, value in f.value.items():
                claim = Claim(value=value, rater=f.rater, event_id=f.id)
                last.setdefault(name, {})[f.rater] = claim
    return {name: tuple(by_rater.values()) for name, by_rater in last.items()}


def changed(claims: Mapping[str, tuple[Claim, ...]], outputs: Mapping[str, Json]) -> bool:
    """Whether any claim differs from the answer that was given."""
    return any(
        c.key != canonical_json(outputs[name]) for name, many in claims.items() for c in many
    )


def answer_was_right(feedback: Iterable[Feedback], outputs: Mapping[str, Json]) -> bool | None:
    """What the evidence other than thumbs says about a whole answer.

    Corrections are asked first, then the implicit signs; None where there is neither, or where
    they contradict one another.
    """
    evidence = gather(feedback)
    if evidence.corrections:
        return _agreed(evidence.corrections, outputs)
    signs = [_agreed(evidence.edits, outputs)] if evidence.edits else []
    signs += [True] * bool(evidence.kept) + [False] * bool(evidence.reopened)
    return signs[0] if signs and len(set(signs)) == 1 else None


def _agreed(claims: Mapping[str, tuple[Claim, ...]], outputs: Mapping[str, Json]) -> bool | None:
    if any(len({c.key for c in many}) > 1 for many in claims.values()):
        return None
    return not changed(claims, outputs)
