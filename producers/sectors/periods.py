"""Demand that is drawn for a whole period at once (a month, a school term), and handed out day by day.

In: a function that draws what one period brings. Out: a day's share of it. Periods are kept only while they last.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable

import numpy as np

from producers.simulation.calendar import Day, day_numbers
from producers.simulation.columns import Demand, join_demand, slice_demand, take_demand


class Periods:
    """Keeps the demand of the periods that are open."""

    def __init__(self, draw: Callable[[Hashable], Demand]) -> None:
        """Take what draws the demand of a period, in order of cells, in any order of time."""
        self._draw = draw
        self._open: dict[Hashable, tuple[Demand, Day, list[int]]] = {}

    def on(self, day: Day, periods: Iterable[Hashable]) -> Demand:
        """Return what a day brings of the periods that may reach it; forget all others."""
        listed = list(periods)
        self._open = {period: self._open.get(period) or self._opened(period) for period in listed}
        return join_demand(self._share(period, day) for period in listed)

    def _opened(self, period: Hashable) -> tuple[Demand, Day, list[int]]:
        """Draw a period and order it by day: within a day the order of drawing stays."""
        demand = self._draw(period)
        if not len(demand):
            return demand, Day(0), [0]
        number = day_numbers(demand.occurred_at)
        first = int(number.min())
        offset = (number - first).astype(np.uint16)  # sorted by radix
        begins = np.concatenate([[0], np.cumsum(np.bincount(offset))]).tolist()
        return take_demand(demand, np.argsort(offset, kind="stable")), Day(first), begins

    def _share(self, period: Hashable, day: Day) -> Demand:
        demand, first, begins = self._open[period]
        place = day.number - first.number
        if not 0 <= place < len(begins) - 1:
            return slice_demand(demand, slice(0))
        return slice_demand(demand, slice(begins[place], begins[place + 1]))
