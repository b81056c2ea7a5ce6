"""Days as people and bills count them, in Asia/Ho_Chi_Minh (UTC+7, without daylight saving).

In: dates. Out: day numbers, local midnights as UTC epoch milliseconds, months, terms of the school year.
What follows from the moon is in `producers.simulation.lunar`.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from producers.simulation.columns import IntArray

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
UTC_OFFSET_MS = 7 * HOUR_MS
"""Vietnam has kept UTC+7 since 1975: adding it is exact for every simulated time."""

_EPOCH = dt.date(1970, 1, 1)
_DECEMBER = 12
_OPENING = (9, 5)
_SECOND_TERM = (1, 16)
_LAST_SCHOOL_DAY = (5, 31)


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


def day_numbers(at: IntArray) -> IntArray:
    """Return the numbers of the local days that times lie in, UTC epoch milliseconds."""
    return (at + UTC_OFFSET_MS) // DAY_MS


def month_of(day: Day) -> int:
    """Return year × 100 + month."""
    return day.date.year * 100 + day.date.month


def day_in_month(month: int, day: int) -> Day:
    """Return a day of a month given as year × 100 + month; ``day`` is 1 to 28."""
    return Day.of(dt.date(month // 100, month % 100, day))


def previous_month(month: int) -> int:
    """Return the month before, as year × 100 + month."""
    return month - 1 if month % 100 > 1 else month - 100 + 11


def next_month(month: int) -> int:
    """Return the month after, as year × 100 + month."""
    return month + 1 if month % 100 < _DECEMBER else month + 100 - 11


def days_in_month(month: int) -> int:
    """Return how many days a month has that is given as year × 100 + month."""
    return day_in_month(next_month(month), 1).number - day_in_month(month, 1).number


def school_term(day: Day) -> tuple[int, int] | None:
    """Return the year in which a day's school year began, and its term 1 or 2; in the summer holidays None.

    The national frame, after Decision 2269/QĐ-BGDĐT of 2025: the year opens on 5 September, the first term ends
    before 18 January, the year before 31 May. Assumed for every year and province: term 1 to 15 January, term 2 from
    16 January to 31 May. Weekends, Tết and public holidays are within the terms.
    """
    year, in_year = day.date.year, (day.date.month, day.date.day)
    if in_year >= _OPENING:
        return year, 1
    if in_year < _SECOND_TERM:
        return year - 1, 1
    return (year - 1, 2) if in_year <= _LAST_SCHOOL_DAY else None


def term_start(school_year: int, term: int) -> Day:
    """Return the first day of a term, as `school_term` has it.

    Args:
        school_year: the year in which the school year begins.
        term: 1 or 2.

    Raises:
        ValueError: the term is neither.
    """
    if term not in (1, 2):
        raise ValueError(f"a school year has terms 1 and 2, not {term}")
    return Day.of(dt.date(school_year, *_OPENING) if term == 1 else dt.date(school_year + 1, *_SECOND_TERM))
