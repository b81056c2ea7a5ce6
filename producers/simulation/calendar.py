"""Days as people and bills count them, in Asia/Ho_Chi_Minh (UTC+7, without daylight saving).

In: dates. Out: day numbers, local midnights as UTC epoch milliseconds, months.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
UTC_OFFSET_MS = 7 * HOUR_MS
"""Vietnam has kept UTC+7 since 1975: adding it is exact for every simulated time."""

_EPOCH = dt.date(1970, 1, 1)


@dataclass(frozen=True)
class Day:
    """A local calendar day. ``number`` counts from 1970-01-01."""

    number: int

    @classmethod
    def of(cls, date: dt.date) -> Day:
        """Return the day of a date."""
        return cls((date - _EPOCH).days)

    @property
    def date(self) -> dt.date:
        """The local date."""
        return _EPOCH + dt.timedelta(days=self.number)

    @property
    def midnight_at(self) -> int:
        """Its beginning, UTC epoch milliseconds."""
        return self.number * DAY_MS - UTC_OFFSET_MS

    @property
    def weekday(self) -> int:
        """Monday is 0."""
        return self.date.weekday()

    def __add__(self, days: int) -> Day:
        return Day(self.number + days)


def month_of(day: Day) -> int:
    """Return year × 100 + month."""
    return day.date.year * 100 + day.date.month


def day_in_month(month: int, day: int) -> Day:
    """Return a day of a month given as year × 100 + month; ``day`` is 1 to 28."""
    return Day.of(dt.date(month // 100, month % 100, day))


def previous_month(month: int) -> int:
    """Return the month before, as year × 100 + month."""
    return month - 1 if month % 100 > 1 else month - 100 + 11
