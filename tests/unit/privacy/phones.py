"""Telephone numbers as people of four countries write them."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.unit.privacy.items import NBSP, THIN, digits, groups


def phone(rng: random.Random, language: str) -> str:
    made: dict[str, Callable[[random.Random], str]] = {
        "en": _phone_en,
        "de": _phone_de,
        "fr": _phone_fr,
        "es": _phone_es,
    }
    return made[language](rng)


def _phone_en(rng: random.Random) -> str:
    if rng.random() < 0.5:
        a, b, c = str(rng.randint(201, 989)), str(rng.randint(200, 999)), digits(rng, 4)
        form = rng.choice(
            (
                "({}) {}-{}",
                "{}-{}-{}",
                "{}.{}.{}",
                "{} {} {}",
                "+1 {} {} {}",
                "+1-{}-{}-{}",
                "1-{}-{}-{}",
                "+1 ({}) {}-{}",
                "+1{}{}{}",
                "({}){}-{}",
                "001 {} {} {}",
                "+1.{}.{}.{}",
                "({}) {} {}",
            )
        )
        return form.format(a, b, c)
    rest = digits(rng, 6)
    form = rng.choice(
        (
            "07{x}{y} {r}",
            "07{x}{y}{r}",
            "+44 7{x}{y} {r}",
            "+447{x}{y}{r}",
            "0044 7{x}{y} {r}",
            "+44 (0)7{x}{y} {r}",
            "020 7{x} {s} {t}",
            "(020) 7{x} {s}{t}",
            "0161 4{x} {t}",
            "(0161) 4{x}-{t}",
            "01632 {r}",
            "+44 20 7{x} {s}{t}",
        )
    )
    return (
        form.format(
            x=digits(rng, 2),
            y=digits(rng, 1),
            r=rest,
            s=digits(rng, 2) if "020" in form else digits(rng, 1),
            t=digits(rng, 4),
        )
        if "020" not in form and "+44 20" not in form
        else form.format(x=digits(rng, 3), y="", r=rest, s="", t=digits(rng, 4)).replace("  ", " ")
    )


def _phone_de(rng: random.Random) -> str:
    area = rng.choice(("171", "176", "1512", "30", "89", "221", "6221", "40", "157", "351"))
    number = digits(rng, rng.choice((7, 8)))
    number = str(rng.randint(2, 9)) + number[1:]
    if rng.random() < 0.12:
        pairs = groups(number, (2, 2, 2), " ")
        return rng.choice((f"0{area} / {pairs}", f"+49 {area} {pairs}", f"0 {area} {number}"))
    half = len(number) // 2
    split = f"{number[:half]} {number[half:]}"
    form = rng.choice(
        (
            "0{a} {n}",
            "0{a}/{n}",
            "0{a}-{n}",
            "0{a}{n}",
            "+49 {a} {n}",
            "+49{a}{n}",
            "0049 {a} {n}",
            "+49 (0){a} {s}",
            "+49 (0) {a} {n}",
            "0{a} / {s}",
            "(0{a}) {n}",
            "+49-{a}-{n}",
            "0{a} {s}",
            "+49/{a}/{n}",
            "0{a}.{n}",
            "0{a} - {n}",
        )
    )
    return form.format(a=area, n=number, s=split)


def _phone_fr(rng: random.Random) -> str:
    number = rng.choice("1234567") + digits(rng, 8)
    if rng.random() < 0.1:
        triples = groups(number, (3, 3), " ")
        return rng.choice((f"0{triples}", f"+33.{number[0]}.{groups(number[1:], (2, 2, 2), '.')}"))
    by = rng.choice((" ", ".", "-", "", NBSP, THIN, " "))
    pairs = groups(number[1:], (2, 2, 2, 2), by)
    form = rng.choice(
        (
            "0{f}{b}{p}",
            "+33 {f}{b}{p}",
            "+33{f}{b}{p}",
            "0033 {f}{b}{p}",
            "+33 (0){f}{b}{p}",
            "0{f}{b}{p}",
        )
    )
    return form.format(f=number[0], b=by, p=pairs)


def _phone_es(rng: random.Random) -> str:
    number = (
        rng.choice("67") + digits(rng, 8)
        if rng.random() < 0.7
        else "9" + str(rng.randint(1, 8)) + digits(rng, 7)
    )
    sizes = rng.choice(((3, 3, 3), (3, 2, 2, 2), (2, 3, 2, 2) if number[0] == "9" else (3, 3, 3)))
    written = groups(number, sizes, rng.choice((" ", "-", " ", NBSP)))
    return rng.choice(("{}", "{}", "+34 {}", "0034 {}", "(+34) {}", "+34-{}")).format(written)
