"""Who writes when: customers in bursts, over working days and hours."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

WEEKS = 8
#: How busy the hours of a day (UTC) are.
_HOURS = (1, 1, 0, 0, 0, 1, 3, 6, 10, 12, 12, 11, 9, 10, 11, 11, 10, 8, 7, 8, 9, 7, 4, 2)
#: How busy Saturday and Sunday are beside a working day.
_WEEKEND = 0.45


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One request to come: whose, when, and the number of the matter that it is about."""

    user: str
    time: datetime
    matter: int


def visits(count: int, end: datetime, rng: random.Random) -> list[Visit]:
    """Returns ``count`` visits of the ``WEEKS`` weeks before ``end``, by time.

    Most customers have two to seven requests within ten days or so; one in eight stays for weeks.
    About a quarter of a customer's requests come back to their matter before.
    """
    start = end - timedelta(weeks=WEEKS)
    names = [f"cust-{k:04d}" for k in range(1, count + 1)]
    rng.shuffle(names)
    out: list[Visit] = []
    while len(out) < count:
        times = _customer_times(start, end, rng)[: count - len(out)]
        out += _matters(names.pop(), times, rng)
    return sorted(out, key=lambda v: (v.time, v.user))


def _customer_times(start: datetime, end: datetime, rng: random.Random) -> list[datetime]:
    stays = rng.random() < 0.12
    wanted = rng.randint(4, 11) if stays else rng.choice([1, 2, 3, 3, 4, 4, 5, 6, 7])
    first = start + timedelta(days=rng.uniform(-4, WEEKS * 7 - 0.5))
    span = WEEKS * 7 if stays else rng.uniform(3, 11)
    times = (_at_work(first + timedelta(days=rng.uniform(0, span)), rng) for _ in range(wanted))
    return sorted(t for t in times if start <= t < end)


def _at_work(moment: datetime, rng: random.Random) -> datetime:
    """Moves a moment to a likely hour of its day, and most of Saturday and Sunday to Monday."""
    if moment.weekday() >= 5 and rng.random() > _WEEKEND:
        moment += timedelta(days=7 - moment.weekday())
    hour = rng.choices(range(24), _HOURS)[0]
    return moment.replace(
        hour=hour, minute=rng.randrange(60), second=rng.randrange(60), microsecond=0
    )


def _matters(user: str, times: list[datetime], rng: random.Random) -> list[Visit]:
    matter = 0
    out: list[Visit] = []
    for time in times:
        matter += not out or rng.random() > 0.25
        out.append(Visit(user=user, time=time, matter=matter))
    return out
