"""Whether a yes means that the answer is good: told by what the sender calls the vote.

``user-feedback``, ``thumbs_up`` and ``is correct`` approve; ``is_toxic`` and ``hallucination`` do
not, and neither does a name that says nothing of it, such as ``valid_json``. A vote that is not
known to approve is read by a rule of its own (``name: is_toxic``, ``says: wrong``), or not at all.
"""

from __future__ import annotations

import re
from functools import lru_cache

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
#: Words that make a name approve, and words that turn it round.
_APPROVING = """
accept acceptable accepted accuracy accurate agree answer answered approval approve approved
correct correctness feedback good great helpful helpfulness judgement judgment like liked ok
okay output overall pass passed positive quality rating reaction resolved response right
satisfaction satisfied solved success successful thumb thumbs up upvote useful usefulness
verdict vote
"""
_REVERSING = """
bad dislike disliked down error fail failed failure harmful incorrect negative no not poor
problem reject rejected toxic un unhelpful wrong
"""


@lru_cache(maxsize=4096)  # names come from outside; a sender may invent any number
def approves(name: str | None) -> bool:
    """Whether a vote of this name approves of the answer; one without a name does.

    Args:
        name: what the sender calls the vote, in any spelling: snake, kebab, camel, with blanks.
    """
    if name is None:
        return True
    words = {w.lower() for w in _WORD.findall(name)}
    return bool(words & set(_APPROVING.split())) and words.isdisjoint(_REVERSING.split())
