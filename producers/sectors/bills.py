"""Utility bills: one a month and customer, by progressive tariff with VAT, paid over the days after issue.

In: a world, a billing sector and a day. Out: the day's payments, and the codes on the bills issued that day.
Electricity and water are this with their own parameters.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from producers.sectors.sector import (
    Draws,
    IssuedCodes,
    bill_code,
    choose_method,
    concatenate,
    cumulative,
    moments,
    years_between,
)
from producers.simulation.calendar import DAY_MS, Day, day_in_month, month_of, previous_month
from producers.simulation.random import generator
from producers.simulation.world import CellSpec, FloatArray, IntArray, World, bills_of
from schemas.events import Sector
from schemas.scenario import TariffStep

LAST_CYCLE_DAY = 28
"""Billing days are 1 to 28, so that every month has them."""


class UtilityBills:
    """A billing sector of a world. Implements `producers.sectors.sector.SectorModel`."""

    def __init__(self, world: World, sector: Sector) -> None:
        self.sector = sector
        self._world = world
        self._cells = [cell for cell in world.cells if cell.sector == sector and cell.customers]
        self._payments: dict[tuple[str, int], Draws] = {}

    def draw(self, day: Day) -> Draws:
        """Return the payments that customers make on a day, for bills of this month and the last."""
        months = (month_of(day), previous_month(month_of(day)))
        self._payments = {key: value for key, value in self._payments.items() if key[1] in months}
        return concatenate(_on_day(self._of_month(cell, month), day) for cell in self._cells for month in months)

    def codes(self, day: Day) -> Iterator[IssuedCodes]:
        """Yield the codes on the bills that are issued on a day, cell by cell.

        The first day also brings the codes of the bills that were issued before it and are paid from it on.
        """
        if day == Day.of(self._world.scenario.start):
            yield from self._open_codes(day)
        month = month_of(day)
        for cell in self._cells:
            if cycle_day(self._world.seed, cell.id) == day.date.day:
                amount, customers = _amounts(self._world, cell, month)
                source = np.full(len(amount), cell.first_source, dtype=np.int64)
                yield IssuedCodes(source, bill_code(month, customers), amount, day.midnight_at)

    def _open_codes(self, day: Day) -> Iterator[IssuedCodes]:
        for cell in self._cells:
            for month in (previous_month(month_of(day)), month_of(day)):
                issue = day_in_month(month, cycle_day(self._world.seed, cell.id))
                due = self._of_month(cell, month)
                still = due.occurred_at >= day.midnight_at
                if issue.number < day.number and still.any():
                    yield IssuedCodes(due.source[still], due.bill[still], due.amount_vnd[still], issue.midnight_at)

    def _of_month(self, cell: CellSpec, month: int) -> Draws:
        key = (cell.id, month)
        if key not in self._payments:
            self._payments[key] = _payments(self._world, cell, month)
        return self._payments[key]


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
        Whole VND, rounded half to even as numpy does: net by the steps, then VAT.
    """
    net = np.zeros_like(usage, dtype=np.float64)
    lower = 0.0
    for step in tariff:
        upper = np.inf if step.up_to is None else step.up_to
        net += np.clip(usage - lower, 0.0, upper - lower) * step.vnd_per_unit
        lower = upper
    return np.rint(net * (1 + vat)).astype(np.int64)


def _amounts(world: World, cell: CellSpec, month: int) -> tuple[IntArray, IntArray]:
    rule = bills_of(world.scenario, cell.sector)
    random = generator(world.seed, cell.id, "usage", day=month)
    usage = rule.usage_median.value * np.exp(rule.usage_sigma.value * random.standard_normal(cell.customers))
    amount = bill_amounts(np.maximum(np.rint(usage), 1.0), rule.tariff, rule.vat.value)
    return amount, np.arange(1, cell.customers + 1)


def _payments(world: World, cell: CellSpec, month: int) -> Draws:
    """All payments for the bills of one cell and month, sorted by time."""
    rule = bills_of(world.scenario, cell.sector)
    issue = day_in_month(month, cycle_day(world.seed, cell.id))
    amount, customers = _amounts(world, cell, month)
    random = generator(world.seed, cell.id, "bill payments", day=month)
    count = cell.customers
    delay = np.minimum(random.exponential(rule.pay_days_mean.value, count), rule.pay_days_max.value).astype(np.int64)
    at = issue.midnight_at + delay * DAY_MS + moments(random, count, cumulative(world.scenario.hours[cell.hours].value))
    median = float(bill_amounts(np.array([rule.usage_median.value]), rule.tariff, rule.vat.value)[0])
    method, status = choose_method(
        random,
        rule.cashless,
        share=cell.cashless_share,
        years=years_between(Day.of(world.scenario.start), issue),
        relative_amount=amount / median,
    )
    order = np.argsort(at, kind="stable")
    source = np.full(count, cell.first_source, dtype=np.int64)
    columns = (source, at, method, status, amount, bill_code(month, customers))
    return Draws(*(column[order] for column in columns))


def _on_day(payments: Draws, day: Day) -> Draws:
    low, high = np.searchsorted(payments.occurred_at, [day.midnight_at, (day + 1).midnight_at])
    return Draws(*(getattr(payments, name)[low:high] for name in payments.__dataclass_fields__))
