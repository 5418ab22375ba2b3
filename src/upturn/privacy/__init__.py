"""Privacy: what must not be stored is taken out, and what was agreed to is asked for."""

from upturn.privacy.consent import may
from upturn.privacy.detectors import all_detectors
from upturn.privacy.pseudonyms import MARK, Pseudonyms, default_key_file
from upturn.privacy.rules import ScrubRules
from upturn.privacy.scrubber import Scrubber

__all__ = [
    "MARK",
    "Pseudonyms",
    "ScrubRules",
    "Scrubber",
    "all_detectors",
    "default_key_file",
    "may",
]
