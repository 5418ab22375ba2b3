"""What a person reads: the decision, the ten-second summary, the page, the figure of the search.

Percent and percentage points exist here only; everything below works on fractions.
"""

from upturn.report.decision import render_decision
from upturn.report.document import Document, Origin, document
from upturn.report.page import render_page
from upturn.report.summary import summary_text
from upturn.report.turn import TurnCost, TurnReport

__all__ = [
    "Document",
    "Origin",
    "TurnCost",
    "TurnReport",
    "document",
    "render_decision",
    "render_page",
    "summary_text",
]
