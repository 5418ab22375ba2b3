"""Credentials and secret query values inside addresses; the rest of the address stays."""

from __future__ import annotations

import re
from collections.abc import Iterator

from upturn.privacy.detectors.base import Clue, Detector, Span

_AUTHORITY = re.compile(r"://(?P<n>[^\s/?#@\"'<>]{1,256}:[^\s/?#\"'<>]{1,256})@")
_QUERY = re.compile(
    r"[?&;#](?:[\w.\-]{0,40}?(?:token|key|secret|sig|signature|password|passwd|pwd|auth|session|"
    r"sessionid|sid|jwt|credential|apikey)|code(?==[^&\s]{16}))=(?P<n>[^&\s#\"'<>;]{4,2048})",
    re.IGNORECASE,
)


def _find(text: str) -> Iterator[Span]:
    if "://" in text:
        for match in _AUTHORITY.finditer(text):
            yield match.span("n")
    if "=" in text:
        for match in _QUERY.finditer(text):
            yield match.span("n")


DETECTOR = Detector(kind="URL_SECRET", clue=Clue.URL, find=_find, normal=str, rank=25, in_ids=True)
