"""The loop of days: adoption, then demand of all sectors, then payments in order of time, numbered at their sources.

In: a world. Out: one `DayOfPayments` after another. A day's payments depend on the world and the day alone; only their
sequence numbers also need the counts of the days before, so that days can be made side by side and numbered after.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count, islice

import numpy as np

from producers.sectors.bills import UtilityBills
from producers.sectors.ecommerce import Ecommerce
from producers.sectors.hospital import Hospital
from producers.sectors.income import Income
from producers.sectors.market_stall import MarketStalls
from producers.sectors.public_service import PublicService
from producers.sectors.sector import IssuedCodes, SectorModel
from producers.sectors.tuition import Tuition
from producers.simulation.adoption import AdoptionDay, AdoptionModel
from producers.simulation.calendar import Day
from producers.simulation.columns import NO_BILL, NOTHING, IntArray, Labels, Notes, Payments, join_payments
from producers.simulation.conditions import Conditions, ConditionsModel
from producers.simulation.paying import pay
from producers.simulation.world import World


@dataclass(frozen=True)
class DayOfPayments:
    """A simulated day."""

    day: Day
    adoption: AdoptionDay
    codes: tuple[IssuedCodes, ...]
    """Come into use at the beginning of the day; none where they are not wanted."""
    payments: Payments
    """Sorted by time; at the same millisecond by cell. Notes refer to sequence numbers of the same source."""
    sequence: IntArray
    """Number of each payment at its source: 1, 2, 3, …"""


@dataclass(frozen=True)
class UnnumberedDay:
    """A simulated day whose sources do not know yet how many payments came before."""

    day: DayOfPayments
    """Numbered as if it were the first."""
    counts: IntArray
    """Payments of each source."""

    def numbered(self, before: IntArray) -> DayOfPayments:
        """Return the day, numbered behind the payments that each source made before."""
        payments = self.day.payments
        notes, offset = payments.notes, before[payments.source]
        refers_to = np.where(notes.refers_to == NOTHING, NOTHING, notes.refers_to + offset[notes.row])
        moved = replace(payments, notes=replace(notes, refers_to=refers_to))
        return replace(self.day, payments=moved, sequence=self.day.sequence + offset)


class ProvinceSimulation:
    """The simulation of one world."""

    def __init__(self, world: World, *, codes: bool = True) -> None:
        """Take a world, and whether the QR codes that come into use are wanted; making them takes its time."""
        self.world = world
        self._with_codes = codes
        self._sectors: tuple[SectorModel, ...] = (
            MarketStalls(world),
            UtilityBills(world, "electricity"),
            UtilityBills(world, "water"),
            Tuition(world),
            Hospital(world),
            PublicService(world),
            Income(world),
            Ecommerce(world),
        )
        self._conditions = ConditionsModel(world)

    def days(self, days: int | None = None) -> Iterator[DayOfPayments]:
        """Yield the days of the scenario, from its start on; without end if ``days`` is None."""
        before = np.zeros(self.world.source_count, dtype=np.int64)
        for unnumbered in self.unnumbered(days):
            yield unnumbered.numbered(before)
            before = before + unnumbered.counts

    def unnumbered(self, days: int | None = None, part: tuple[int, int] = (0, 1)) -> Iterator[UnnumberedDay]:
        """Yield days whose sequence numbers begin at 1.

        Args:
            days: how many days the scenario runs; without end if None.
            part: (i, n): only every n-th day from the i-th, the first being 0. The days before cost next to nothing.
        """
        yesterday: AdoptionDay | None = None
        first, step = part
        for number, today in zip(count(), islice(AdoptionModel(self.world).days(), days), strict=False):
            if number >= first and (number - first) % step == 0:
                yield self._day(today, yesterday)
            yesterday = today

    def _day(self, today: AdoptionDay, yesterday: AdoptionDay | None) -> UnnumberedDay:
        conditions = self._conditions.on(today)
        codes = tuple(self._codes(today, yesterday)) if self._with_codes else ()
        payments = _in_order(self._pay(conditions), today.day)
        sequence, counts = _numbers(payments.source, self.world.source_count)
        notes = payments.notes
        refers_to = np.where(notes.refers_to == NOTHING, NOTHING, sequence[notes.refers_to])
        payments = replace(payments, notes=replace(notes, refers_to=refers_to))
        return UnnumberedDay(DayOfPayments(today.day, today, codes, payments, sequence), counts)

    def _pay(self, conditions: Conditions) -> Payments:
        life = self.world.scenario.payment_life
        return join_payments(
            [pay(sector.demand(conditions), sector.rule, life, self.world, conditions) for sector in self._sectors]
        )

    def _codes(self, today: AdoptionDay, yesterday: AdoptionDay | None) -> Iterator[IssuedCodes]:
        yield from self._counter_codes(today, yesterday)
        for sector in self._sectors:
            yield from sector.codes(today.day)

    def _counter_codes(self, today: AdoptionDay, yesterday: AdoptionDay | None) -> Iterator[IssuedCodes]:
        """Yield the static codes put up: of all counters on the first day, of stalls when they first show one."""
        shows = self._conditions.shows_code(today)
        if yesterday is not None:
            shows &= ~self._conditions.shows_code(yesterday)
        source = np.flatnonzero(shows)
        if len(source):
            unused = np.zeros(len(source), dtype=np.int64)
            yield IssuedCodes(source, unused + NO_BILL, unused, today.day.midnight_at)


def _in_order(payments: Payments, day: Day) -> Payments:
    """Sort by time, ties as they stand."""
    order = _order_of(payments.occurred_at - day.midnight_at)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    notes, labels = payments.notes, payments.labels
    refers_to = np.where(notes.refers_to == NOTHING, NOTHING, place[notes.refers_to])
    by_row, by_label = np.argsort(place[notes.row], kind="stable"), np.argsort(place[labels.row], kind="stable")
    return Payments(
        **payments.dense(order),
        notes=Notes(place[notes.row][by_row], refers_to[by_row], notes.attempt[by_row], notes.reason[by_row]),
        labels=Labels(place[labels.row][by_label], labels.label[by_label]),
    )


def _numbers(source: IntArray, sources: int) -> tuple[IntArray, IntArray]:
    """Number payments at their sources from 1; return the numbers, and how many each source has."""
    counts = np.bincount(source, minlength=sources)
    begin = np.cumsum(counts) - counts
    sequence = np.empty(len(source), dtype=np.int64)
    sequence[_order_of(source)] = np.arange(1, len(source) + 1) - np.repeat(begin, counts)
    return sequence, counts


def _order_of(keys: IntArray) -> IntArray:
    """Return the stable order of keys from 0 to 2**31 - 1.

    Each key goes into one word with its row: numpy sorts words at more than twice the speed at which it finds the
    order of keys by radix.
    """
    bits = len(keys).bit_length()
    words = (keys << bits) | np.arange(len(keys))
    words.sort()
    return words & ((1 << bits) - 1)
