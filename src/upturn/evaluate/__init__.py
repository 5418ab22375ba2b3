"""Runs candidates on examples: every row ends scored, unscored or failed, none is lost.

DSPy's own evaluator turns an exception into a 0.0 and forgets it; here a failure is a row with a
kind. A row that was already run is never run again in the same process; across processes the answer
cache of the language model does that job.
"""

from __future__ import annotations

from upturn.evaluate.evaluator import Evaluator
from upturn.evaluate.runner import CandidateRunner

__all__ = ["CandidateRunner", "Evaluator"]
