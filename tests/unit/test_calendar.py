"""The calendars against what is known: Tết and holidays by public tables, leap months, terms; and what always holds."""

from __future__ import annotations

import calendar
import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.simulation.calendar import (
    Day,
    day_in_month,
    days_in_month,
    month_of,
    next_month,
    previous_month,
    school_term,
    term_start,
)
from producers.simulation.lunar import (
    LunarDay,
    days_to_tet,
    is_lunar_market_day,
    is_working_day,
    lunar_date,
    public_holiday,
    tet,
)

MARKET = (2, 7, 12, 17, 22, 27)

days = st.dates(dt.date(2001, 1, 1), dt.date(2098, 12, 31)).map(Day.of)
quick = settings(deadline=None)


def on(text: str) -> Day:
    return Day.of(dt.date.fromisoformat(text))


def holidays(year: int) -> dict[str, str]:
    """The holidays of a year, by month and day."""
    every = (Day.of(dt.date(year, 1, 1)) + number for number in range(365 + calendar.isleap(year)))
    return {str(day.date)[5:]: name for day in every if (name := public_holiday(day))}


# -- the moon ------------------------------------------------------------------------------------------------

TET = """
2001-01-24 2002-02-12 2003-02-01 2004-01-22 2005-02-09 2006-01-29 2007-02-17 2020-01-25 2021-02-12 2022-02-01
2023-01-22 2024-02-10 2025-01-29 2026-02-17 2027-02-06 2028-01-26 2029-02-13 2030-02-02 2053-02-18
"""
"""First days of the year in Hồ Ngọc Đức's tables. In China those of 2007, 2030 and 2053 are a day later."""


@pytest.mark.parametrize("text", TET.split())
def test_tet_is_when_the_tables_have_it(text):
    day = on(text)
    assert tet(day.date.year) == day
    assert lunar_date(day) == LunarDay(day.date.year, 1, 1, leap=False)
    assert [days_to_tet(day + number) for number in (-150, -1, 0, 1, 150)] == [-150, -1, 0, 1, 150]


def test_half_way_between_two_years_the_nearer_counts():
    length = tet(2026).number - tet(2025).number
    assert length == 384  # with a leap month
    assert [days_to_tet(tet(2025) + number) for number in (191, 192, 193)] == [191, 192, -191]


@pytest.mark.parametrize(
    ("text", "lunar"),
    [
        ("2025-01-28", LunarDay(2024, 12, 29, leap=False)),
        ("2025-06-25", LunarDay(2025, 6, 1, leap=False)),
        ("2025-07-24", LunarDay(2025, 6, 30, leap=False)),
        ("2025-07-25", LunarDay(2025, 6, 1, leap=True)),
        ("2025-08-22", LunarDay(2025, 6, 29, leap=True)),
        ("2025-08-23", LunarDay(2025, 7, 1, leap=False)),
        ("2025-10-06", LunarDay(2025, 8, 15, leap=False)),
        ("2033-12-22", LunarDay(2033, 11, 1, leap=True)),
    ],
)
def test_lunar_dates_and_leap_months(text, lunar):
    assert lunar_date(on(text)) == lunar


def test_market_days_follow_the_lunar_day_in_leap_months_too():
    july = [day_in_month(202507, 1) + number for number in range(31)]
    assert [day.date.day for day in july if is_lunar_market_day(day, MARKET)] == [1, 6, 11, 16, 21, 26, 31]
    assert not any(is_lunar_market_day(day, ()) for day in july)


@quick
@given(days)
def test_a_lunar_day_follows_the_one_before_or_begins_a_month(day):
    before, after = lunar_date(day), lunar_date(day + 1)
    if after.day == 1:
        assert before.day in (29, 30)
        year, month = (before.year, before.month + 1) if before.month < 12 else (before.year + 1, 1)
        expected = (before.year, before.month) if after.leap else (year, month)
        assert (after.year, after.month) == expected
    else:
        assert after == LunarDay(before.year, before.month, before.day + 1, before.leap)


@quick
@given(days)
def test_days_to_tet_lead_to_the_nearest_tet(day):
    distance = days_to_tet(day)
    first = day + -distance
    assert first == tet(first.date.year)
    assert abs(distance) == min(abs(day.number - tet(day.date.year + step).number) for step in (-1, 0, 1))


# -- days off ------------------------------------------------------------------------------------------------


def test_the_holidays_of_a_year():
    assert holidays(2025) == {
        "01-01": "New Year",
        **dict.fromkeys(("01-28", "01-29", "01-30", "01-31", "02-01"), "Tet"),
        "04-07": "Hung Kings' Day",
        "04-30": "Reunification Day",
        "05-01": "Labour Day",
        "09-01": "National Day",
        "09-02": "National Day",
    }


@pytest.mark.parametrize("text", ["2023-04-29", "2024-04-18", "2025-04-07", "2026-04-26", "2031-04-01"])
def test_hung_kings_day_is_once_a_year_and_not_in_a_leap_month(text):
    found = [day for day, name in holidays(int(text[:4])).items() if name == "Hung Kings' Day"]
    assert found == [text[5:]]


def test_one_of_those_years_has_a_leap_third_month():
    assert lunar_date(on("2031-04-30")) == LunarDay(2031, 3, 10, leap=True)


@settings(max_examples=20, deadline=None)
@given(st.integers(2001, 2098))
def test_every_year_has_eleven_holidays(year):
    assert len(holidays(year)) == 11


@quick
@given(days)
def test_offices_work_from_monday_to_friday_but_on_holidays(day):
    weekend = day.date.isoweekday() in (6, 7)
    assert is_working_day(day) == (not weekend and public_holiday(day) is None)


# -- months and terms ----------------------------------------------------------------------------------------


@quick
@given(days)
def test_months_follow_each_other_and_have_their_days(day):
    month = month_of(day)
    assert previous_month(next_month(month)) == month == next_month(previous_month(month))
    assert days_in_month(month) == calendar.monthrange(day.date.year, day.date.month)[1]


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("2025-05-31", (2024, 2)),
        ("2025-06-01", None),
        ("2025-09-04", None),
        ("2025-09-05", (2025, 1)),
        ("2025-12-31", (2025, 1)),
        ("2026-01-15", (2025, 1)),
        ("2026-01-16", (2025, 2)),
        ("2026-02-17", (2025, 2)),
    ],
)
def test_terms_of_the_school_year(text, term):
    assert school_term(on(text)) == term


@quick
@given(st.integers(2001, 2098), st.sampled_from([1, 2]))
def test_a_term_begins_on_its_first_day(year, term):
    start = term_start(year, term)
    assert school_term(start) == (year, term)
    assert school_term(start + -1) != (year, term)


@quick
@given(days)
def test_a_day_of_a_term_is_after_its_start(day):
    term = school_term(day)
    if term is not None:
        start = term_start(*term)
        assert start.number <= day.number < start.number + 137
        assert school_term(start) == term


def test_there_is_no_third_term():
    with pytest.raises(ValueError, match="not 3"):
        term_start(2025, 3)
