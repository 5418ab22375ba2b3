"""What a preflight finds: problems that stop a job, and warnings that do not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from upturn.errors import InputError, UpturnError
from upturn.records import Json


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One problem or warning; the parts are those of an error."""

    what: str
    where: str = ""
    fix: str = ""

    @classmethod
    def of(cls, error: UpturnError) -> Finding:
        """Returns what an error says."""
        return cls(what=error.what, where=error.where, fix=error.fix)

    @property
    def line(self) -> str:
        """One line, with the next step."""
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text} (next: {self.fix})" if self.fix else text

    def to_json(self) -> dict[str, Json]:
        return asdict(self)


def as_error(problems: Iterable[Finding], *, where: str) -> InputError:
    """Returns all problems as one error; the only one as itself."""
    found = tuple(problems)
    if len(found) == 1:
        only = found[0]
        return InputError(only.what, where=only.where or where, fix=only.fix)
    lines = "\n".join(f"  {f.line}" for f in found)
    return InputError(f"{len(found)} problems\n{lines}", where=where)
