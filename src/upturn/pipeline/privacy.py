"""From a config's privacy section to what takes personal data out of events."""

from __future__ import annotations

from pathlib import Path

from upturn.config.data import PrivacySection
from upturn.privacy import Pseudonyms, Scrubber, ScrubRules


def scrubber(section: PrivacySection, root: Path) -> Scrubber | None:
    """Returns what cleans events, or None where the config says that nothing is to be taken out.

    Raises:
        MissingExtraError: names are to be taken out, and the extra is not installed.
        StorageError: the key of the pseudonyms cannot be read or made.
    """
    if not section.scrub:
        return None
    rules = ScrubRules(
        names=section.names,
        keep=tuple(section.keep),
        kinds=None if section.kinds is None else tuple(section.kinds),
    )
    key = root / section.key_file if section.key_file else None
    return Scrubber(rules, Pseudonyms.from_key_file(key))
