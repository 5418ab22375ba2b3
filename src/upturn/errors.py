"""Every error that Upturn raises on purpose.

    UpturnError                 exit 1   something we did not foresee, or our own invariant
    ├── InputError              exit 2   the user or the machine can mend it; no traceback is shown
    │   ├── ConfigError                  a configs/*.yaml or an override
    │   ├── DataError                    a line, field or value of a log, or too few rows
    │   ├── ProgramError                 the program file, its name or its signature
    │   ├── MetricError                  the metric raised, or returned what is no score
    │   ├── ModelError                   the model cannot be loaded, reached or used
    │   ├── StorageError                 disk full, read-only, locked, or made by another version
    │   │   └── CorruptionError          content does not match its hash
    │   ├── TrainingError                a fine-tune job ended without an adapter
    │   └── MissingExtraError            an optional dependency is not installed
    ├── BudgetExceededError     exit 2   a cap on calls, money or time was reached
    ├── OutageError             exit 2   the model could not be reached in mid-run
    └── StoppedError            exit 130 somebody stopped a fine-tune job; it can go on

A message has three parts: the rule that must hold with the value that was found (``what``), where
(``where``: a file, a line, a key), and the command to type next (``fix``).
"""

from __future__ import annotations


class UpturnError(Exception):
    """Base of every error raised on purpose.

    Args:
        what: the rule that must hold and the value found, e.g. ``"n_trials must be >= 1, got 0"``.
        where: file, file:line or dotted key; empty where there is none.
        fix: what to type or change next; empty where the rule says it all.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}\n  next: {self.fix}" if self.fix else text


class InputError(UpturnError):
    """Something the user, or whoever owns the machine, can mend."""

    exit_code = 2


class ConfigError(InputError):
    """A config or an override breaks a rule. Lists all problems at once."""


class DataError(InputError):
    """A log, a label or a split breaks a rule."""


class ProgramError(InputError):
    """The program cannot be loaded, or is not something Upturn can optimize."""


class MetricError(InputError):
    """The metric raised, or returned something that is not a finite score."""


class ModelError(InputError):
    """The model cannot be loaded, reached or used."""


class StorageError(InputError):
    """A file or folder cannot be read, written or locked."""


class CorruptionError(StorageError):
    """Stored content does not match the hash that names it."""


class TrainingError(InputError):
    """A fine-tune job ended without an adapter; its last whole checkpoint stands."""


class MissingExtraError(InputError):
    """An optional dependency is missing.

    Args:
        extra: the extra to install, e.g. ``"local"``.
        needed_for: what was asked for.
    """

    def __init__(self, extra: str, needed_for: str) -> None:
        super().__init__(
            f"{needed_for} needs the optional dependencies [{extra}], which are not installed",
            fix=f"pip install 'upturn[{extra}]'",
        )


class BudgetExceededError(UpturnError):
    """A cap on calls, money or wall time was reached; what was paid for is kept."""

    exit_code = 2


class OutageError(UpturnError):
    """The model could not be reached in mid-run: the turn cannot conclude, and scores nothing."""

    exit_code = 2


class StoppedError(UpturnError):
    """Somebody stopped a fine-tune job in mid-run: it wrote a checkpoint and can go on."""

    exit_code = 130
