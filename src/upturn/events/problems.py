"""Collects what is wrong with data, so that one error can name it all."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from upturn.errors import DataError
from upturn.records import Json

SHOWN = 20  # problems that one error lists; the rest are counted


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One broken rule: the file, the line (1 is the first), the field, the rule, the value."""

    file: str
    line: int
    field: str
    rule: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"

    @property
    def text(self) -> str:
        return f"{self.field} {self.rule}" if self.field else self.rule


class Problems:
    """A growing list of problems; it keeps the first ``SHOWN`` and counts the rest."""

    def __init__(self) -> None:
        self.total = 0
        self._shown: list[Problem] = []

    def add(self, file: str, line: int, field: str, rule: str) -> None:
        self.total += 1
        if len(self._shown) < SHOWN:
            self._shown.append(Problem(file=file, line=line, field=field, rule=rule))

    def raise_if_any(self) -> None:
        """Raises one error for all problems.

        Raises:
            DataError: at least one problem was added.
        """
        if self.total:
            raise self._error()

    def _error(self) -> DataError:
        first = self._shown[0]
        place = f"{first.file}:{first.line}"
        show = f"zcat {first.file} | sed -n" if first.file.endswith(".gz") else "sed -n"
        name = "" if first.file.endswith(".gz") else f" {first.file}"
        fix = f"mend it ({show} '{first.line}p'{name} shows it) and type the same again"
        if self.total == 1:
            return DataError(first.text, where=place, fix=fix)
        cut = f", the first {SHOWN} shown" if self.total > SHOWN else ""
        lines = "\n".join(f"  {p}" for p in self._shown)
        return DataError(
            f"every line must keep the rules, {self.total} problems found{cut}\n{lines}",
            where=first.file,
            fix="mend the named lines (the format: docs/native-format.md) and type the same again",
        )


def found(value: Json) -> str:
    """Returns a value as an error shows it, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def one_of(allowed: Iterable[str], value: Json) -> str:
    """Returns the rule that a value breaks by being none of the allowed ones, with a suggestion."""
    names = list(allowed)
    listed = ", ".join(names[:12]) + (f", … ({len(names)} in all)" if len(names) > 12 else "")
    return f"must be one of {listed}; got {found(value)}{did_you_mean(value, names)}"


def did_you_mean(value: Json, names: Iterable[str]) -> str:
    """Returns ``"; did you mean X?"`` for the nearest name, or ``""`` where none is near."""
    near = nearest(value, names)
    return f"; did you mean {near}?" if near else ""


def nearest(value: Json, names: Iterable[str]) -> str | None:
    """Returns the name most like a value, or None where none is near; case does not count."""
    lower = {n.lower(): n for n in names}
    near = difflib.get_close_matches(str(value).lower(), list(lower), n=1, cutoff=0.6)
    return lower[near[0]] if near else None
