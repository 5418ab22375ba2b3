"""How fast fresh holdout rows come in, from the labelled rows of the weeks before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from statistics import median

from upturn.datasets import Snapshot, week_of
from upturn.records import Json
from upturn.report.data_card_source import EVIDENCE, evidence_from_json

#: Most weeks that the present rate is read from: enough that three odd ones do not move a median.
_WEEKS = 8
#: Fewer whole weeks than this have no median worth the name.
_MIN_WEEKS = 3
#: So many empty weeks in a row end what was collected before; a new collection began after them.
_GAP_WEEKS = 3
#: Fewer labelled rows, or fewer days, tell no rate.
_MIN_ROWS = 20
_MIN_DAYS = 3.0


def rows_per_day(snapshot: Snapshot) -> float | None:
    """Returns how many fresh holdout rows come in on a day, at the rate of the last weeks.

    It is the median of the last eight whole weeks' labelled rows, divided by seven, times the share
    of them that a snapshot keeps, times the holdout's share. Whole weeks have whole week-ends; a
    median does not move when one import brings a month's rows at once; what was collected before a
    gap of three empty weeks says nothing of today. The first week and the last are not whole, and
    the last one's rows may still wait for their labels. A collection that is younger than three
    whole weeks gives its rows by its days.

    Returns:
        Rows a day; None where the rows have no times, where they are fewer than 20, or where they
        span fewer than three days.
    """
    provenance: Mapping[str, Json] = snapshot.manifest["provenance"]
    evidence = evidence_from_json(provenance.get(EVIDENCE, {}))
    labelled = {w.week: w.labelled for w in evidence.weeks if w.week and w.labelled}
    total = sum(labelled.values())
    if total < _MIN_ROWS:
        return None
    counts, first = _present(labelled)
    whole = counts[1:-1][-_WEEKS:]
    rate = median(whole) / 7 if len(whole) >= _MIN_WEEKS else _by_days(snapshot, counts, first)
    if rate is None:
        return None
    sizes: Mapping[str, Mapping[str, int]] = snapshot.manifest["sizes"]
    kept = min(1.0, sum(size["rows"] for size in sizes.values()) / total)
    return rate * kept * float(snapshot.manifest["rules"]["holdout"]) or None


def _present(labelled: Mapping[str, int]) -> tuple[list[int], date]:
    """Returns the rows of each week since the last long gap, and the Monday of the first one."""
    mondays = sorted((_monday(week), rows) for week, rows in labelled.items())
    last = mondays[-1][0]
    counts: list[int] = []
    by_monday, day, empty = dict(mondays), last, 0
    while day >= mondays[0][0] and empty < _GAP_WEEKS:
        rows = by_monday.get(day, 0)
        empty = 0 if rows else empty + 1
        counts.append(rows)
        day -= timedelta(weeks=1)
    counts = counts[: len(counts) - empty]
    return counts[::-1], last - timedelta(weeks=len(counts) - 1)


def _by_days(snapshot: Snapshot, counts: Sequence[int], first: date) -> float | None:
    """Returns the labelled rows a day of a collection that is only some weeks old."""
    days = _days(snapshot, first)
    return sum(counts) / days if sum(counts) >= _MIN_ROWS and days >= _MIN_DAYS else None


def _days(snapshot: Snapshot, first: date) -> float:
    """Returns the days from the first to the last row since a Monday; the holdout stays closed."""
    seal = snapshot.holdout
    times = [e.time for e in (*snapshot.train, *snapshot.dev)] + [seal.oldest, seal.newest]
    # By the same rule as the weeks' names, so that a time without a zone is read as they were.
    moments = sorted(
        datetime.fromisoformat(t).timestamp() for t in times if t and _monday(week_of(t)) >= first
    )
    return (moments[-1] - moments[0]) / 86400.0 if moments else 0.0


def _monday(week: str) -> date:
    year, _, number = week.partition("-W")
    return date.fromisocalendar(int(year), int(number), 1)
