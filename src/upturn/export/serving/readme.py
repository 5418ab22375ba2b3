"""The README of an export: the two lines that start it, what was checked, what was not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from upturn.export.serving.base import Check, Source, Start, Target
from upturn.export.serving.manifest import not_checked
from upturn.records import Json

_TEMPLATE = """\
# {title}: adapter `{adapter}` on `{base}`

```sh
{lines}
```

{then}
{notes}
## Checked when this was written

| check | measured | allowed |
|---|---|---|
{checks}
{measured}
## Not checked

{unchecked}

`manifest.json` has the sha256 of every file.{card}
"""


def readme(
    source: Source,
    target: Target,
    start: Start,
    checks: Sequence[Check],
    measured: Mapping[str, Json],
) -> str:
    """Returns the README as markdown. Differences are shares of the largest logit."""
    return _TEMPLATE.format(
        title=target.title,
        adapter=source.adapter_id,
        base=source.base_id,
        lines="\n".join(start.lines),
        then=_then(start),
        notes="".join(f"\n- {note}" for note in start.notes) + ("\n" if start.notes else ""),
        checks="\n".join(f"| {c.check} | {c.value:.2g} | {c.tolerance:.2g} |" for c in checks),
        measured=_measured(measured),
        unchecked="\n".join(f"- {line}" for line in not_checked(source, target)) or "- nothing",
        card=" `card.json` is the adapter's card." if source.card else "",
    )


def base_line(source: Source) -> str:
    """Returns the shell line that says where the base is."""
    if source.base_name == "upturn-mini":
        return "BASE=\"$(python -c 'from upturn import mini; print(mini.weights_dir())')\""
    return f"BASE=/path/to/{source.base_name}   # the folder of {source.base_id}"


def _then(start: Start) -> str:
    if not start.url:
        return "Run both lines in this folder."
    return (
        f"Run both lines in this folder. Then `python smoke.py` asks {start.url} one question; "
        "another address goes behind it."
    )


def _measured(measured: Mapping[str, Json]) -> str:
    lines = {
        "difference": "Largest difference of the logits from base and adapter in fp32: {:.2g}.",
        "rounding": "Of that, casting merged weights alone makes {:.2g}.",
        "weight_rounding": "A merged weight was rounded by {:.2g} at most.",
        "same_token": "The likeliest token is the same at {:.4f} of the positions compared.",
    }
    said = [text.format(measured[name]) for name, text in lines.items() if name in measured]
    return f"\n{' '.join(said)}\n" if said else ""
