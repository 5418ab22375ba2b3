"""IP addresses of both versions; those that mean every machine, or this one, name nobody."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from upturn.privacy.detectors.base import Clue, Detector, Span, find_valid
from upturn.privacy.words import is_version

_V4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
_V6 = re.compile(
    r"(?<![\w:.])(?=[0-9a-f:]{0,4}:[0-9a-f:])(?:[0-9a-f]{0,4}:){2,7}"
    r"(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9a-f]{0,4})(?![\w:])",
    re.IGNORECASE,
)


def _find(text: str) -> Iterator[Span]:
    def version_four(match: re.Match[str]) -> bool:
        return _personal(match[0]) and not is_version(text, match.start())

    if "." in text:
        yield from find_valid(_V4, text, version_four)
    if ":" in text:
        yield from find_valid(_V6, text, lambda m: len(m[0]) > 5 and _personal(m[0]))


def _personal(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    # Of version 6, "::" and a word such as "a::b" of a programming language are addresses, too.
    told = address.version == 4 or any(c.isdigit() for c in text)
    return told and not (address.is_loopback or address.is_unspecified or address.is_multicast)


def _normal(text: str) -> str:
    return str(ipaddress.ip_address(text))


DETECTOR = Detector(
    kind="IP", clue=Clue.DOTTED | Clue.COLONS, find=_find, normal=_normal, rank=48, in_ids=True
)
