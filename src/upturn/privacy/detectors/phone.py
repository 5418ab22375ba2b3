"""Telephone numbers: international, and as they are written in North America, Britain, Germany,
France and Spain; any number after a word that says telephone.

A number alone says little, so a national form counts by its grouping and by the last telling word
before it: what follows *order* or *invoice* is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from upturn.privacy.detectors.base import Clue, Detector, Span, digits_of, find_valid
from upturn.privacy.words import said_before

_S = r"[ \t\u00a0\u2009\u202f.\-\u2010\u2011\u2013/]"  # between two groups
_G = r"[ \t\u00a0\u2009\u202f.\-\u2010\u2011\u2013/()]"  # the same, or a bracket
_HEAD = r"(?<![\w+])(?<!\d[.,\-/])"
_TAIL = r"(?![\w])(?![.,\-/]\d)"

_INTERNATIONAL = re.compile(
    rf"(?<![\w+])(?:\(?\+|(?<!\d[ .,\-/])\(?00){_G}{{0,2}}[1-9](?:{_G}{{0,3}}\d){{6,14}}(?!\w)"
)
_NANP = re.compile(
    rf"{_HEAD}(?:1{_S})?(?:\([2-9]\d\d\){_S}{{0,2}}\d{{3}}{_S}?|"
    rf"[2-9]\d\d(?P<s>[ .\-/\u2011\u00a0])\d{{3}}(?P=s)|"
    rf"[2-9]\d\d[ /]{{1,3}}\d{{3}}[\-.])\d{{4}}{_TAIL}"
)
_TRUNK = re.compile(rf"{_HEAD}\(?0[1-9](?:{_G}{{0,3}}\d){{6,11}}{_TAIL}")  # a leading zero
_SPAIN = re.compile(
    rf"{_HEAD}(?:[6-9]\d\d(?P<s>[ .\-\u00a0\u2011])"
    rf"(?:\d{{3}}(?P=s)\d{{3}}|\d\d(?P=s)\d\d(?P=s)\d\d)"
    rf"|\(?9\d\)?(?P<t>[ .\-\u00a0\u2011])\d{{3}}(?P=t)\d\d(?P=t)\d\d){_TAIL}"
)
_SAID = re.compile(rf"(?<![\w+])(?<!\d[.,])\(?\d(?:{_G}{{0,3}}\d){{6,12}}{_TAIL}")

_DATE = re.compile(
    r"\(?(?:(?:19|20)\d\d[.\-/ ](?:0?[1-9]|1[0-2])[.\-/ ]\d{1,2}(?!\d)"
    r"|(?:0?[1-9]|[12]\d|3[01])(?P<s>[.\-/ ])(?:0?[1-9]|1[0-2])(?P=s)(?:(?:19|20)\d\d|\d\d)(?!\d))"
)
_MONEY = re.compile(
    r"[ \t\u00a0]?(?:€|\$|£|eur|usd|gbp|euros?|dollars?|pesos|x\b|stück|pcs|units)", re.I
)
_PAIRS = re.compile(r"\(?0[1-9]\)?([ .\-\u00a0\u202f\u2011/]?)\d\d(?:\1\d\d){3}\Z")
#: Calling codes of one and of two digits; every other code has three.
_ONE = frozenset("17")
_TWO = frozenset(
    map(
        str,
        (
            *(20, 27, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49, 51, 52, 53),
            *(54, 55, 56, 57, 58, 60, 61, 62, 63, 64, 65, 66, 81, 82, 84, 86, 90, 91, 92, 93, 94),
            *(95, 98),
        ),
    )
)


def _international(text: str, match: re.Match[str]) -> bool:
    written = match[0].replace("(0)", "")
    digits = digits_of(written)
    zeros = "+" not in match[0]
    digits = digits[2:] if zeros else digits
    code = digits[:1] if digits[:1] in _ONE else digits[:2] if digits[:2] in _TWO else digits[:3]
    if not 8 <= len(digits) <= 15 or (code == "1" and not re.match(r"1[2-9]\d{9}\Z", digits)):
        return False
    return not zeros or (len(digits) >= 9 and said_before(text, match.start()) != "order")


def _national(text: str, match: re.Match[str]) -> bool:
    if said_before(text, match.start()) == "order" or _is_date(match[0]):
        return False
    return _MONEY.match(text, match.end()) is None


def _trunk(text: str, match: re.Match[str]) -> bool:
    if not 8 <= len(digits_of(match[0])) <= 13 or said_before(text, match.start()) == "order":
        return False
    if _PAIRS.match(match[0]):
        return True
    said = said_before(text, match.start()) == "phone"
    # 074.585.864 is an article's number: telephones have two groups with dots, or pairs.
    if match[0].count(".") > 1 and not said:
        return False
    # In one piece a leading zero is not enough for nine digits and less.
    if match[0].isdigit() and not said and len(match[0]) not in (10, 11, 12):
        return False
    return not _is_date(match[0]) and _MONEY.match(text, match.end()) is None


def _spain(text: str, match: re.Match[str]) -> bool:
    # 612.345.678 is how Spain and Germany write six hundred millions.
    dotted = (match["s"] or "") == "." and len(match[0].split(".")) == 3
    if dotted and said_before(text, match.start()) != "phone":
        return False
    return _national(text, match)


def _said(text: str, match: re.Match[str]) -> bool:
    return said_before(text, match.start()) == "phone" and not _is_date(match[0])


def _is_date(text: str) -> bool:
    return _DATE.match(text) is not None


_FORMS: tuple[tuple[re.Pattern[str], Callable[[str, re.Match[str]], bool]], ...] = (
    (_INTERNATIONAL, _international),
    (_NANP, _national),
    (_TRUNK, _trunk),
    (_SPAIN, _spain),
    (_SAID, _said),
)


def _find(text: str) -> Iterator[Span]:
    for pattern, valid in _FORMS:
        yield from find_valid(pattern, text, lambda m, valid=valid: valid(text, m))


def _normal(text: str) -> str:
    """Digits; ``+`` for an international one, however it was written."""
    digits = digits_of(text.replace("(0)", ""))
    if "+" in text:
        return f"+{digits}"
    return f"+{digits[2:]}" if digits.startswith("00") else digits


DETECTOR = Detector(
    kind="PHONE", clue=Clue.NUMBER, find=_find, normal=_normal, rank=50, in_ids=True
)
