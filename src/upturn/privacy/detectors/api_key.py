"""Keys and tokens that tell by their shape: providers' prefixes, JSON web tokens, bearer tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator

from upturn.privacy.detectors.base import Clue, Detector, Span, find_valid

_W = r"[A-Za-z0-9_\-]"
_SHAPES = (
    rf"sk-(?:proj-|ant-|or-v1-|svcacct-)?{_W}{{16,200}}",  # OpenAI, Anthropic, OpenRouter
    r"(?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]{16,128}",  # Stripe
    r"whsec_[A-Za-z0-9+/]{16,64}",
    r"gh[pousr]_[A-Za-z0-9]{30,255}",  # GitHub
    r"github_pat_\w{22,255}",
    rf"gl(?:pat|ptt|dt|rt)-{_W}{{16,64}}",  # GitLab
    r"xox[abeoprs]-[A-Za-z0-9\-]{10,250}",  # Slack
    r"(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA)[A-Z0-9]{16}",  # AWS
    rf"AIza{_W}{{35}}",  # Google
    rf"ya29\.{_W}{{20,300}}",
    r"hf_[A-Za-z0-9]{20,64}",
    r"npm_[A-Za-z0-9]{36}",
    rf"pypi-{_W}{{16,250}}",
    rf"SG\.{_W}{{16,32}}\.{_W}{{16,64}}",  # SendGrid
    r"key-[0-9a-f]{32}",  # Mailgun
    r"(?:AC|SK)[0-9a-f]{32}",  # Twilio
    r"do[opr]_v1_[0-9a-f]{64}",
    r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}",
    r"(?:gsk|r8|lin_api|glsa|nvapi|pplx|tvly|sntrys|dckr_pat|secret)[_\-]" + rf"{_W}{{20,200}}",
    r"\d{8,10}:[A-Za-z0-9_\-]{35}",  # Telegram
    rf"eyJ{_W}{{8,4096}}\.{_W}{{8,8192}}(?:\.{_W}{{0,4096}})?",  # JSON web token
)
_PATTERN = re.compile(rf"(?<![A-Za-z0-9_\-])(?:{'|'.join(_SHAPES)})(?!\w)")
_BEARER = re.compile(
    r"\b(?:bearer|basic)[ \t]{1,3}(?P<n>[A-Za-z0-9._~+/\-]{16,4096}={0,2})", re.IGNORECASE
)


def _find(text: str) -> Iterator[Span]:
    yield from find_valid(_PATTERN, text, lambda m: any(c.isdigit() for c in m[0]))
    yield from find_valid(_BEARER, text, lambda m: any(c.isdigit() for c in m["n"]), "n")


DETECTOR = Detector(
    kind="API_KEY", clue=Clue.LONG_WORD, find=_find, normal=str, rank=20, in_ids=True
)
