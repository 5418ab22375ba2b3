"""A megabyte of any hostile shape takes the scrubber time in proportion to its length."""

from __future__ import annotations

import time

import pytest

from upturn.privacy import Pseudonyms, Scrubber, ScrubRules


@pytest.fixture(scope="module")
def scrubber() -> Scrubber:
    return Scrubber(ScrubRules(), Pseudonyms(b"a key for tests, 32 bytes of it."))


HOSTILE = (
    *("a", "1", "1 ", "0", "@", "a@", "1.1.", "1:", "eyJabcdefgh1.", "key is ", "password=1"),
    *("-----BEGIN PRIVATE KEY-----", "DE89 ", "(at)", "<EMAIL:", "https://a:b1", "?token=1&"),
    *("0049 ", "4111 ", "12345678Z ", "my password for ", "1/1/", "call 555 123 4567, "),
)


@pytest.mark.parametrize("shape", HOSTILE)
def test_a_hostile_megabyte_takes_linear_time(scrubber, shape):
    def seconds(size: int) -> float:
        text = (shape * (size // len(shape) + 1))[:size]
        start = time.process_time()
        scrubber.text(text)
        return time.process_time() - start

    small = max(seconds(62_500), 1e-3)
    # Linear is 16 times as long, quadratic 256 times.
    assert seconds(1_000_000) / small < 60
