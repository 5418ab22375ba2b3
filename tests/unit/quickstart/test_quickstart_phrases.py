from __future__ import annotations

import random
import re

from upturn.quickstart.language import mistype
from upturn.quickstart.phrases import expand, load
from upturn.quickstart.world import issues


def test_choices_nest_and_blanks_are_tidy() -> None:
    seen = {expand("a {b {c|d}|e|} , f", random.Random(k)) for k in range(60)}
    assert seen == {"a b c, f", "a b d, f", "a e, f", "a, f"}


def test_every_slot_can_be_filled_and_every_brace_is_closed() -> None:
    language = load("language")
    phrases = [p for i in issues() for p in (*i.says, *i.asks)]
    phrases += [p for k, ps in language.items() if k not in ("words", "names") for p in ps]
    rng = random.Random(0)
    for phrase in phrases:
        texts = {expand(phrase, rng) for _ in range(8)}
        assert not [t for t in texts if re.search(r"[{}<>|]", t)], phrase


def test_mistyping_changes_at_most_two_spots() -> None:
    text = "my parcel has not arrived"
    typed = {mistype(text, random.Random(k)) for k in range(40)}
    assert max(abs(len(t) - len(text)) for t in typed) <= 2
    assert sum(t != text for t in typed) > 30
    assert mistype("12 34", random.Random(0)) == "12 34"
