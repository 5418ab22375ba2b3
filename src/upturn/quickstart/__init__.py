"""A seeded production log of a support desk, for the first run and for tests.

``generate(seed, answer)`` writes what customers of a maker of coffee machines ask, has ``answer``
answer it, and lets agents and customers react. ``python -m upturn.quickstart --out PATH`` does that
with the embedded model. Nothing downstream knows that the log was generated.
"""

from __future__ import annotations

from upturn.quickstart.generate import END, REQUESTS, Answerer, generate, write_messages

__all__ = ["END", "REQUESTS", "Answerer", "generate", "write_messages"]
