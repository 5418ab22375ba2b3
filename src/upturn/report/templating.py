"""The two template environments: markdown, and HTML where user text is always escaped."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from upturn.report import changes, format
from upturn.report.rows import shown

if TYPE_CHECKING:
    from jinja2 import Environment

# What begins a tag or an address in angle brackets; in "p <= 0.05" it is a sign.
_TAG = re.compile("<(?=[A-Za-z/!?])")


def cell(text: object) -> str:
    """Returns a text on one line that cannot leave its markdown table cell, and is neither HTML
    nor a link or a picture: whoever reads it must not ask a stranger's server for one."""
    plain = " ".join(str(text).splitlines()).replace("\\", "\\\\").replace("|", "\\|")
    return _TAG.sub("&lt;", plain).replace("](", "]\\(")


def fence(text: str) -> str:
    """Returns a code fence that the text cannot close."""
    longest = max((len(s) - len(s.lstrip("`")) for s in text.split()), default=0)
    return "`" * max(3, longest + 1)


def _filters() -> dict[str, Callable[..., Any]]:
    return {
        "percent": format.percent,
        "points": format.points,
        "p_value": format.p_value,
        "p_equals": format.p_equals,
        "usd": format.usd,
        "seconds": format.seconds,
        "effect": format.effect,
        "counts": format.counts,
        "staged": format.staged,
        "guard_value": format.guard_value,
        "guard_limit": format.guard_limit,
        "guard_finding": format.guard_finding,
        "patch": changes.as_patch,
        "shown": shown,
        "cell": cell,
        "fence": fence,
    }


@cache
def environment(*, html: bool) -> Environment:
    """Returns the environment for HTML (escapes everything) or for markdown (escapes nothing)."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("upturn.report", "templates"),
        autoescape=html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(_filters())
    return made
