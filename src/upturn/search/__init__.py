"""The search over a frozen catalogue: sample ids, race on dev, re-score the finalists."""

from upturn.search.catalogue import Catalogue
from upturn.search.finalists import Finalist
from upturn.search.race import RaceRules
from upturn.search.study import Search, SearchResult, SearchRules, Trial

__all__ = ["Catalogue", "Finalist", "RaceRules", "Search", "SearchResult", "SearchRules", "Trial"]
