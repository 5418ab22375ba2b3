"""E-mail addresses, also with the at sign and the dots spelled out in brackets."""

from __future__ import annotations

import re
from collections.abc import Iterator

from upturn.privacy.detectors.base import Clue, Detector, Span

# Found from the at sign outwards: so a megabyte without one costs nothing.
_AT = re.compile(
    r"[@\uff20]|[ \t]?[\[({][ \t]?(?:at|@|arroba|chez)[ \t]?[\])}][ \t]?", re.IGNORECASE
)
_LOCAL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~\-]{1,64}\Z")
_DOT = r"(?:\.|[ \t]?[\[({][ \t]?(?:dot|punkt|point|punto)[ \t]?[\])}][ \t]?)"
_DOMAIN = re.compile(
    rf"[^\W_](?:[\w\-]{{0,62}}){_DOT}(?:[\w\-]{{1,63}}{_DOT}){{0,6}}[^\W\d_]{{2,24}}", re.IGNORECASE
)
_IP_DOMAIN = re.compile(r"\[\d{1,3}(?:\.\d{1,3}){3}\]")
_SPELLED_DOT = re.compile(r"\s*[\[({]\s*(?:dot|punkt|point|punto)\s*[\])}]\s*", re.IGNORECASE)
_OPENING = "\"'`{|}/=?&#*!$%^~"


def _find(text: str) -> Iterator[Span]:
    last = 0
    for at in _AT.finditer(text):
        before = text[max(last, at.start() - 64) : at.start()]
        local = _LOCAL.search(before)
        domain = _DOMAIN.match(text, at.end()) or _IP_DOMAIN.match(text, at.end())
        if local is None or domain is None:
            continue
        name = local[0].lstrip(_OPENING).lstrip(".-")
        if not name or name.endswith("."):
            continue
        yield at.start() - len(name), domain.end()
        last = domain.end()


def _normal(text: str) -> str:
    """Lower case, with signs for words."""
    address = _SPELLED_DOT.sub(".", text)
    at = _AT.search(address)
    if at is None:
        return address.lower()
    return f"{address[: at.start()]}@{address[at.end() :]}".lower()


DETECTOR = Detector(kind="EMAIL", clue=Clue.AT, find=_find, normal=_normal, rank=30, in_ids=True)
