"""Check digits: what tells a number that means a person from a number that means an order."""

from __future__ import annotations

from collections import Counter

#: Country -> length of its IBANs (ISO 13616 registry).
IBAN_LENGTHS = {
    **{"AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22},
    **{"BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28},
    **{"EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23},
    **{"GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26},
    **{"IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20},
    **{"LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30},
    **{"NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22},
    **{"SA": 24, "SC": 31, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23},
    **{"TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20},
}
_CONTROL = "TRWAGMYFPDXBNJZSQVHLCKE"  # Spanish control letters, by remainder of 23


def luhn(digits: str) -> bool:
    """Tells whether a card number's last digit checks the others (ISO/IEC 7812-1)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def card_brand(digits: str) -> bool:
    """Tells whether first digits and length are those of a payment card that is issued."""
    length, two, four = len(digits), int(digits[:2]), int(digits[:4])
    if digits[0] == "4":
        return length in (16, 19)
    if 51 <= two <= 55 or 2221 <= four <= 2720:
        return length == 16
    if two in (34, 37):
        return length == 15
    if two in (36, 38) or 300 <= int(digits[:3]) <= 305:
        return length == 14
    if 3528 <= four <= 3589 or four == 6011 or two == 65 or 644 <= int(digits[:3]) <= 649:
        return length == 16
    return (two == 62 and length >= 16) or (two in (50, 56, 57, 58, 63, 67) and length >= 16)


def iban(text: str) -> bool:
    """Tells whether an IBAN without blanks, in capitals, has its country's length and mod 97."""
    if len(text) != IBAN_LENGTHS.get(text[:2], 0):
        return False
    turned = text[4:] + text[:4]
    return int("".join(str(int(c, 36)) for c in turned)) % 97 == 1


def german_tax_id(digits: str) -> bool:
    """Tells whether eleven digits are a Steuer-ID: one digit repeats, ISO 7064 MOD 11,10 holds."""
    if digits[0] == "0":
        return False
    repeats = sorted(n for n in Counter(digits[:10]).values() if n > 1)
    if repeats not in ([2], [3]):
        return False
    product = 10
    for digit in digits[:10]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(digits[10])


def french_nir(number: str, key: str) -> bool:
    """Tells whether a French social security number (13 places) has this key."""
    places = number.upper().replace("2A", "19").replace("2B", "18")
    return places.isdigit() and 97 - int(places) % 97 == int(key)


def spanish_id(text: str) -> bool:
    """Tells whether a DNI or NIE in capitals, without dashes, ends in its control letter."""
    number = {"X": "0", "Y": "1", "Z": "2"}.get(text[0], text[0]) + text[1:-1]
    return _CONTROL[int(number) % 23] == text[-1]
