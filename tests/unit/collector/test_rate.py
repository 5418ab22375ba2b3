"""The rate limit, on a clock of its own."""

import pytest

from upturn.collector.limits import Limits
from upturn.collector.rate import RateLimit
from upturn.collector.replies import RefusedError


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_empties_and_fills_again():
    clock = Clock()
    rate = RateLimit(Limits(rate_per_s=10, burst=20), clock=clock)
    rate.take("a", 20)
    with pytest.raises(RefusedError) as error:
        rate.take("a", 15)
    assert (error.value.status, error.value.retry_after_s) == (429, 2)
    rate.take("b", 20)  # another token has a bucket of its own
    clock.now += 1.5
    rate.take("a", 15)
    with pytest.raises(RefusedError) as error:
        rate.take("a", 1)
    assert error.value.retry_after_s == 1


def test_a_body_larger_than_the_bucket_leaves_a_debt():
    clock = Clock()
    rate = RateLimit(Limits(rate_per_s=10, burst=20), clock=clock)
    rate.take("a", 50)
    clock.now += 2.9
    with pytest.raises(RefusedError):
        rate.take("a", 1)
    clock.now += 0.2
    rate.take("a", 1)
