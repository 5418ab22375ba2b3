"""Loads a bundle as it was measured: the prompt, the shape of the program, and how it is asked."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upturn.errors import CorruptionError, InputError
from upturn.export.bundle import verify
from upturn.export.standalone import PROGRAM
from upturn.programs import Program, Settings
from upturn.records import Candidate
from upturn.weights.adapter import Adapter, load


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A version that is ready to answer.

    Attributes:
        module: the ``dspy.Module`` with the version's instructions and demos, in its shape.
        settings: how it is to be run; ``model`` is a name under ``models`` of its config.
        adapter: the weights that it was measured with; None where it ran on the base alone.
    """

    module: Any
    settings: Settings
    adapter: Adapter | None = None

    def context(self, lm: Any) -> AbstractContextManager[None]:
        """Returns DSPy's context in which the module is asked as it was when it was measured.

        Args:
            lm: a ``dspy.LM`` for the model that the settings name, or the config's where they name
                none; its temperature is replaced where they say another. With an adapter, a model
                that has it on: ``connection.with_weights(loaded.adapter).lm``, or a server's.
        """
        import dspy

        from upturn.lm.adapters import adapter

        temperature = self.settings.temperature
        asked = lm if temperature is None else lm.copy(temperature=temperature)
        return dspy.context(lm=asked, adapter=adapter(self.settings.adapter))


def load_bundle(folder: Path | str, *, root: Path | str | None = None) -> Loaded:
    """Loads an exported version.

    Args:
        folder: what ``export_version`` wrote.
        root: the folder that the program's reference (``programs/x.py:Name``) is relative to; by
            default the program's file in the bundle is taken, or the working folder where the
            bundle has none.

    Raises:
        CorruptionError, StorageError: as ``verify``.
        InputError: the bundle does not name its program.
        ProgramError: the program does not load, or is no longer the one that this version is of.
        ConfigError: a setting that this version of Upturn cannot apply.
    """
    manifest = verify(Path(folder))
    ref = str(manifest.get("facts", {}).get("program", ""))
    if not ref:
        raise InputError(
            "the bundle must name its program (facts.program), and does not",
            where=str(folder),
            fix="make the program yourself, and load program.json into it",
        )
    content = json.loads((Path(folder) / "candidate.json").read_text(encoding="utf-8"))
    built = _program(Path(folder), ref, root).assemble(Candidate.from_json(content))
    named = built.settings.weights
    adapter = None if named is None else load(folder)
    if adapter is not None and adapter.id != named:
        raise CorruptionError(
            f"the bundle must hold adapter {named}, found {adapter.id}",
            where=str(folder),
            fix="remove the folder, then: upturn export PROGRAM@VERSION --out FOLDER",
        )
    return Loaded(module=built.module, settings=built.settings, adapter=adapter)


def _program(folder: Path, ref: str, root: Path | str | None) -> Program:
    own = folder / PROGRAM
    if root is None and own.is_file():
        return Program(f"{PROGRAM}:{ref.partition(':')[2]}", folder)
    return Program(ref, Path(root or "."))
