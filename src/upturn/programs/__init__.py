"""Programs: load ``file.py:Name``, read what may be tuned, apply a candidate, fingerprint.

The only package that knows how DSPy stores a prompt. A program is a ``dspy.Module`` class; its
predictors are what the search may set. The language model is never part of a program: it is passed
by context, so that a candidate is the same on any model.
"""

from __future__ import annotations

from upturn.programs.chat import Chat, Message
from upturn.programs.loading import load_metric, load_object
from upturn.programs.program import Built, PredictorFields, Program
from upturn.programs.settings import Settings

__all__ = [
    "Built",
    "Chat",
    "Message",
    "PredictorFields",
    "Program",
    "Settings",
    "load_metric",
    "load_object",
]
