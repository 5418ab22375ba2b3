"""The card of an exported version: what it is, how good, on what it rests, what it cannot do."""

from __future__ import annotations

from collections.abc import Mapping

from upturn.records import Json
from upturn.tracking.versions import RegisteredVersion

_TEMPLATE = """\
# {program}, version {version}

A state of the DSPy program `{program}`{ref}: instructions and demos for {predictors}, candidate
`{candidate}`. It holds no weights and no key.

## Score

{score}

## Lineage

{lineage}

## Use

```python
program = ...  # the program's class{ref}, made anew
program.load("program.json")
```

`manifest.json` holds the sha256 of every file, `report.json` the whole decision.

## Limits

{limits}
"""


def card(found: RegisteredVersion) -> str:
    """Returns the card as markdown. Scores are fractions."""
    program_ref = found.manifest.get("facts", {}).get("program", "")
    return _TEMPLATE.format(
        program=found.program,
        version=found.version,
        ref=f" (`{program_ref}`)" if program_ref else "",
        predictors=", ".join(f"`{name}`" for name in found.candidate.states),
        candidate=found.candidate.id,
        score=_score(found.report),
        lineage=_lineage(found),
        limits=_limits(found.report),
    )


def _score(report: Mapping[str, Json]) -> str:
    if report.get("effect") is None:
        return (
            "Never judged by a gate: this is the program as it was written, or as it was adopted."
        )
    numbers = {k: float(report[k]) for k in ("challenger_score", "baseline_score", "effect")}
    return (
        f"{numbers['challenger_score']:.3f} on {report['n']} holdout rows in {report['groups']} "
        f"groups, where the champion before it had {numbers['baseline_score']:.3f}: "
        f"{numbers['effect']:+.3f}, {report['confidence']:.4g} interval {report['low']:+.3f} to "
        f"{report['high']:+.3f}. Verdict {report['verdict']} at look {report['look']}, "
        f"one-sided p = {report['p_value']:.4g}, allowed {report['alpha']:.4g} ({report['test']})."
    )


def _lineage(found: RegisteredVersion) -> str:
    facts = dict(found.manifest.get("facts", {}))
    lines = [f"- turn: `{found.turn}`"]
    if found.report.get("holdout"):
        lines.append(f"- holdout: `{found.report['holdout']}`")
    lines += [f"- {name}: `{value}`" for name, value in sorted(facts.items())]
    lines += [f"- {name}: `{choice}`" for name, choice in found.candidate.choices.items()]
    return "\n".join(lines)


def _limits(report: Mapping[str, Json]) -> str:
    lines = [
        "- The score holds for this model and for requests like the holdout's; another model",
        "  needs another turn.",
        "- Demos are rows of the feedback that it was made from: they may hold users' texts.",
    ]
    for guard in report.get("guards", ()):
        if guard["note"].startswith("not judged"):
            lines.append(f"- {guard['name']}: {guard['note']}.")
    return "\n".join(lines)
