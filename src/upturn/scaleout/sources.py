"""The user's files as text: what a node needs to run a program that lies on another machine."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from upturn.errors import ProgramError


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Files by their path below the root.

    Attributes:
        texts: path with forward slashes -> the file's text.
    """

    texts: Mapping[str, str]

    @classmethod
    def read(cls, root: Path, refs: Sequence[str]) -> Sources:
        """Reads the files of some ``file.py:Name`` references.

        Raises:
            ProgramError: a file is missing, unreadable, or outside the root.
        """
        return cls(texts={name: _text(root, name) for name in sorted(map(file_name, refs))})

    @contextmanager
    def unpacked(self) -> Generator[Path]:
        """Yields a folder that holds the files while they are imported; nothing is left behind."""
        with TemporaryDirectory(prefix="upturn-") as folder:
            for name, text in self.texts.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            yield Path(folder)


def file_name(ref: str) -> str:
    """Returns the file of a ``file.py:Name`` reference."""
    return ref.partition(":")[0]


def _text(root: Path, name: str) -> str:
    path = (root / name).resolve()
    if not path.is_relative_to(root.resolve()):
        raise ProgramError(
            f"a file that is sent to other nodes must lie below {root}, and {name} does not",
            where=name,
            fix="move the file into the project",
        )
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProgramError(f"the file must be readable text ({error})", where=name) from error
