"""Masks what looks like a secret before it is logged. A last line: configs should hold none."""

from __future__ import annotations

import re

MASK = "***"
# key: value or key=value, where the key's last word says that the value is a secret.
_ASSIGNED = re.compile(
    r"(?im)(?P<key>(?:^|[\s{,\"'])[\w.\-]*(?:api[_-]?key|secret|password|passwd|token|authorization)"
    r"[\"']?\s*[:=]\s*)(?P<value>[^\s#].*)$"
)
_SHAPES = re.compile(
    r"\b(?:sk-[\w\-]{8,}|hf_\w{8,}|gh[pousr]_\w{8,}|AKIA[0-9A-Z]{12,}|Bearer\s+[\w.\-]{8,})"
)
_CREDENTIALS = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.\-]*://)[^\s/@]+@")


def redact(text: str) -> str:
    """Returns the text with secrets masked: by key name, by known shape, and inside URLs."""
    text = _ASSIGNED.sub(lambda m: m["key"] + MASK, text)
    text = _CREDENTIALS.sub(lambda m: m["scheme"] + MASK + "@", text)
    return _SHAPES.sub(MASK, text)
