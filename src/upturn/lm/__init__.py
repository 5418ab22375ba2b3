"""Language models behind one seam: local or remote, cached, metered, capped.

``upturn.lm.connect.connect(spec, cache=..., meter=...)`` gives a ``Connection`` whose ``lm`` is a
``dspy.LM``; it has a module of its own because it imports DSPy, and nothing heavy is imported here.
"""

from __future__ import annotations

from upturn.lm.cache import Answer, AnswerCache
from upturn.lm.failures import classify, ours
from upturn.lm.keys import rollout
from upturn.lm.meter import CallRecord, Caps, Meter, Totals
from upturn.lm.spec import ModelSpec

__all__ = [
    "Answer",
    "AnswerCache",
    "CallRecord",
    "Caps",
    "Meter",
    "ModelSpec",
    "Totals",
    "classify",
    "ours",
    "rollout",
]
