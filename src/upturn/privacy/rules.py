"""What a scrubber takes out."""

from __future__ import annotations

from dataclasses import dataclass

from upturn.errors import ConfigError
from upturn.privacy.detectors import all_detectors


@dataclass(frozen=True, kw_only=True)
class ScrubRules:
    """The rules of a scrubber.

    Attributes:
        kinds: only these kinds, such as ``("EMAIL", "PHONE")``; None for all.
        names: take names of persons out too; needs the extra [names].
        languages: of the texts, for names.
        keep: items that stay, such as ``("support@example.com",)``; ``"@example.com"`` keeps all
            addresses of a domain. Compared without case.

    Raises:
        ConfigError: a kind does not exist.
    """

    kinds: tuple[str, ...] | None = None
    names: bool = False
    languages: tuple[str, ...] = ("en",)
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        known = [d.kind for d in all_detectors()]
        for kind in self.kinds or ():
            if kind not in known:
                raise ConfigError(f"a kind must be one of {', '.join(sorted(known))}, got {kind!r}")

    def keeps(self, item: str) -> bool:
        """Tells whether an item stays as it is."""
        low = item.lower()
        return any(low == k or (k[0] == "@" and low.endswith(k)) for k in self._kept)

    @property
    def _kept(self) -> list[str]:
        return [k.lower() for k in self.keep if k]
