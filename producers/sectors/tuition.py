"""School fees: one bill a pupil and term, issued early in the term, paid over the weeks after.

In: a world, the conditions of a day. Out: the day's bills paid, and the codes of those issued.
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
    log_normal_vnd,
    luck,
    moments,
    scaled,
    tills_of,
    undecided,
)
from producers.simulation.calendar import DAY_MS, Day, school_term, term_start
from producers.simulation.columns import Demand, IntArray, join_demand
from producers.simulation.conditions import Conditions
from producers.simulation.paying import Rule
from producers.simulation.random import generator
from producers.simulation.world import CellSpec, World
from schemas.events import Sector

ISSUE_DAYS = 10
"""The schools of a commune send their bills on one of the first days of a term, each as likely; assumed.

The last bill is paid 99 days into a term at the latest (`pay_days_max` is 90 at most), and the shortest term lasts
133 days: so on any day only the bills of the last term that has begun are open.
"""


class Tuition:
    """The schools of a world. Implements `producers.sectors.sector.SectorModel`."""

    sector: Sector = "tuition"

    def __init__(self, world: World) -> None:
        self._world = world
        self._parameters = world.scenario.tuition
        self.rule = Rule.of(self._parameters.cashless)
        self._hours = hours_of(world, self._parameters.hours)
        self._issues = [(cell, issue_offset(world.seed, cell.id)) for cell in world.cells_of(self.sector)]
        self._periods = Periods(self._term)

    def demand(self, conditions: Conditions) -> Demand:
        """Return the bills that are paid on a day."""
        return self._periods.on(conditions.day, (last_term(conditions.day),))

    def codes(self, day: Day) -> Iterator[IssuedCodes]:
        """Yield the codes on the bills that are issued on a day, cell by cell.

        The first day also brings the codes of the bills that were issued before it and are paid from it on.
        """
        term = last_term(day)
        if day == Day.of(self._world.scenario.start):
            yield from self._open_codes(day, term)
        for cell, offset in self._issues:
            if _start(term) + offset == day:
                amount = self._amounts(cell, term)
                code = bill_code(term, np.arange(1, len(amount) + 1))
                yield IssuedCodes(tills_of(cell, len(amount)), code, amount, day.midnight_at)

    def _open_codes(self, day: Day, term: int) -> Iterator[IssuedCodes]:
        for cell, offset in self._issues:
            issue = _start(term) + offset
            due = self._payments(cell, offset, term)
            still = due.occurred_at >= day.midnight_at
            if issue.number < day.number and still.any():
                yield IssuedCodes(due.source[still], due.bill[still], due.amount_vnd[still], issue.midnight_at)

    def _term(self, term: Hashable) -> Demand:
        return join_demand(self._payments(cell, offset, cast("int", term)) for cell, offset in self._issues)

    def _payments(self, cell: CellSpec, offset: int, term: int) -> Demand:
        """Return all payments for the bills of one cell and term, in order of pupils."""
        rule = self._parameters
        amount = self._amounts(cell, term)
        count = len(amount)
        random = generator(self._world.seed, cell.id, "fee payments", day=term)
        delay = np.minimum(random.exponential(rule.pay_days_mean.value, count), rule.pay_days_max.value)
        issued_at = (_start(term) + offset).midnight_at
        at = issued_at + delay.astype(np.int64) * DAY_MS + moments(random, count, self._hours)
        bill = bill_code(term, np.arange(1, count + 1))
        return Demand(tills_of(cell, count), at, amount, bill, undecided(count), luck(random, count))

    def _amounts(self, cell: CellSpec, term: int) -> IntArray:
        """Return the amounts of a term's bills, by pupil."""
        rule, households = self._parameters, self._world.places[cell.commune].households
        count = scaled(self._world, households * rule.pupils_per_household.value)
        random = generator(self._world.seed, cell.id, "fees", day=term)
        return log_normal_vnd(random, count, rule.fee_median_vnd.value, rule.fee_sigma.value)


def issue_offset(seed: int, cell: str) -> int:
    """Return how many days into each term a cell's bills are issued."""
    return int(generator(seed, cell, "fee bills").integers(ISSUE_DAYS))


def last_term(day: Day) -> int:
    """Return the last term that has begun, as the year in which its school year begins × 10 + 1 or 2."""
    year, term = school_term(day) or (day.date.year - 1, 2)
    return year * 10 + term


def _start(term: int) -> Day:
    return term_start(*divmod(term, 10))
