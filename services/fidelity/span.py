"""A simulated span as one table of columns, with the state of adoption day by day: what all checks look at.

In: a world, how many days. Out: `Span`. Nothing is written and nothing is sent.
Memory: about 60 bytes a payment; `services.fidelity.report` takes a part of the province where that is too much.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from producers.engine import DayOfPayments, ProvinceSimulation
from producers.simulation.adoption import AdoptionDay
from producers.simulation.calendar import Day
from producers.simulation.columns import NOTHING, REVERSED, BoolArray, FloatArray, IntArray, label_number
from producers.simulation.transmission import transmit
from producers.simulation.world import World
from schemas.events import SECTORS, Sector, TruthLabel
from schemas.scenario import Scenario
from schemas.scenario.interventions import Outage

Column = npt.NDArray[Any]
BROKEN = -2
"""A reference to a payment that is not there."""
_SEQUENCE_BITS = 40


@dataclass(frozen=True)
class Span:
    """Payments of some days, in order of days and times; columns of one length, those of records of another."""

    world: World
    adoption: tuple[AdoptionDay, ...]
    """State of each day."""
    day: Column
    """Index into `adoption`."""
    source: Column
    within: Column
    """Milliseconds after local midnight."""
    amount_vnd: Column
    bill: Column
    method: Column
    status: Column
    sequence: Column
    attempt: Column
    reason: Column
    """Index into FAILURE_REASONS, or NOTHING."""
    refers: Column
    """Row of the payment referred to, NOTHING, or BROKEN."""
    labels: Column
    """Bits, by index into TRUTH_LABELS."""
    record: Column
    """Rows in order of sending; none unless records were sent."""
    sent: Column
    """Milliseconds after the midnight of the payment's day."""
    fault: Column
    """What befell each record, as in `producers.simulation.transmission`."""

    def __len__(self) -> int:
        return len(self.source)

    @property
    def scenario(self) -> Scenario:
        """The scenario."""
        return self.world.scenario

    @cached_property
    def days(self) -> tuple[Day, ...]:
        """The days, in order."""
        return tuple(one.day for one in self.adoption)

    @cached_property
    def weekdays(self) -> IntArray:
        """Weekday of each day, Monday 0."""
        return np.array([day.weekday for day in self.days])

    @cached_property
    def first(self) -> BoolArray:
        """Which rows are the first attempt of a purchase or bill: one for each that was asked for."""
        return np.asarray((self.attempt == 1) & (self.status != REVERSED))

    @cached_property
    def _sector(self) -> IntArray:
        return np.array([SECTORS.index(cell.sector) for cell in self.world.cells])[self.world.cell_of_source]

    @cached_property
    def calm(self) -> BoolArray:
        """Which days have no outage anywhere."""
        outages = [row for row in self.scenario.intervention if isinstance(row, Outage)]
        times = [(Day.of(row.start.date()).number, Day.of(row.end.date()).number) for row in outages]
        return np.array([not any(a <= day.number <= b for a, b in times) for day in self.days])

    def asked(self, sector: Sector) -> IntArray:
        """Return the rows of the first attempts of a sector."""
        return np.flatnonzero(self.first & self.of_sector(sector))

    def of_sector(self, sector: Sector) -> BoolArray:
        """Return which rows are of a sector."""
        return np.asarray((self._sector == SECTORS.index(sector))[self.source])

    def labelled(self, label: TruthLabel) -> BoolArray:
        """Return which rows have a label."""
        return np.asarray(self.labels >> label_number(label) & 1 == 1)

    def by_day(self, name: str) -> FloatArray:
        """Return a part of the adoption state, shape (days, communes or markets)."""
        return np.stack([np.asarray(getattr(one, name), dtype=np.float64) for one in self.adoption])

    def counts(self, sector: Sector) -> tuple[IntArray, FloatArray]:
        """Return the cells of a sector, and how many first attempts each has on each day, shape (days, cells)."""
        every = len(self.world.cells)
        cells = np.array([n for n, cell in enumerate(self.world.cells) if cell.sector == sector], dtype=np.int64)
        rows = self.asked(sector)
        key = self.day[rows].astype(np.int64) * every + self.world.cell_of_source[self.source[rows]]
        counted = np.bincount(key, minlength=len(self.days) * every).reshape(-1, every)
        return cells, counted[:, cells].astype(np.float64)


def observe(world: World, days: int, *, only: int | None = None, wire: bool = False) -> Span:
    """Simulate.

    Args:
        world: the world, or a shard of it.
        days: how many, from the scenario's start on.
        only: the index of a day: then no other is simulated.
        wire: whether to send the records too, so that stream faults show.
    """
    simulation = ProvinceSimulation(world, codes=False)
    seen: Iterable[DayOfPayments] = simulation.days(days)
    if only is not None:
        seen = (one.day for one in simulation.unnumbered(only + 1, (only, only + 1)))
    adoption: list[AdoptionDay] = []
    tables: list[dict[str, Column]] = []
    begin = 0
    for number, day in enumerate(seen):
        adoption.append(day.adoption)
        tables.append(
            {"day": np.full(len(day.payments), number, dtype=np.int16)} | _table(day, world, begin, wire=wire)
        )
        begin += len(day.payments)
    joined: dict[str, Any] = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    return Span(world, tuple(adoption), **joined)


def _table(day: DayOfPayments, world: World, begin: int, *, wire: bool) -> dict[str, Column]:
    """Return a day's columns, with what is noted of few written out for all; rows count from ``begin``."""
    payments, midnight = day.payments, day.day.midnight_at
    record: Column = np.empty(0, dtype=np.int32)
    sent: Column = record
    fault: Column = record
    if wire:
        way, payments = transmit(day.day, payments, day.sequence, world, world.scenario.stream_faults)
        record, sent, fault = way.row + begin, way.sent_at - midnight, way.fault
    notes, labels = payments.notes, payments.labels
    attempt, reason = np.ones(len(payments), dtype=np.int8), np.full(len(payments), NOTHING, dtype=np.int8)
    refers = np.full(len(payments), NOTHING, dtype=np.int32)
    attempt[notes.row], reason[notes.row] = notes.attempt, notes.reason
    refers[notes.row] = _rows_of(payments.source, day.sequence, payments.source[notes.row], notes.refers_to, begin)
    bits = np.zeros(len(payments), dtype=np.uint8)
    np.bitwise_or.at(bits, labels.row, np.left_shift(1, labels.label).astype(np.uint8))
    return {
        "source": payments.source.astype(np.int32),
        "within": (payments.occurred_at - midnight).astype(np.int32),
        "amount_vnd": payments.amount_vnd,
        "bill": payments.bill,
        "method": payments.method,
        "status": payments.status,
        "sequence": day.sequence.astype(np.int32),
        "attempt": attempt,
        "reason": reason,
        "refers": refers,
        "labels": bits,
        "record": record.astype(np.int32),
        "sent": sent.astype(np.int32),
        "fault": fault.astype(np.int8),
    }


def _rows_of(source: IntArray, sequence: IntArray, of_source: IntArray, refers_to: IntArray, begin: int) -> IntArray:
    """Return the rows of payments that are named by their source and number there."""
    keys = (source << _SEQUENCE_BITS) + sequence
    order = np.argsort(keys)
    wanted = (of_source << _SEQUENCE_BITS) + refers_to
    place = np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)
    found = order[place] if len(keys) else place
    row = np.where(keys[found] == wanted, found + begin, BROKEN)
    return np.where(refers_to == NOTHING, NOTHING, row)
