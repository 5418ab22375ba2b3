"""Elsewhere, by a command of the user's: Slurm, SkyPilot, Modal, ssh.

The command gets the job's folder, runs ``python -m upturn.finetune.worker`` on it wherever it
wants, waits for the end, and leaves ``events.jsonl`` and ``final/`` in that folder.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Formatter

from upturn.errors import ConfigError
from upturn.finetune.folder import JobFolder
from upturn.finetune.launch.base import GuardedProcess, Running
from upturn.finetune.records import WorkOrder

PLACEHOLDERS = ("folder", "name")


@dataclass(frozen=True, kw_only=True)
class CommandLauncher:
    """Runs a command from a template. Implements ``Launcher``.

    Attributes:
        template: the words of the command, such as ``["sbatch", "--wait", "train.sh",
            "{folder}"]``; no shell reads it. ``{{`` is a brace.
    """

    template: Sequence[str]

    def __post_init__(self) -> None:
        fill(self.template, {"folder": "FOLDER", "name": "NAME"})

    def start(self, folder: JobFolder, order: WorkOrder, *, lock: int) -> Running:
        """Starts the command.

        Raises:
            ConfigError: its first word is no program here.
        """
        command = fill(self.template, {"folder": str(folder.path), "name": order.spec.name})
        if shutil.which(command[0]) is None and not Path(command[0]).is_file():
            raise ConfigError(
                f"must start with a program that can be run here, got {command[0]!r}",
                where="command",
                fix=f"which {command[0]}",
            )
        return GuardedProcess(command, log=folder.log, lock=lock)


def fill(template: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """Returns the words of a command.

    Raises:
        ConfigError: it is empty, holds an unknown placeholder, or does not say which job it is for.
    """
    used: set[str] = set()
    words: list[str] = []
    for word in template:
        names = _placeholders(word)
        for name in names:
            if name not in PLACEHOLDERS:
                known = ", ".join(f"{{{p}}}" for p in PLACEHOLDERS)
                raise ConfigError(
                    f"placeholders are {known}, got {{{name}}} in {word!r}",
                    where="command",
                    fix="write {{ and }} for braces that are meant as such",
                )
        used |= set(names)
        words.append(word.format(**values))
    if not words or not used:
        raise ConfigError(
            f"must be a list of words with {{folder}} or {{name}} in one, got {list(template)}",
            where="command",
            fix='command: ["sbatch", "--wait", "train.sh", "{folder}"]',
        )
    return words


def _placeholders(word: str) -> list[str]:
    """Names of a word's placeholders; one with a format or a conversion counts with it."""
    try:
        parts = list(Formatter().parse(word))
    except ValueError as error:
        raise ConfigError(
            f"braces must be closed, got {word!r} ({error})", where="command"
        ) from None
    return [
        name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
        for _, name, form, conversion in parts
        if name is not None
    ]
