"""The rules as they come. docs/labels.md shows them as a table, which a test compares with them."""

from __future__ import annotations

from typing import Any

from upturn.events.records import Role, Signal
from upturn.labels.rule import Rule, Says


def _explicit(
    rule_id: str, signal: Signal, says: Says, probability: float, note: str, **more: Any
) -> Rule:
    return Rule(id=rule_id, signal=signal, says=says, probability=probability, note=note, **more)


def _implicit(
    rule_id: str, signal: Signal | None, says: Says, probability: float, note: str, **more: Any
) -> Rule:
    # One number for everybody has more behind it than one person's: it moves slowly.
    fixed: dict[str, Any] = {"implicit": True, "strength": 40.0, **more}
    return Rule(id=rule_id, signal=signal, says=says, probability=probability, note=note, **fixed)


_BY_CUSTOMER: dict[str, Any] = {"roles": (Role.CUSTOMER,)}
_BY_JUDGE: dict[str, Any] = {"roles": (Role.JUDGE,)}

#: The first rule that reads a signal is the one that counts.
DEFAULTS: tuple[Rule, ...] = (
    _explicit(
        *("correction_by_customer", Signal.CORRECTION, Says.VALUE, 0.85),
        "knows the matter, and not always the words we use for it",
        **_BY_CUSTOMER,
    ),
    _explicit(
        *("correction_by_judge", Signal.CORRECTION, Says.VALUE, 0.75),
        "a model's opinion is no better than another model's answer",
        **_BY_JUDGE,
    ),
    _explicit(
        *("correction", Signal.CORRECTION, Says.VALUE, 0.95),
        "somebody whose work it is says what is right; nobody is always right",
        strength=40.0,
    ),
    _explicit(
        *("verdict_by_judge", Signal.VERDICT, Says.EITHER, 0.75),
        "as a judge's correction",
        **_BY_JUDGE,
    ),
    _explicit(
        *("verdict", Signal.VERDICT, Says.EITHER, 0.9),
        "somebody looked at it in order to judge it; by field where they said so",
    ),
    _explicit(
        *("chosen", Signal.CHOSEN, Says.VALUE, 0.8),
        "the best of those shown, which need not be right",
    ),
    _explicit(
        *("thumbs_by_judge", Signal.THUMBS, Says.EITHER, 0.7),
        "as a judge's correction, and coarser",
        **_BY_JUDGE,
    ),
    _explicit(
        *("thumbs", Signal.THUMBS, Says.EITHER, 0.8),
        "also given for speed, tone, or the parcel",
    ),
    _explicit(
        *("stars", Signal.STARS, Says.EITHER, 0.75),
        "as thumbs; in between says nothing",
        up_from=4.0,
        down_to=2.0,
    ),
    _explicit(
        *("score", Signal.SCORE, Says.NOTHING, 0.5),
        "its scale is unknown: name it in a rule with up_from and down_to",
    ),
    _explicit(
        *("category", Signal.CATEGORY, Says.NOTHING, 0.5),
        "its words are unknown: name them in a rule with up and down",
    ),
    _explicit(
        *("comment", Signal.COMMENT, Says.NOTHING, 0.5),
        "free text is shown to people, and not read here",
    ),
    _implicit(
        *("edit", Signal.EDIT, Says.VALUE, 0.7),
        "the value that finally stood, which nobody vouched for",
    ),
    _implicit(
        *("small_edit", None, Says.RIGHT, 0.7),
        "an edit of a long text that leaves most of its words confirms it",
    ),
    _implicit(
        *("left_alone", None, Says.RIGHT, 0.6),
        "who corrected or edited another field saw this one too; a fixed number, because others "
        "speak of a field that was left alone only to complain",
        strength=1e6,
    ),
    _implicit(
        *("kept", Signal.KEPT, Says.RIGHT, 0.55),
        "silence; answers that nobody read are kept too",
    ),
    _implicit(
        *("retained", Signal.RETAINED, Says.RIGHT, 0.55),
        "minutes; as kept, once it had time to be seen",
        up_from=30.0,
    ),
    _implicit(*("copy", Signal.COPY, Says.RIGHT, 0.6), "somebody had a use for it"),
    _implicit(
        *("resolved", Signal.RESOLVED, Says.EITHER, 0.6),
        "the matter, not the answer, was solved or was not",
    ),
    _implicit(
        *("reopened", Signal.REOPENED, Says.WRONG, 0.75),
        "the matter came back, of which a wrong answer is the usual cause",
    ),
    _implicit(
        *("escalated", Signal.ESCALATED, Says.WRONG, 0.65),
        "a person had to take over; some matters need one anyway",
    ),
    _implicit(*("retry", Signal.RETRY, Says.WRONG, 0.65), "asked again: the first was no help"),
    _implicit(
        *("rephrase", Signal.REPHRASE, Says.WRONG, 0.6),
        "misunderstood, or the question was unclear",
    ),
    _implicit(
        *("abandon", Signal.ABANDON, Says.WRONG, 0.55),
        "gave up, or had what was needed",
    ),
    _implicit(
        *("dwell", Signal.DWELL, Says.NOTHING, 0.5),
        "long reading is interest or trouble: it cannot be read alone",
    ),
)
