"""Days as the moon counts them in Vietnam: lunar dates, Tết, lunar market days; and the working days they leave.

In: days. Out: lunar dates, distances to Tết, names of public holidays.

The lunar calendar is the Vietnamese one, by new moons and solar terms at UTC+7 (Hồ Ngọc Đức's algorithm, in
`lunar_vn`). From 2001 to 2098 it differs from his published tables in three months, 2054, 2072 and 2077, whose new
moon is within two minutes of midnight; no Tết is among them. Days outside 1900 to 2100 raise ValueError.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

import lunar_vn

from producers.simulation.calendar import Day

TET_EVE = -1
TET_LAST_DAY_OFF = 3
"""The holiday of Tết: from the eve to the fourth day of the year, as days from its first."""

HUNG_KINGS = (3, 10)
"""Month and day of the lunar year."""

SATURDAY = 5

_FIXED_HOLIDAYS = {
    (1, 1): "New Year",
    (4, 30): "Reunification Day",
    (5, 1): "Labour Day",
    (9, 1): "National Day",
    (9, 2): "National Day",
}


@dataclass(frozen=True)
class LunarDay:
    """A day of the Vietnamese lunar calendar. ``year`` is the Gregorian year in which the lunar year begins."""

    year: int
    month: int
    """1 to 12. A leap month has the number of the month before it."""
    day: int
    """1 to 30."""
    leap: bool
    """Whether the month is a leap month."""


@lru_cache(maxsize=65_536)
def lunar_date(day: Day) -> LunarDay:
    """Return the lunar date of a day."""
    found = lunar_vn.solar_to_lunar(day.date)
    return LunarDay(found.year, found.month, found.day, found.leap)


@lru_cache(maxsize=256)
def tet(year: int) -> Day:
    """Return the first day of the lunar new year that begins in a Gregorian year."""
    return Day.of(lunar_vn.lunar_to_solar(lunar_vn.LunarDate(day=1, month=1, year=year)))


def days_to_tet(day: Day) -> int:
    """Return where a day is from the first day of the nearest Tết: −1 is the eve, 0 the first day, 1 the second.

    Half-way between two, the one that is past. Needs the Tết of the next year, so it ends with 2099.
    """
    year = day.date.year
    return min((day.number - tet(near).number for near in (year, year + 1)), key=abs)


def is_lunar_market_day(day: Day, days: Collection[int]) -> bool:
    """Whether a market that meets on given days of the lunar month, such as 2, 7, 12, 17, 22 and 27, meets on a day.

    Leap months count as others do. A 30th is only in the months that have one.
    """
    return lunar_date(day).day in days


def public_holiday(day: Day) -> str | None:
    """Return the English name of the public holiday that a day is, or None.

    Labour Code 2019 (No. 45/2019/QH14), article 112: 1 January, five days of Tết, the 10th of the third lunar month,
    30 April, 1 May, 2 September and a day next to it. Which days, the Prime Minister decides year by year; assumed for
    every year: Tết from the eve to the fourth day, and 1 September. Without substitution days for weekends.
    """
    date = day.date
    if (date.month, date.day) in _FIXED_HOLIDAYS:
        return _FIXED_HOLIDAYS[date.month, date.day]
    if TET_EVE <= days_to_tet(day) <= TET_LAST_DAY_OFF:
        return "Tet"
    lunar = lunar_date(day)
    return "Hung Kings' Day" if (lunar.month, lunar.day) == HUNG_KINGS and not lunar.leap else None


def is_working_day(day: Day) -> bool:
    """Whether offices and one-stop shops are open: Monday to Friday, and no public holiday."""
    return day.weekday < SATURDAY and public_holiday(day) is None
