"""Notes: what people wrote about an answer, for proposers that read words.

A note is a comment on one line, cut to its beginning. It was scrubbed where the events were. No
label is made of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from upturn.events.records import Feedback, Purpose
from upturn.privacy.consent import Unstated, may

#: So many notes a row, each of so many characters at most.
MAX_NOTES = 3
MAX_CHARS = 300
# So many are held until it is known whose words count: a flood of comments must not fill memory.
_HELD = 12


class Note(NamedTuple):
    """What one rater wrote."""

    rater: str
    text: str


def note_text(comment: str) -> str:
    """Returns a comment as notes hold it: blanks made single, cut to ``MAX_CHARS``."""
    return " ".join(comment.split())[:MAX_CHARS].rstrip()


def read_notes(feedback: Sequence[Feedback], unstated: Unstated = "allow") -> tuple[Note, ...]:
    """Returns the newest notes on one answer, newest first.

    Args:
        feedback: what was said of it, by time.
        unstated: whether comments that state no consent may be used. One whose consent was stated
            without training is left out: instructions are made of notes.
    """
    found: list[Note] = []
    for f in reversed(feedback):
        text = note_text(f.comment or "")
        if text and may(f.consent, Purpose.TRAIN, unstated):
            found.append(Note(f.rater, text))
        if len(found) == _HELD:
            break
    return tuple(found)


def kept_notes(notes: Iterable[Note], ignored: Collection[str]) -> tuple[str, ...]:
    """Returns the texts of a row's notes: no text twice, and none of raters who are ignored."""
    texts = dict.fromkeys(note.text for note in notes if note.rater not in ignored)
    return tuple(texts)[:MAX_NOTES]
