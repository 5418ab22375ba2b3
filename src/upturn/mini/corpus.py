"""The training text, read from one JSON file, with the indexes that episodes draw from."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from upturn.errors import DataError
from upturn.mini.unseen import refuse_benchmark

_KEYS = ("tables", "pairs", "spans", "words", "lines", "wiki", "abcd")
_KEYWORDS_PER_CLASS = 14
_LONGEST_DEFINITION = 160  # characters
_WORD_LINES = (12, 4000)  # a word in fewer lines makes no class, in more it says nothing
_LINES_PER_WORD = 400


@dataclass(frozen=True, kw_only=True)
class LabelledClass:
    """A class of a labelled data set: its table, name, descriptions and texts."""

    table: str
    name: str
    descriptions: tuple[str, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Word:
    """A dictionary's entry."""

    word: str
    definition: str
    example: str
    synonyms: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Span:
    """A text that holds a slot's value word by word."""

    text: str
    slot: str
    value: str
    description: str


class Corpus:
    """The training text.

    Args:
        body: ``tables`` (table -> class -> ``desc``, ``texts``), ``pairs`` (utterance, reply),
            ``spans`` (text, slot, value, description), ``words`` (word, definition, example,
            synonyms, part of speech), ``lines``, ``wiki`` and ``abcd`` (plain texts).
        where: what to call it in messages.

    Raises:
        DataError: a key is missing, or it holds classes that measure the model.
    """

    def __init__(self, body: Mapping[str, Any], *, where: str = "corpus") -> None:
        missing = [k for k in _KEYS if k not in body]
        if missing:
            raise DataError(f"a corpus must have {', '.join(missing)}", where=where)
        refuse_benchmark(body["tables"], where=where)
        self.classes = tuple(
            LabelledClass(
                table=table,
                name=name,
                descriptions=tuple(entry["desc"]),
                texts=tuple(entry["texts"]),
            )
            for table, entries in body["tables"].items()
            for name, entry in entries.items()
        )
        self.words = tuple(
            Word(word=w[0], definition=w[1], example=w[2], synonyms=tuple(x for x in w[3] if x))
            for w in body["words"]
            if len(w[1]) < _LONGEST_DEFINITION
        )
        self.pairs: Sequence[tuple[str, str]] = [(u, a) for u, a in body["pairs"]]
        self.spans = tuple(
            Span(text=t, slot=s, value=v, description=d) for t, s, v, d in body["spans"]
        )
        self.lines = self._all_lines(body)

    @classmethod
    def read(cls, path: Path) -> Corpus:
        """Reads ``*.json`` or ``*.json.gz``.

        Raises:
            DataError: absent, not JSON, or not a corpus.
        """
        try:
            raw = path.read_bytes()
            body = json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)
        except (OSError, EOFError, ValueError) as error:
            raise DataError(f"a corpus must be readable JSON: {error}", where=str(path)) from error
        return cls(body, where=str(path))

    @cached_property
    def tables(self) -> dict[str, list[int]]:
        """Table -> indexes of its classes."""
        tables: dict[str, list[int]] = {}
        for k, c in enumerate(self.classes):
            tables.setdefault(c.table, []).append(k)
        return tables

    @cached_property
    def table_lottery(self) -> list[str]:
        """Tables, each as often as the square root of its size says."""
        return [t for t, ks in self.tables.items() for _ in range(1 + math.isqrt(len(ks)))]

    @cached_property
    def vocabulary(self) -> list[str]:
        """Plain short words, for names that mean nothing."""
        return sorted({w.word for w in self.words if re.fullmatch(r"[a-z]{3,12}", w.word)})

    @cached_property
    def slots(self) -> dict[str, list[Span]]:
        """Slot -> its spans."""
        slots: dict[str, list[Span]] = {}
        for span in self.spans:
            slots.setdefault(span.slot, []).append(span)
        return slots

    @cached_property
    def keywords(self) -> list[list[str]]:
        """For each class its words by tf-idf over texts, best first."""
        counts = [
            Counter(w for t in c.texts for w in set(re.findall(r"[a-z']{3,}", t.lower())))
            for c in self.classes
        ]
        classes = Counter(w for count in counts for w in count)
        rarity = {w: math.log(len(counts) / n + 0.1) for w, n in classes.items()}
        return [
            sorted(n, key=lambda w, n=n: (-n[w] * rarity[w], w))[:_KEYWORDS_PER_CLASS]
            for n in counts
        ]

    @cached_property
    def lines_by_word(self) -> dict[str, list[int]]:
        """Word -> up to 400 short lines that hold it. Any such word can make a class."""
        found: dict[str, list[int]] = {}
        for k, line in enumerate(self.lines):
            if len(line) < 140:
                for word in sorted(set(re.findall(r"[a-z']{4,}", line.lower()))):
                    found.setdefault(word, []).append(k)
        low, high = _WORD_LINES
        return {
            w: random.Random(w).sample(ks, min(len(ks), _LINES_PER_WORD))
            for w, ks in sorted(found.items())
            if low <= len(ks) <= high
        }

    @cached_property
    def keys(self) -> list[str]:
        """The words of ``lines_by_word``, sorted."""
        return sorted(self.lines_by_word)

    def _all_lines(self, body: Mapping[str, Any]) -> list[str]:
        lines = [t for t in body["lines"] if 3 <= len(t.split()) <= 40] + list(body["wiki"])
        lines += [t for t in body["abcd"] if len(t) < 300]
        lines += [w[2] for w in body["words"] if w[2]]
        return lines + [t for c in self.classes if not c.table.startswith("sgd") for t in c.texts]


def file_hash(path: Path) -> str:
    """Returns the sha256 of a file's bytes, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
