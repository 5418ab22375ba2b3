"""An instruction as pieces: its sentences, and its definition lines ``label: word, word``."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

_BETWEEN_SENTENCES = re.compile(r"(?<=[.!?])\s+(?=[A-Z'\"])")


@dataclass(frozen=True, kw_only=True)
class Wording:
    """What an instruction says.

    Attributes:
        lines: the sentences of each line that is no definition.
        definitions: label -> the words that define it, after all other lines.
    """

    lines: tuple[tuple[str, ...], ...]
    definitions: Mapping[str, tuple[str, ...]]

    @classmethod
    def parse(cls, text: str, labels: Collection[str]) -> Wording:
        """Reads an instruction; a line is a definition where it starts with a label and a colon."""
        lines: list[tuple[str, ...]] = []
        definitions: dict[str, tuple[str, ...]] = {}
        for line in text.split("\n"):
            label, colon, words = line.partition(": ")
            if colon and label in labels and label not in definitions:
                definitions[label] = tuple(words.split(", "))
            else:
                lines.append(tuple(s for s in _BETWEEN_SENTENCES.split(line) if s))
        return cls(lines=tuple(lines), definitions=definitions)

    @property
    def text(self) -> str:
        lines = [" ".join(sentences) for sentences in self.lines]
        lines += [f"{label}: {', '.join(words)}" for label, words in self.definitions.items()]
        return "\n".join(lines)

    @property
    def sentences(self) -> tuple[str, ...]:
        return tuple(s for line in self.lines for s in line)

    def merged(self, other: Wording) -> Wording:
        """Returns this wording, followed by what only the other says; definitions by label."""
        own = set(self.sentences)
        added = tuple(s for s in other.sentences if s not in own)
        last = self.lines[-1] if self.lines else ()
        labels = dict.fromkeys([*self.definitions, *other.definitions])
        return Wording(
            lines=(*self.lines[:-1], (*last, *added)) if added else self.lines,
            definitions={
                label: _union(self.definitions.get(label, ()), other.definitions.get(label, ()))
                for label in labels
            },
        )

    def without(self, dropped: Collection[str]) -> Wording:
        """Returns the wording without some sentences; lines that this empties go too."""
        kept = [tuple(s for s in line if s not in dropped) for line in self.lines]
        pairs = zip(self.lines, kept, strict=True)
        return replace(self, lines=tuple(new for old, new in pairs if new or not old))

    def cut(self, words: int) -> Wording:
        """Returns the wording with at most so many words in a definition; none without words."""
        cut = {label: ws[:words] for label, ws in self.definitions.items()}
        return replace(self, definitions={k: ws for k, ws in cut.items() if ws})


def _union(left: Sequence[str], right: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*left, *right]))
