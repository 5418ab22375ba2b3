"""A YAML file of a registry: a mapping of names, each of its problems with file and line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from upturn.errors import DataError
from upturn.suites.lines import read_text


@dataclass(frozen=True, kw_only=True)
class RegistryFile:
    """A file that was read.

    Attributes:
        path: where it lies.
        text: as it is.
        content: name -> entry.
    """

    path: Path
    text: str
    content: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> RegistryFile:
        """Reads plain YAML; no tag makes an object of it.

        Raises:
            DataError: no such file, no YAML, or no mapping.
        """
        text = read_text(path)
        try:
            content = yaml.safe_load(text)
        except (yaml.YAMLError, RecursionError) as error:
            mark = getattr(error, "problem_mark", None)
            line = f":{mark.line + 1}" if mark else ""
            problem = getattr(error, "problem", None) or type(error).__name__
            raise DataError(f"is not YAML: {problem}", where=f"{path}{line}") from None
        if not isinstance(content, dict) or not content:
            raise DataError("must be a mapping of names, got none", where=str(path))
        return cls(path=path, text=text, content={str(k): v for k, v in content.items()})

    def entry(self, name: str) -> Mapping[str, Any]:
        """Returns the mapping under a name.

        Raises:
            DataError: there is none.
        """
        found = self.content.get(name)
        if not isinstance(found, dict):
            near = difflib.get_close_matches(name, list(self.content), n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise DataError(
                f"must hold the entry {name!r}, has {', '.join(self.content)}{hint}",
                where=str(self.path),
            )
        return {str(k): v for k, v in found.items()}

    def where(self, name: str) -> str:
        """``file:line`` of a key."""
        found = re.search(rf"^\s*['\"]?{re.escape(name)}['\"]?\s*:", self.text, re.MULTILINE)
        line = self.text.count("\n", 0, found.end()) + 1 if found else 1
        return f"{self.path}:{line}"
