"""Episodes of the evaluation: classes the model never saw, drawn anew for every row."""

from __future__ import annotations

import json
import math
import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from upturn.errors import DataError
from upturn.mini.frame import Answer, Episode, Field, Turn, framed
from upturn.mini.rules import Rule, RuleKind, keyword_rule

INPUT, FIRST, SECOND = "message", "team", "priority"
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_LEVELS = (("low", "high"), ("low", "normal", "high"), ("no", "yes"), ("negative", "positive"))
_TEXT_LIMIT = 260  # characters
_WORDS_PER_CLASS = 4


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell of the table.

    Attributes:
        real: real class names, else arbitrary codes such as K7.
        defined: whether the instruction lists four keywords for each class.
        demos: demonstrations in the prompt, spread evenly over the classes.
        ways: classes to choose from.
        fields: 1, or 2 with a second field whose rule the instruction tells.
    """

    real: bool
    defined: bool
    demos: int
    ways: int
    fields: int = 1


class Benchmark:
    """Texts by class, with the keywords that set each class apart.

    Args:
        texts: class name -> texts; every class needs more than 16 texts per way to draw from.
    """

    def __init__(self, texts: dict[str, list[str]]) -> None:
        self.texts = texts
        self.labels = sorted(texts)
        self.words = _keywords(texts)
        self._vocabulary = sorted({w for ws in self.words.values() for w in ws if len(w) > 3})

    @classmethod
    def read(cls, path: Path) -> Benchmark:
        """Reads lines with ``text`` and ``intent``.

        Raises:
            DataError: the file is absent or empty, or a line is no such object.
        """
        if not path.is_file():
            raise DataError("the evaluation data must exist", where=str(path))
        texts: dict[str, list[str]] = {}
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            label, text = _row(line, f"{path}:{number}")
            texts.setdefault(label, []).append(text.replace("\n", " ").strip())
        if len(texts) < 2:
            raise DataError(f"at least 2 classes are needed, got {len(texts)}", where=str(path))
        return cls(texts)

    def episodes(self, cell: Cell, *, rows: int, seed: int) -> list[Episode]:
        """Draws the rows of a cell; cells with one and with two fields hold the same texts.

        Raises:
            DataError: there are fewer classes than ways.
        """
        if cell.ways > len(self.labels):
            raise DataError(f"ways must be <= {len(self.labels)} classes, got {cell.ways}")
        first, second = random.Random(seed), random.Random(seed + 1)
        return [self._episode(cell, first, second) for _ in range(rows)]

    def _episode(self, cell: Cell, rng: random.Random, rule_rng: random.Random) -> Episode:
        labels = rng.sample(self.labels, cell.ways)
        names = labels if cell.real else _codes(rng, cell.ways)
        picked = self._texts(rng, labels, cell)
        fields = [Field(name=FIRST, options=tuple(names))]
        goal = self._goal(cell, labels, names)
        rows = [(text, (Answer(field=FIRST, value=names[y]),)) for text, y in picked]
        if cell.fields == 2:
            rule = self._rule(rule_rng, {text for text, _ in picked})
            fields.append(Field(name=SECOND, options=rule.values))
            goal += rule.told(INPUT)
            rows = [_with_second(rule_rng, rule, *row) for row in rows]
        turns = [Turn(text=text, answers=answers) for text, answers in rows]
        kind = "benchmark"
        return framed(kind=kind, input_name=INPUT, fields=fields, goal=goal, turns=turns)

    def _texts(
        self, rng: random.Random, labels: Sequence[str], cell: Cell
    ) -> list[tuple[str, int]]:
        order = [k % cell.ways for k in range(cell.demos)]
        rng.shuffle(order)
        order.append(rng.randrange(cell.ways))
        picked: list[tuple[str, int]] = []
        used: set[str] = set()
        for y in order:
            text = rng.choice([t for t in self.texts[labels[y]] if t not in used])
            used.add(text)
            picked.append((text[:_TEXT_LIMIT], y))
        return picked

    def _goal(self, cell: Cell, labels: Sequence[str], names: Sequence[str]) -> str:
        if not cell.defined:
            outputs = ", ".join(f"`{f}`" for f in (FIRST, SECOND)[: cell.fields])
            return f"Given the fields `{INPUT}`, produce the fields {outputs}."
        lines = (
            f"\n{n}: {', '.join(self.words[label])}" for n, label in zip(names, labels, strict=True)
        )
        return f"Route the {INPUT} to the right {FIRST}." + "".join(lines)

    def _rule(self, rng: random.Random, texts: set[str]) -> Rule:
        values = rng.choice(_LEVELS)
        values = tuple(rng.sample(values, len(values)))
        kind = rng.choice([RuleKind.QUESTION, RuleKind.DIGIT, RuleKind.KEYWORD, RuleKind.KEYWORD])
        if kind is not RuleKind.KEYWORD:
            return Rule(field=SECOND, kind=kind, values=values[:2], words={})
        seen = " ".join(texts).lower()
        fresh = [w for w in self._vocabulary if w not in seen]
        return keyword_rule(SECOND, values, rng.sample(fresh, len(values) - 1))


def _with_second(
    rng: random.Random, rule: Rule, text: str, answers: tuple[Answer, ...]
) -> tuple[str, tuple[Answer, ...]]:
    """Adds the second answer, and to a keyword's text the word: half of the values need one."""
    if rule.kind is RuleKind.KEYWORD:
        wanted = rng.choice(rule.values)
        text = f"{text} {rule.words[wanted]}" if wanted in rule.words else text
    elif rule.kind is RuleKind.DIGIT and rng.random() < 0.4:
        text = f"{text} {rng.randint(2, 9)}"
    return text, (*answers, Answer(field=rule.field, value=rule.value(text)))


def _codes(rng: random.Random, count: int) -> list[str]:
    letters, numbers = rng.sample(_LETTERS, count), rng.sample(range(1, 100), count)
    return [f"{letter}{number}" for letter, number in zip(letters, numbers, strict=True)]


def _keywords(texts: dict[str, list[str]]) -> dict[str, list[str]]:
    """Returns each class's keywords by tf-idf over texts; ties go by the alphabet."""
    counts = {
        label: Counter(w for t in rows for w in set(re.findall(r"[a-z']{3,}", t.lower())))
        for label, rows in texts.items()
    }
    classes = Counter(w for count in counts.values() for w in count)
    rarity = {w: math.log(len(texts) / n + 0.1) for w, n in classes.items()}
    return {label: _heaviest(count, rarity) for label, count in counts.items()}


def _heaviest(count: Counter[str], rarity: dict[str, float]) -> list[str]:
    ranked = sorted(count, key=lambda word: (-count[word] * rarity[word], word))
    return ranked[:_WORDS_PER_CLASS]


def _row(line: str, where: str) -> tuple[str, str]:
    try:
        row = json.loads(line)
        return str(row["intent"]), str(row["text"])
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(
            f'a line must be {{"text": …, "intent": …}}, got {line[:80]!r}', where=where
        ) from error
