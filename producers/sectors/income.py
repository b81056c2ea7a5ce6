"""Pensions and social allowances: once a month, into an account or in cash at a counter.

In: a world, the conditions of a day. Out: what is paid out on that day.
A person has the same pension every month, and the same place in the order in which people move to accounts: who is
paid into an account stays so while the share of accounts does not fall.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import replace
from typing import cast

import numpy as np

from producers.sectors.periods import Periods
from producers.sectors.sector import (
    IssuedCodes,
    hours_of,
    log_normal_vnd,
    luck,
    moments,
    scaled,
    tills_of,
    undecided,
)
from producers.simulation.calendar import Day, day_in_month, month_of, previous_month
from producers.simulation.columns import NO_BILL, Demand, join_demand
from producers.simulation.conditions import Conditions
from producers.simulation.lunar import is_working_day
from producers.simulation.paying import Rule
from producers.simulation.random import generator
from producers.simulation.world import CellSpec, World
from schemas.events import Sector


class Income:
    """Who pays out pensions and allowances in a world. Implements `producers.sectors.sector.SectorModel`."""

    sector: Sector = "income"

    def __init__(self, world: World) -> None:
        self._world = world
        self._parameters = rule = world.scenario.income
        self.rule = Rule.transfer(rule.failure_rate.value)
        self._hours = hours_of(world, rule.hours)
        self._days = [
            (cell, pay_day(world.seed, cell.id, rule.first_day.value, rule.last_day.value))
            for cell in world.cells_of(self.sector)
        ]
        self._periods = Periods(self._month)

    def demand(self, conditions: Conditions) -> Demand:
        """Return what is paid out on a day: this month's, or last month's if holidays put it off into this one."""
        month = month_of(conditions.day)
        paid = self._periods.on(conditions.day, (previous_month(month), month))
        share = conditions.adoption.account_share[self._world.commune_of_source[paid.source]]
        return replace(paid, given=share)

    def codes(self, day: Day) -> Iterator[IssuedCodes]:
        """Yield nothing: nobody scans a code to be paid."""
        return iter(())

    def _month(self, month: Hashable) -> Demand:
        return join_demand(self._paid_out(cell, number, cast("int", month)) for cell, number in self._days)

    def _paid_out(self, cell: CellSpec, number: int, month: int) -> Demand:
        """Return what all people of a cell get in a month: pensions first, then allowances."""
        rule, households = self._parameters, self._world.places[cell.commune].households
        pensions = scaled(self._world, households * rule.pensioners_per_household.value)
        allowances = scaled(self._world, households * rule.allowances_per_household.value)
        count = pensions + allowances
        person = generator(self._world.seed, cell.id, "people with an income")
        pension = log_normal_vnd(person, pensions, rule.pension_median_vnd.value, rule.pension_sigma.value)
        random = generator(self._world.seed, cell.id, "paid out", day=month)
        fate = luck(random, count)
        fate[0] = person.random(count)  # the first draw decides between account and cash
        return Demand(
            source=tills_of(cell, count),
            occurred_at=working_day(day_in_month(month, number)).midnight_at + moments(random, count, self._hours),
            amount_vnd=np.concatenate([pension, np.full(allowances, rule.allowance_vnd.value, dtype=np.int64)]),
            bill=np.full(count, NO_BILL, dtype=np.int64),
            given=undecided(count),
            luck=fate,
        )


def pay_day(seed: int, cell: str, first: int, last: int) -> int:
    """Return the day of the month on which a cell pays out, from ``first`` to ``last``, each as likely."""
    return int(generator(seed, cell, "pay day").integers(first, last + 1))


def working_day(day: Day) -> Day:
    """Return a day, or the next working day if it is none."""
    while not is_working_day(day):
        day += 1
    return day
