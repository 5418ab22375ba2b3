"""Reads a bundle back as another machine would: run by its path, in a process without Upturn.

    python -P readback.py BUNDLE ANSWER.json

Writes what the bundle would send for inputs that are ``{field}``: predictor -> chat messages.
Imports nothing of Upturn, so that it can forbid Upturn before anything of the bundle is loaded.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any


def main(folder: str, answer: str) -> None:
    """Loads the program of a bundle and writes its prompts."""
    blocked: Any = None
    sys.modules["upturn"] = blocked  # an import of it fails from here on, as where it is not
    sys.dont_write_bytecode = True  # the folder stays as its manifest says
    sys.path.insert(0, folder)
    bundle: Any = importlib.import_module("bundle")
    adapter, prompts = bundle.adapter(), {}
    for name, predictor in bundle.load().named_predictors():
        holes = {field: f"{{{field}}}" for field in predictor.signature.input_fields}
        prompts[name] = adapter.format(predictor.signature, predictor.demos, holes)
    Path(answer).write_text(json.dumps(prompts), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
