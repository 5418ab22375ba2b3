"""Which requests are old enough to be labelled, at the time that labels are made for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Age:
    """The time that labels are made for.

    Args:
        now: with a zone; feedback later than that is not seen.
        min_age_hours: younger requests wait, because corrections may still come.

    Attributes:
        until: ``now`` as the events write times, which sort as text.
    """

    def __init__(self, now: datetime, min_age_hours: float) -> None:
        self.until = now.astimezone(UTC).isoformat()
        self._newest = (now.astimezone(UTC) - timedelta(hours=min_age_hours)).isoformat()

    def unfit(self, time: str, error: bool) -> str | None:
        """Returns why a request gets no label whatever was said of it, or None."""
        if error:
            return "request_error"
        return "too_young" if time > self._newest else None
