"""The search over a frozen catalogue: sample ids, race on dev, run the finalists on fresh rows."""

from upturn.search.catalogue import Catalogue
from upturn.search.finalists import Reported
from upturn.search.live import Limits
from upturn.search.order import racing_order
from upturn.search.rescore import reported, rescore
from upturn.search.result import Finalist, SearchResult, Trial
from upturn.search.samplers import SAMPLERS
from upturn.search.search import Search, SearchRules
from upturn.search.strategies import STRATEGIES

__all__ = [
    "SAMPLERS",
    "STRATEGIES",
    "Catalogue",
    "Finalist",
    "Limits",
    "Reported",
    "Search",
    "SearchResult",
    "SearchRules",
    "Trial",
    "racing_order",
    "reported",
    "rescore",
]
