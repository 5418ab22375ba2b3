"""Suites: rows that a challenger must pass whole, or to a stated share.

A metric says how good a program is on average; a suite says what must never break. Its rows need no
label, only checks of what came out. They come from JSON lines, from a registry in the format of
OpenAI's Evals, or with the package (``safety``).
"""

from __future__ import annotations

from upturn.suites.binding import Bound, Filling, bind
from upturn.suites.judge import Judge
from upturn.suites.result import RowResult, SuiteResult
from upturn.suites.running import ANSWERS, run_suite
from upturn.suites.shipped import shipped_names
from upturn.suites.suite import Suite, open_suite

__all__ = [
    "ANSWERS",
    "Bound",
    "Filling",
    "Judge",
    "RowResult",
    "Suite",
    "SuiteResult",
    "bind",
    "open_suite",
    "run_suite",
    "shipped_names",
]
