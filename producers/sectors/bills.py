"""Utility bills: one a month and customer, by progressive tariff with VAT, paid over the days after issue.

In: a world, a billing sector, the conditions of a day. Out: the day's bills paid, and the codes of those issued.
Electricity and water are this with their own parameters.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import cast

import numpy as np

from producers.sectors.periods import Periods
from producers.sectors.sector import (
    IssuedCodes,
    bill_code,
    hours_of,
    luck,
    moments,
    scaled,
    tills_of,
)
from producers.simulation.calendar import DAY_MS, Day, day_in_month, month_of, previous_month
from producers.simulation.columns import Demand, FloatArray, IntArray, join_demand
from producers.simulation.conditions import Conditions
from producers.simulation.paying import Rule
from producers.simulation.random import generator
from producers.simulation.world import CellSpec, World
from schemas.events import Sector
from schemas.scenario.sectors import LAST_CYCLE_DAY, Bills, BusinessCustomers, TariffStep
from schemas.types import MAX_PAYMENT_VND


class UtilityBills:
    """A billing sector of a world. Implements `producers.sectors.sector.SectorModel`."""

    def __init__(self, world: World, sector: Sector) -> None:
        self.sector = sector
        self._world = world
        self._bills: Bills = {"electricity": world.scenario.electricity, "water": world.scenario.water}[sector]
        self.rule = Rule.of(self._bills.cashless)
        self._hours = hours_of(world, self._bills.hours)
        self._cells = world.cells_of(sector)
        self._cycle_day = {cell.id: cycle_day(world.seed, cell.id) for cell in self._cells}
        self._periods = Periods(self._month)

    def demand(self, conditions: Conditions) -> Demand:
        """Return the bills that customers pay on a day, of this month and the last."""
        month = month_of(conditions.day)
        return self._periods.on(conditions.day, (previous_month(month), month))

    def codes(self, day: Day) -> Iterator[IssuedCodes]:
        """Yield the codes on the bills that are issued on a day, cell by cell.

        The first day also brings the codes of the bills that were issued before it and are paid from it on.
        """
        if day == Day.of(self._world.scenario.start):
            yield from self._open_codes(day)
        month = month_of(day)
        for cell in self._cells:
            if self._cycle_day[cell.id] == day.date.day:
                amount, _ = self._amounts(cell, month)
                code = bill_code(month, np.arange(1, len(amount) + 1))
                yield IssuedCodes(tills_of(cell, len(amount)), code, amount, day.midnight_at)

    def _open_codes(self, day: Day) -> Iterator[IssuedCodes]:
        for cell in self._cells:
            for month in (previous_month(month_of(day)), month_of(day)):
                issue = day_in_month(month, self._cycle_day[cell.id])
                due = self._payments(cell, month)
                still = due.occurred_at >= day.midnight_at
                if issue.number < day.number and still.any():
                    yield IssuedCodes(due.source[still], due.bill[still], due.amount_vnd[still], issue.midnight_at)

    def _month(self, month: Hashable) -> Demand:
        return join_demand(self._payments(cell, cast("int", month)) for cell in self._cells)

    def _payments(self, cell: CellSpec, month: int) -> Demand:
        """Return all payments for the bills of one cell and month, in order of customers."""
        rule = self._bills
        issue = day_in_month(month, self._cycle_day[cell.id])
        amount, given = self._amounts(cell, month)
        count = len(amount)
        random = generator(self._world.seed, cell.id, "bill payments", day=month)
        delay = np.minimum(random.exponential(rule.pay_days_mean.value, count), rule.pay_days_max.value)
        at = issue.midnight_at + delay.astype(np.int64) * DAY_MS + moments(random, count, self._hours)
        bill = bill_code(month, np.arange(1, count + 1))
        return Demand(tills_of(cell, count), at, amount, bill, given, luck(random, count))

    def _amounts(self, cell: CellSpec, month: int) -> tuple[IntArray, FloatArray]:
        """Return the amounts of a month's bills, households first, and the column `given`."""
        rule = self._bills
        households = self._world.places[cell.commune].households
        count = scaled(self._world, households * rule.customers_per_household.value)
        random = generator(self._world.seed, cell.id, "usage", day=month)
        amount = bill_amounts(_usage(random, count, rule), rule.tariff, rule.vat.value)
        given = np.full(count, np.nan)
        if rule.business is None:
            return amount, given
        others = scaled(self._world, households * rule.business.customers_per_household.value)
        net = _usage(random, others, rule.business) * rule.business.vnd_per_unit.value
        sure = np.full(others, rule.business.cashless_share.value)
        gross = _with_vat(net, rule.vat.value)
        return np.concatenate([amount, gross]), np.concatenate([given, sure])


def cycle_day(seed: int, cell: str) -> int:
    """Return the day of the month on which a cell's bills are issued."""
    return int(generator(seed, cell, "billing cycle").integers(1, LAST_CYCLE_DAY + 1))


def bill_amounts(usage: FloatArray, tariff: tuple[TariffStep, ...], vat: float) -> IntArray:
    """Return what bills amount to.

    Args:
        usage: whole units used in the month.
        tariff: steps in rising order.
        vat: value-added tax as a share.

    Returns:
        Whole VND, rounded half to even as numpy does: net by the steps, then VAT; at most what a payment may be.
    """
    net = np.zeros_like(usage, dtype=np.float64)
    lower = 0.0
    for step in tariff:
        upper = np.inf if step.up_to is None else step.up_to
        net += np.clip(usage - lower, 0.0, upper - lower) * step.vnd_per_unit
        lower = upper
    return _with_vat(net, vat)


def _with_vat(net: FloatArray, vat: float) -> IntArray:
    return np.minimum(np.rint(net * (1 + vat)), MAX_PAYMENT_VND).astype(np.int64)


def _usage(random: np.random.Generator, count: int, rule: Bills | BusinessCustomers) -> FloatArray:
    """Draw whole units used in a month, at least one."""
    usage = rule.usage_median.value * np.exp(rule.usage_sigma.value * random.standard_normal(count))
    return np.maximum(np.rint(usage), 1.0)
