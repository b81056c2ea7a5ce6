"""Online shops: orders paid ahead, or on delivery.

In: a world, the conditions of a day. Out: what is paid for orders on that day, at shops and at doors.

What a day brings is drawn as candidates that stand for either: paid ahead on this day, or at the door for an order of
the days before. One draw decides by the share of adults who are active on this day. So nothing is paid twice or never,
and when adoption rises payments move ahead, and nothing else changes. In distribution it is the same as to follow each
order (Poisson numbers, thinned and put off by independent draws, are Poisson), but for the days between order and
delivery, in which the share moves by some hundredths of a percent; Tết counts on the day of the payment.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from typing import cast

import numpy as np

from producers.sectors.arrivals import WEEK, arrivals, mean_a_day, weekdays
from producers.sectors.periods import Periods
from producers.sectors.sector import IssuedCodes, hours_of, log_normal_vnd, moments, tills_of, undecided
from producers.simulation.calendar import Day, month_of
from producers.simulation.columns import LUCK, NO_BILL, Demand, FloatArray, join_demand, no_demand, take_demand
from producers.simulation.conditions import Conditions
from producers.simulation.paying import Rule
from producers.simulation.random import generator
from producers.simulation.world import CellSpec, World
from schemas.events import Sector

_AHEAD, _RANK, _DOOR_AT = range(LUCK, LUCK + 3)
"""Rows that a candidate has beside its luck until its day: the draw for paying ahead, its rank, and when on the day it
would be paid at the door. It becomes a payment if its rank is below the day's demand, as a share of the busiest
weekday's; ranks from 1 on are drawn only for days that need them."""


class Ecommerce:
    """The online shops that a world's communes buy from. Implements `producers.sectors.sector.SectorModel`."""

    sector: Sector = "ecommerce"

    def __init__(self, world: World) -> None:
        self._world = world
        self._parameters = rule = world.scenario.ecommerce
        self.rule = Rule.of(rule.cashless)
        self._hours, self._door_hours = hours_of(world, rule.hours), hours_of(world, rule.delivery_hours)
        self._busiest = max(rule.weekday.value)
        self._ordered = np.array(rule.weekday.value)
        self._delivered = deliveries(self._ordered, rule.delivery_days_max.value)
        self._cells = world.cells_of(self.sector)
        self._numbers = [number for number, cell in enumerate(world.cells) if cell.sector == self.sector]
        self._periods = Periods(self._layer)

    def demand(self, conditions: Conditions) -> Demand:
        """Return what is paid for orders on a day."""
        world, day = self._world, conditions.day
        layers = math.ceil(conditions.demand_factor[self._numbers].max(initial=0.0))
        drawn = self._periods.on(day, ((month_of(day), layer) for layer in range(layers)))
        if not len(drawn):
            return no_demand()
        active = conditions.active_share[world.commune_of_source[drawn.source]]
        ahead = drawn.luck[_AHEAD] < self._parameters.prepaid_share.value * active
        weekday = np.where(ahead, self._ordered[day.weekday], self._delivered[day.weekday]) / self._busiest
        paid = drawn.luck[_RANK] < weekday * conditions.demand_factor[world.cell_of_source[drawn.source]]
        at = np.where(ahead, drawn.occurred_at, day.midnight_at + drawn.luck[_DOOR_AT].astype(np.int64))
        given = np.where(ahead, 1.0, np.nan)
        return take_demand(Demand(drawn.source, at, drawn.amount_vnd, drawn.bill, given, drawn.luck[:LUCK]), paid)

    def codes(self, day: Day) -> Iterator[IssuedCodes]:
        """Yield nothing: people scan the code of the shop."""
        return iter(())

    def _layer(self, period: Hashable) -> Demand:
        month, layer = cast("tuple[int, int]", period)
        return join_demand(self._candidates(cell, month, layer) for cell in self._cells)

    def _candidates(self, cell: CellSpec, month: int, layer: int) -> Demand:
        """Draw a cell's candidates of a month with ranks from ``layer`` on, as if all were paid ahead.

        Each layer is as many as the busiest weekday brings, from a generator of its own: a higher factor adds
        candidates, and moves none.
        """
        rule = self._parameters
        mean = mean_a_day(self._world, cell, rule.orders_per_1000_adults_day.value) * self._busiest
        random = generator(self._world.seed, cell.id, f"orders {layer}", day=month)
        midnight = arrivals(random, month, np.full(len(weekdays(month)), mean))
        count = len(midnight)
        at, door_at = moments(random, count, self._hours), moments(random, count, self._door_hours)
        uniform = random.random((_RANK + 1, count))
        uniform[_RANK] += layer
        return Demand(
            source=tills_of(cell, count),
            occurred_at=midnight + at,
            amount_vnd=log_normal_vnd(random, count, rule.amount_median_vnd.value, rule.amount_sigma.value),
            bill=np.full(count, NO_BILL, dtype=np.int64),
            given=undecided(count),
            luck=np.concatenate([uniform, door_at[None, :]]),
        )


def deliveries(ordered: FloatArray, days_max: int) -> FloatArray:
    """Return the factor of deliveries of each weekday, when each order takes 1 to ``days_max`` days, each as likely.

    Args:
        ordered: factors of orders, Monday to Sunday, shape (7,).
        days_max: 1 or more.
    """
    weekday, delay = np.arange(WEEK)[:, None], np.arange(1, days_max + 1)[None, :]
    return np.asarray(ordered[(weekday - delay) % WEEK].mean(axis=1))
