"""Demand of periods, handed out day by day: each row on its own day, each period drawn once while it is open."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from producers.sectors.periods import Periods
from producers.simulation.calendar import DAY_MS, Day
from producers.simulation.columns import LUCK, NO_BILL, Demand, no_demand

FIRST = Day(20_000)


def demand_on(days: list[int], period: int) -> Demand:
    """One row on each day given, counted from FIRST; the amount tells the row, the source its period."""
    count = len(days)
    at = np.array([(FIRST + day).midnight_at + number * 7 % DAY_MS for number, day in enumerate(days)], dtype=np.int64)
    amount = np.arange(1, count + 1)
    same = np.full(count, period)
    return Demand(same, at, amount, np.full(count, NO_BILL), np.full(count, np.nan), np.zeros((LUCK, count)))


@given(st.lists(st.lists(st.integers(0, 9), max_size=30), min_size=1, max_size=3))
def test_each_day_brings_its_own_rows_in_the_order_of_drawing(drawn):
    periods = Periods(lambda period: demand_on(drawn[period], period) if drawn[period] else no_demand())
    for day in range(-1, 11):
        found = periods.on(FIRST + day, range(len(drawn)))
        expected = [
            (period, row + 1) for period, days in enumerate(drawn) for row, one in enumerate(days) if one == day
        ]
        assert list(zip(found.source.tolist(), found.amount_vnd.tolist(), strict=True)) == expected
        assert found.luck.shape == (LUCK, len(expected))


def test_a_period_is_drawn_once_while_it_is_open_and_again_when_it_was_forgotten():
    asked: list[int] = []

    def draw(period: int) -> Demand:
        asked.append(period)
        return demand_on([0, 1, 2], period)

    periods = Periods(draw)
    for day in range(3):
        periods.on(FIRST + day, [1, 2])
    assert asked == [1, 2]
    periods.on(FIRST, [2, 3])
    assert asked == [1, 2, 3]
    assert len(periods.on(FIRST, [1])) == 1
    assert asked == [1, 2, 3, 1]


def test_a_day_without_open_periods_brings_nothing():
    assert len(Periods(lambda _: demand_on([0], 0)).on(FIRST, [])) == 0
