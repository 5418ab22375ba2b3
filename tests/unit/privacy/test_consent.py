"""What may be used for what."""

from __future__ import annotations

import pytest

from upturn.errors import ConfigError
from upturn.events import Purpose
from upturn.privacy import may


@pytest.mark.parametrize(
    ("consent", "purpose", "unstated", "allowed"),
    [
        ((Purpose.TRAIN, Purpose.EVALUATE), Purpose.TRAIN, "deny", True),
        ((Purpose.EVALUATE,), Purpose.TRAIN, "allow", False),
        (("evaluate",), "evaluate", "deny", True),
        ((), Purpose.EVALUATE, "allow", False),
        (None, Purpose.TRAIN, "allow", True),
        (None, Purpose.TRAIN, "deny", False),
    ],
)
def test_consent_decides_where_it_was_stated(consent, purpose, unstated, allowed):
    assert may(consent, purpose, unstated) is allowed


def test_what_does_not_exist_is_refused():
    with pytest.raises(ConfigError, match="got 'sell'"):
        may((), "sell")
    with pytest.raises(ConfigError, match="got 'maybe'"):
        may((), "train", "maybe")  # pyright: ignore[reportArgumentType]
