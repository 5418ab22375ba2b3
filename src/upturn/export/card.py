"""The card of an exported version: what it is, how good, on what it rests, what it cannot do."""

from __future__ import annotations

import json
from collections.abc import Mapping

from upturn.programs import Settings
from upturn.records import Json
from upturn.tracking.versions import RegisteredVersion
from upturn.weights.adapter import CARD, CONFIG

_TEMPLATE = """\
# {program}, version {version}

A state of the DSPy program `{program}`{ref}: instructions and demos for {predictors}, candidate
`{candidate}`. {holds}

## Score

{score}

## Lineage

{lineage}

## Use

{use}

`manifest.json` holds the sha256 of every file, `report.json` the whole decision.

## Limits

{limits}
"""

_USE = """\
```python
program = ...  # the program's class{ref}, made anew
program.load("program.json")
```"""
# The state alone would run as the program was written, which is not what was measured.
_USE_SETTINGS = """\
It was measured with these settings, which `program.json` does not hold:

{settings}

```python
from upturn.export import load_bundle

version = load_bundle("this/folder", root="the/folder/of/the/program")
with version.context(lm):
    version.module(...)
```"""


_HOLDS = "It holds no weights and no key."
_HOLDS_WEIGHTS = "It holds the weights of a LoRA adapter, not those of its base, and no key."
_USE_WEIGHTS = """

Prompt and weights were measured together and belong together. The adapter's files lie in this
folder as PEFT reads them; the base is `{base}`, and on another one they load and answer wrongly.

```python
lm = connection.with_weights(version.adapter).lm  # connection: upturn.lm.connect.connect(...)

from peft import PeftModel  # or without Upturn: any LoRA loader

model = PeftModel.from_pretrained(base_model, "this/folder")
```"""


def card(found: RegisteredVersion) -> str:
    """Returns the card as markdown. Scores are fractions.

    Raises:
        ConfigError: the version has a setting that nothing here can apply.
    """
    program_ref = found.manifest.get("facts", {}).get("program", "")
    ref = f" (`{program_ref}`)" if program_ref else ""
    return _TEMPLATE.format(
        program=found.program,
        version=found.version,
        ref=ref,
        predictors=", ".join(f"`{name}`" for name in found.candidate.states),
        candidate=found.candidate.id,
        holds=_HOLDS_WEIGHTS if CONFIG in found.files else _HOLDS,
        score=_score(found.report),
        lineage=_lineage(found),
        use=_use(found, ref),
        limits=_limits(found.report),
    )


def _use(found: RegisteredVersion, ref: str) -> str:
    settings = Settings.of(found.candidate).lines
    if not settings:
        return _USE.format(ref=ref)
    use = _USE_SETTINGS.format(settings="\n".join(f"- {line}" for line in settings))
    if CONFIG not in found.files:
        return use
    base = json.loads(found.files[CARD]).get("base_id", "unknown")
    return use + _USE_WEIGHTS.format(base=base)


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
