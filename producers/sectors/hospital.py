"""Health centres: visits by chance, of which an insured patient pays the co-payment, another one all.

In: a world, the conditions of a day. Out: what patients pay on that day.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import cast

import numpy as np

from producers.sectors.arrivals import arrivals, mean_a_day, weekdays
from producers.sectors.periods import Periods
from producers.sectors.sector import (
    ROUND_VND,
    IssuedCodes,
    hours_of,
    log_normal_vnd,
    luck,
    moments,
    tills_of,
    undecided,
)
from producers.simulation.calendar import Day, month_of
from producers.simulation.columns import NO_BILL, BoolArray, Demand, IntArray, join_demand
from producers.simulation.conditions import Conditions
from producers.simulation.paying import Rule
from producers.simulation.random import generator
from producers.simulation.world import CellSpec, World
from schemas.events import Sector


class Hospital:
    """The health centres of a world. Implements `producers.sectors.sector.SectorModel`."""

    sector: Sector = "hospital"

    def __init__(self, world: World) -> None:
        self._world = world
        self._parameters = world.scenario.hospital
        self.rule = Rule.of(self._parameters.cashless)
        self._hours = hours_of(world, self._parameters.hours)
        self._weekday = np.array(self._parameters.weekday.value)
        self._cells = world.cells_of(self.sector)
        self._periods = Periods(self._month)

    def demand(self, conditions: Conditions) -> Demand:
        """Return what patients pay on a day."""
        return self._periods.on(conditions.day, (month_of(conditions.day),))

    def codes(self, day: Day) -> Iterator[IssuedCodes]:
        """Yield nothing: patients scan the code of the counter."""
        return iter(())

    def _month(self, month: Hashable) -> Demand:
        return join_demand(self._visits(cell, cast("int", month)) for cell in self._cells)

    def _visits(self, cell: CellSpec, month: int) -> Demand:
        rule = self._parameters
        mean = mean_a_day(self._world, cell, rule.visits_per_1000_adults_day.value)
        random = generator(self._world.seed, cell.id, "visits", day=month)
        midnight = arrivals(random, month, mean * self._weekday[weekdays(month)])
        count = len(midnight)
        cost = log_normal_vnd(random, count, rule.cost_median_vnd.value, rule.cost_sigma.value)
        return Demand(
            source=tills_of(cell, count),
            occurred_at=midnight + moments(random, count, self._hours),
            amount_vnd=patient_pays(cost, random.random(count) < rule.insured_share.value, rule.copayment_share.value),
            bill=np.full(count, NO_BILL, dtype=np.int64),
            given=undecided(count),
            luck=luck(random, count),
        )


def patient_pays(cost_vnd: IntArray, insured: BoolArray, copayment_share: float) -> IntArray:
    """Return what patients pay themselves: of the cost the co-payment if they are insured, else all.

    Whole `ROUND_VND`, at least one of it, rounded half to even.
    """
    raw = cost_vnd * np.where(insured, copayment_share, 1.0)
    return np.maximum(np.rint(raw / ROUND_VND).astype(np.int64), 1) * ROUND_VND
