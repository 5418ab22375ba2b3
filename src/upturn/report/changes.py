"""What a challenger changes in the prompts, predictor by predictor."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from upturn.records import Candidate, Json, PromptState, canonical_json

Mark = Literal[" ", "+", "-"]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a diff."""

    mark: Mark
    text: str


@dataclass(frozen=True, kw_only=True)
class Change:
    """One predictor's change.

    Attributes:
        predictor: its name.
        instruction: the diff; empty where the instruction is the same.
        added, removed: demos, in the order of the prompt.
        kept: how many demos are in both.
    """

    predictor: str
    instruction: tuple[Line, ...]
    added: tuple[dict[str, Json], ...]
    removed: tuple[dict[str, Json], ...]
    kept: int

    @property
    def is_empty(self) -> bool:
        return not (self.instruction or self.added or self.removed)


def changes(champion: Candidate, challenger: Candidate) -> list[Change]:
    """Returns the predictors that differ, in the program's order."""
    blank = PromptState(instruction="")
    found = [
        _change(name, champion.states.get(name, blank), state)
        for name, state in challenger.states.items()
    ]
    return [c for c in found if not c.is_empty]


def setting_changes(champion: Candidate, challenger: Candidate) -> list[str]:
    """Returns a line for each setting that differs, such as ``weights: none -> 0123456789ab``."""
    names = sorted({*champion.settings, *challenger.settings})
    pairs = [(n, champion.settings.get(n), challenger.settings.get(n)) for n in names]
    return [f"{n}: {_named(n, a)} -> {_named(n, b)}" for n, a, b in pairs if a != b]


def _named(name: str, value: Json) -> str:
    as_is = "none" if name == "weights" else "as configured"
    return as_is if value is None else str(value)


def _change(name: str, old: PromptState, new: PromptState) -> Change:
    old_keys = {canonical_json(dict(d)) for d in old.demos}
    new_keys = {canonical_json(dict(d)) for d in new.demos}
    return Change(
        predictor=name,
        instruction=_diff(old.instruction, new.instruction),
        added=tuple(dict(d) for d in new.demos if canonical_json(dict(d)) not in old_keys),
        removed=tuple(dict(d) for d in old.demos if canonical_json(dict(d)) not in new_keys),
        kept=len(old_keys & new_keys),
    )


def _diff(old: str, new: str) -> tuple[Line, ...]:
    if old == new:
        return ()
    lines = difflib.ndiff(old.splitlines(), new.splitlines())
    return tuple(Line(mark=_mark(s), text=s[2:]) for s in lines if s[0] != "?")


def _mark(line: str) -> Mark:
    return "+" if line[0] == "+" else "-" if line[0] == "-" else " "


def as_patch(lines: Sequence[Line]) -> str:
    """Returns a diff as text, one marked line each."""
    return "\n".join(f"{line.mark} {line.text}".rstrip() for line in lines)
