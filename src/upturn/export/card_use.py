"""The part of a card that says how a version is used: alone, or from Python with Upturn."""

from __future__ import annotations

import json
from collections.abc import Mapping

from upturn.programs import Settings
from upturn.records import Json
from upturn.tracking.versions import RegisteredVersion
from upturn.weights.adapter import CARD, CONFIG

_ALONE = """\
```sh
pip install -r requirements.txt  # in an environment of its own, outside this folder
python predict.py {model}'{example}'
python predict.py {model}< inputs.jsonl > answers.jsonl
```

Each answer is one JSON line; a line that failed is `{{"error": "…"}}`. Exit code 0: all answered;
1: a call failed, or its answer could not be read; 2: a bad input, or no model.

{which}
`PREDICT_API_BASE` names an OpenAI-compatible server, `PREDICT_API_KEY` its key; a provider's own
key never goes to a server that is named this way.

It is asked as it was measured: {asked}.
Where `bundle.py` can be imported:

```python
program = bundle.load()
with bundle.context("openai/NAME"):
    program(...)
```

"""
_MEASURED = (
    "`{model}` is asked, the model that it was measured on, unless `--model` or\n"
    "`PREDICT_MODEL` names another."
)
_USE = """\
{begin}```python
program = ...  # the program's class{ref}, made anew
program.load("program.json")
```"""
# The state alone would run as the program was written, which is not what was measured.
_USE_SETTINGS = """\
{begin}It was measured with these settings, which `program.json` does not hold:

{settings}

```python
from upturn.export import load_bundle

version = load_bundle("this/folder"{root})
with version.context(lm):
    version.module(...)
```"""
_USE_WEIGHTS = """

Prompt and weights were measured together and belong together. The adapter's files lie in this
folder as PEFT reads them; the base is `{base}`, and on another one they load and answer wrongly.

```python
lm = connection.with_weights(version.adapter).lm  # connection: upturn.lm.connect.connect(...)

from peft import PeftModel  # or without Upturn: any LoRA loader

model = PeftModel.from_pretrained(base_model, "this/folder")
```"""
_WITH_DSPY, _WITH_UPTURN = "Or with DSPy alone:\n\n", "Or with Upturn. "


def use(found: RegisteredVersion, ref: str, run: Mapping[str, Json]) -> str:
    """Returns the section.

    Args:
        found: the version.
        ref: the program's reference, in brackets, or "".
        run: how ``predict.py`` runs it; empty where the bundle has none.
    """
    settings = Settings.of(found.candidate).lines
    alone = _alone(run) if run else ""
    if not settings:
        return alone + _USE.format(begin=_WITH_DSPY if run else "", ref=ref)
    text = alone + _USE_SETTINGS.format(
        begin=_WITH_UPTURN if run else "",
        settings="\n".join(f"- {line}" for line in settings),
        root="" if run else ', root="the/folder/of/the/program"',
    )
    if CONFIG not in found.files:
        return text
    base = json.loads(found.files[CARD]).get("base_id", "unknown")
    return text + _USE_WEIGHTS.format(base=base)


def _alone(run: Mapping[str, Json]) -> str:
    asked = [f"{name} {value:g}" for name, value in run["lm"].items()]
    shape = {"cot": "every predictor reasons first", "predict": "no predictor reasons first"}
    asked += [f"DSPy's {run['adapter']}", *filter(None, [shape.get(str(run["module"]))])]
    example = json.dumps(dict.fromkeys(run["inputs"], "…"), ensure_ascii=False)
    return _ALONE.format(
        model="" if run["model"] else "--model openai/NAME ",
        example=example,
        which=_MEASURED.format(model=run["model"]) if run["model"] else run["why"],
        asked=", ".join(asked),
    )
