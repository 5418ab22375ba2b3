"""Check digits, on the examples that their authorities publish."""

from __future__ import annotations

import pytest

from upturn.privacy import checks


@pytest.mark.parametrize(
    ("number", "good"),
    [("4111111111111111", True), ("4111111111111112", False), ("378282246310005", True)],
)
def test_luhn(number, good):
    assert checks.luhn(number) is good


@pytest.mark.parametrize(
    ("number", "issued"),
    [
        ("4111111111111111", True),
        ("2720991234567890", True),
        ("378282246310005", True),
        ("36148900647913", True),
        ("1111111111111111", False),
        ("411111111111111", False),
    ],
)
def test_card_brand(number, issued):
    assert checks.card_brand(number) is issued


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("GB29NWBK60161331926819", True),
        ("DE89370400440532013000", True),
        ("FR1420041010050500013M02606", True),
        ("GB29NWBK60161331926818", False),
        ("DE8937040044053201300", False),
        ("XX89370400440532013000", False),
    ],
)
def test_iban(text, good):
    assert checks.iban(text) is good


@pytest.mark.parametrize(
    ("digits", "good"),
    [("86095742719", True), ("47036892816", True), ("86095742718", False), ("01234567891", False)],
)
def test_german_tax_id(digits, good):
    assert checks.german_tax_id(digits) is good


def test_french_nir():
    assert checks.french_nir("1841276451089", "46")
    assert not checks.french_nir("1841276451089", "47")


@pytest.mark.parametrize(
    ("text", "good"), [("12345678Z", True), ("X1234567L", True), ("12345678A", False)]
)
def test_spanish_id(text, good):
    assert checks.spanish_id(text) is good
