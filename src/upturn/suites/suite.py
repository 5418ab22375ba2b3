"""A suite: named rows, each with what is asked and what the answer must fulfil."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from upturn.errors import DataError
from upturn.records import Json, content_hash
from upturn.suites.checks import Check
from upturn.suites.grading import Grade
from upturn.suites.messages import Message

#: What an ordinary row's only answer is called.
COMPLETION = "completion"


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What goes into the program: its inputs, or a text or chat that fills one of them.

    Attributes:
        inputs: input field -> value, where the row names the program's own fields.
        messages: a chat; a plain text is one message of the user's.
    """

    inputs: Mapping[str, Json] | None = None
    messages: tuple[Message, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SuiteRow:
    """One row.

    Attributes:
        id: unique in its suite.
        asks: answer's name -> what is asked for it; one, unless a judge compares several answers.
        checks: all must hold.
        output: the output field that is judged; None for the suite's.
        grade: what a judge is asked about the answers, besides the checks.
        where: file and line.
    """

    id: str
    asks: Mapping[str, Ask]
    checks: tuple[Check, ...] = ()
    output: str | None = None
    grade: Grade | None = None
    where: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Rows under one name; ``source`` is for people."""

    name: str
    rows: tuple[SuiteRow, ...]
    source: str

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all that the rows ask and expect, wherever their file lies."""
        return content_hash(repr(self.rows), length=12)

    @property
    def graded(self) -> bool:
        """Whether a judge is needed."""
        return any(row.grade is not None for row in self.rows)


def open_suite(path: str, root: Path, *, name: str | None = None) -> Suite:
    """Reads a suite.

    Args:
        path: a ``.jsonl`` file, a ``.yaml`` file of an Evals registry, or the name of a suite that
            ships with the package.
        root: what a relative path starts from.
        name: which eval of a registry file; what the suite is called otherwise.

    Raises:
        DataError: no such suite, or what is in it breaks a rule; says file and line.
    """
    from upturn.suites.evals import read_evals
    from upturn.suites.jsonl import read_rows
    from upturn.suites.shipped import shipped, shipped_names

    file = root / Path(path).expanduser()
    if path in shipped_names():
        made = shipped(path, called=name)
    elif file.suffix in (".yaml", ".yml"):
        made = read_evals(file, name=name)
    elif file.suffix == ".jsonl":
        made = Suite(name=name or file.stem, rows=read_rows(file), source=path)
    else:
        raise DataError(
            f"a suite must be a .jsonl file, a .yaml file of a registry, or one of "
            f"{', '.join(shipped_names())}, got {path!r}",
            where="gate.suites",
            fix="docs/suites.md shows each of them",
        )
    _unique(made)
    return made


def _unique(suite: Suite) -> None:
    seen: dict[str, SuiteRow] = {}
    for row in suite.rows:
        if row.id in seen:
            raise DataError(
                f"a row's id must be its own, got {row.id!r} twice ({seen[row.id].where})",
                where=row.where,
                fix="give one of them another id",
            )
        seen[row.id] = row
