"""Labelled episodes: few-shot classification drawn at random, so that only the prompt can tell."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from upturn.mini.classes import DrawnClass, draw_classes
from upturn.mini.corpus import Corpus
from upturn.mini.frame import Answer, Episode, Field, Turn, framed
from upturn.mini.names import arbitrary, restyle
from upturn.mini.rules import Rule, RuleKind
from upturn.mini.wording import (
    ADVICE,
    GOALS,
    INPUTS,
    OUTPUTS,
    SECOND_OUTPUTS,
    define,
    touch,
)

_DESCRIPTIONS = ("", "", "", "who should answer", "the best fit", "one of the options")
# (separator, form): mostly the name opens a line, so that its tokens are those of the answer.
_DEFINITION_FORMS = (
    *[("\n", "{}: {}")] * 4,
    ("\n", "- {}: {}"),
    ("\n", "- '{}': {}"),
    (" ", "Use '{}' for {}."),
    ("\n", "{} = {}"),
)
_DEMOS_BY_DEFINITION = (0, 0, 1, 2, 3, 5)
_DEMOS_BY_NAME = (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 16)
_DEMOS_ALONE = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20)
_LEVELS = (["low", "high"], ["low", "normal", "high"], ["no", "yes"], ["negative", "positive"])
_TEXT_LIMIT = 220  # characters


class Naming(StrEnum):
    """What a class's name says of it."""

    REAL = "real"
    ARBITRARY = "any"  # nothing
    SWAPPED = "perm"  # it is another class's name


class Kind(StrEnum):
    """What has to tell the label; accuracy is watched for each."""

    NAMES = "real"
    DEMOS = "dem"
    DEFINITIONS = "def"
    DEFINITIONS_ALONE = "def0"
    BARE = "lite"


@dataclass(frozen=True, kw_only=True)
class Hardness:
    """How far the curriculum has come, each in [0, 1].

    Attributes:
        texts: length of texts, number of classes, share of labelled data and of second fields.
        defined: the same for episodes that definitions alone decide.
    """

    texts: float = 1.0
    defined: float = 1.0


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """The choices that shape one episode."""

    classes: Sequence[DrawnClass]
    names: Sequence[str]
    naming: Naming
    only_definitions: bool
    defined: frozenset[int]
    hardness: float
    bare: bool

    @property
    def kind(self) -> Kind:
        if self.bare:
            return Kind.BARE
        if self.only_definitions:
            return Kind.DEFINITIONS_ALONE
        if self.defined:
            return Kind.DEFINITIONS
        return Kind.NAMES if self.naming is Naming.REAL else Kind.DEMOS

    @property
    def needs_a_demo(self) -> bool:
        return not self.defined and self.naming is not Naming.REAL


def labelled(
    rng: random.Random, corpus: Corpus, hardness: Hardness, *, bare: bool = False
) -> Episode:
    """Draws a classification episode.

    Args:
        rng: where the draw comes from.
        corpus: classes and texts.
        hardness: how hard it may be.
        bare: for the bridging stage: demos decide, names say nothing, no second field.
    """
    only = not bare and rng.random() < 0.33
    hard = hardness.defined if only else hardness.texts
    classes = draw_classes(rng, corpus, hard)
    names, naming = _names(rng, corpus, classes, bare or only)
    defines = only or (not bare and rng.random() < 0.3)
    input_name, output = rng.choice(INPUTS), rng.choice(OUTPUTS)
    goal = rng.choice(GOALS).format(i=input_name, o=output)
    if rng.random() < 0.15:
        goal += " " + rng.choice(ADVICE)
    lines, defined = _definitions(rng, classes, names, every=only) if defines else ("", set())
    plan = _Plan(
        classes=classes,
        names=names,
        naming=naming,
        only_definitions=only,
        defined=frozenset(defined),
        hardness=hard,
        bare=bare,
    )
    fields = [Field(name=output, options=tuple(names), description=rng.choice(_DESCRIPTIONS))]
    rule, told = _second_field(rng, corpus) if _has_second(rng, plan) else (None, False)
    if rule is not None:
        fields.append(Field(name=rule.field, options=rule.values))
    goal += lines + (rule.told(input_name) if rule is not None and told else "")
    turns = _turns(rng, corpus, plan, output, rule, told)
    return framed(kind=plan.kind, input_name=input_name, fields=fields, goal=goal, turns=turns)


def _names(
    rng: random.Random, corpus: Corpus, classes: Sequence[DrawnClass], unknown: bool
) -> tuple[list[str], Naming]:
    """Draws the names; ``unknown`` rules out the real ones."""
    manners = [Naming.ARBITRARY] * 3 + [Naming.SWAPPED]
    naming = rng.choice(manners if unknown else [Naming.REAL, Naming.REAL, *manners])
    if naming is Naming.REAL:
        names = restyle(rng, [c.name for c in classes])
    elif naming is Naming.SWAPPED and len(corpus.classes) >= len(classes):
        names = restyle(rng, [c.name for c in rng.sample(corpus.classes, len(classes))])
    else:
        names = arbitrary(rng, corpus.vocabulary, len(classes))
    # A quote or a semicolon would break the list of options apart.
    if len(set(names)) < len(names) or any("'" in x or ";" in x for x in names):
        return arbitrary(rng, corpus.vocabulary, len(classes)), Naming.ARBITRARY
    return names, naming


def _definitions(
    rng: random.Random, classes: Sequence[DrawnClass], names: Sequence[str], *, every: bool
) -> tuple[str, set[int]]:
    """Returns the lines that define the classes, in any order, and which are defined."""
    separator, form = rng.choice(_DEFINITION_FORMS)
    partly = rng.random() < 0.2 and not every
    text, defined = "", set[int]()
    for k in rng.sample(range(len(classes)), len(classes)):
        if partly and rng.random() < 0.4:
            continue
        c = classes[k]
        example = c.draw() if rng.random() < 0.3 else None
        meaning = define(
            rng,
            names[k],
            keywords=c.keywords,
            descriptions=c.descriptions,
            example=example,
        )
        text += separator + form.format(names[k], meaning)
        defined.add(k)
    return text, defined


def _has_second(rng: random.Random, plan: _Plan) -> bool:
    return not plan.bare and rng.random() < 0.22 * plan.hardness


def _second_field(rng: random.Random, corpus: Corpus) -> tuple[Rule, bool]:
    """Returns a second field's rule, and whether the instruction tells it."""
    field = rng.choice(SECOND_OUTPUTS)
    kind = rng.choice([RuleKind.QUESTION, RuleKind.LENGTH, *[RuleKind.KEYWORD] * 2, RuleKind.DIGIT])
    values = rng.choice([*_LEVELS, None]) or arbitrary(rng, corpus.vocabulary, rng.randint(2, 3))
    values = rng.sample(values, len(values))
    if kind is not RuleKind.KEYWORD:
        values = values[:2]
    told = rng.random() < 0.65
    words = dict(zip(values[1:], rng.sample(corpus.keys, len(values) - 1), strict=True))
    return Rule(field=field, kind=kind, values=tuple(values), words=words), told


def _turns(
    rng: random.Random,
    corpus: Corpus,
    plan: _Plan,
    output: str,
    rule: Rule | None,
    told: bool,
) -> list[Turn]:
    """Draws demos and the asked turn, and marks what the prompt so far can tell."""
    turns: list[Turn] = []
    seen: set[int] = set()
    seen_values: set[str] = set()
    for y in _order(rng, plan):
        touched = rng.random() < plan.hardness
        text = plan.classes[y].draw()
        text = (touch(rng, text, corpus.lines) if touched else text)[:_TEXT_LIMIT]
        answers = [Answer(field=output, value=plan.names[y], learnable=_tells(plan, y, seen))]
        if rule is not None:
            text = _with_evidence(rng, corpus, rule, text)
            value = rule.value(text)
            learnable = told or value in seen_values
            answers.append(Answer(field=rule.field, value=value, learnable=learnable))
            seen_values.add(value)
        turns.append(Turn(text=text, answers=tuple(answers)))
        seen.add(y)
    return turns


def _order(rng: random.Random, plan: _Plan) -> list[int]:
    """Draws the class of each demo and, last, of the asked turn."""
    n = len(plan.classes)
    known = bool(plan.defined) or plan.naming is Naming.REAL
    counts = _DEMOS_BY_NAME if known else _DEMOS_ALONE
    count = rng.choice(_DEMOS_BY_DEFINITION if plan.only_definitions else counts)
    if rng.random() < 0.5:
        order = [rng.randrange(n) for _ in range(count)]
    else:  # each class once before any comes twice
        order = (list(range(n)) + [rng.randrange(n) for _ in range(count)])[:count]
    rng.shuffle(order)
    asked = rng.choice(order) if order and plan.needs_a_demo else rng.randrange(n)
    return [*order, asked]


def _tells(plan: _Plan, y: int, seen: set[int]) -> bool:
    if plan.only_definitions:
        return y not in seen  # what a demo showed is no exercise in reading definitions
    return plan.naming is Naming.REAL or y in plan.defined or y in seen


def _with_evidence(rng: random.Random, corpus: Corpus, rule: Rule, text: str) -> str:
    """Adds to a text what makes the rule's rarer values come up."""
    if rule.kind is RuleKind.QUESTION:
        return text.rstrip(".!?") + "?" if rng.random() < 0.3 else text
    if rule.kind is not RuleKind.KEYWORD:
        return text
    wanted = rng.choice(rule.values)
    if wanted not in rule.words:
        return text
    word = rule.words[wanted]
    line = corpus.lines[rng.choice(corpus.lines_by_word[word])]
    if rng.random() < 0.3:
        return f"{text} {word}"
    return f"{text}. {line}" if rng.random() < 0.6 else f"{line} {text}"
