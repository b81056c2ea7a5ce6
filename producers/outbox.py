"""The outbox: what a run has to send, in order, from its beginning on.

In: a plan, orders, a `Beginning`, encoders. Out: `Opening`s of days, blocks that the broker has (`OnTopic`), blocks to
send.
No loop and no network: it runs in a thread of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from producers.ahead import Tomorrow
from producers.blocks import PaymentBlock, RecordBlock
from producers.checkpoints import Beginning
from producers.encoding import PaymentEncoder
from producers.engine import DayOfPayments, ProvinceSimulation
from producers.orders import Orders
from producers.plan import Plan
from producers.progress import day_of
from producers.qr_codes import CodeEncoder
from producers.recovery import Recovery
from producers.simulation.adoption import AdoptionDay
from producers.simulation.calendar import Day
from producers.simulation.columns import IntArray
from producers.simulation.in_force import in_force
from producers.simulation.transmission import Transmission, transmit
from schemas.orders import InterventionApplied


@dataclass(frozen=True)
class Opening:
    """A day begins."""

    day: Day
    before: tuple[RecordBlock, ...]
    """Codes, accounts and truth: they go before the payments. Of a day that is resumed they are sent again."""
    records: int
    """How many records the day has, of all kinds."""
    payments: IntArray
    """By source: payments up to the end of the day."""
    in_force: Mapping[str, int]
    """Interventions that act on the day, by kind."""
    applied: tuple[InterventionApplied, ...]
    """What is decided on orders, before the day."""
    is_new: bool
    """Whether no process before may have sent anything of it."""
    adoption: AdoptionDay


@dataclass(frozen=True)
class OnTopic:
    """Records that the broker has from a process before."""

    block: PaymentBlock


@dataclass(frozen=True)
class CaughtUp:
    """All that the broker has was told: what comes now is to be sent."""


Item = Opening | OnTopic | CaughtUp | PaymentBlock


@dataclass(frozen=True)
class _Made:
    """A day that was simulated."""

    day: DayOfPayments
    payments: IntArray
    """By source, up to its end."""
    applied: tuple[InterventionApplied, ...]
    planned: bool
    """Whether the plan has it."""
    is_new: bool


class Outbox:
    """Makes what there is to send. One use only."""

    def __init__(
        self,
        plan: Plan,
        orders: Orders,
        partitions: int,
        block_events: int,
        *,
        cloud_events: bool,
        tomorrow: Tomorrow | None = None,
    ) -> None:
        """Prepare.

        Args:
            plan: what there is to send.
            orders: what changes it on the way.
            partitions: of the payments topic.
            block_events: records of a block, at most.
            cloud_events: whether payments have headers.
            tomorrow: is waited for before a day begins to be made, if given.
        """
        self._plan, self._orders, self._tomorrow = plan, orders, tomorrow
        self._block_events = block_events
        self._payments = PaymentEncoder(plan.world, plan.run, partitions, cloud_events=cloud_events)
        self._codes = CodeEncoder(plan.world, plan.run, partitions)

    def items(self, beginning: Beginning) -> Iterator[Item]:
        """Yield what there is to send.

        Nothing is to be sent until everything has been found that the broker has: until then the ledger counts less
        than a process before has told.
        """
        recovery, waiting = beginning.recovery, list[PaymentBlock]()
        if recovery.done:
            yield CaughtUp()
        for made in self._days(beginning):
            planned = made.planned
            opening, blocks = self._opened(made)
            if planned:
                yield opening
            if not recovery.done:
                yield from _found(opening, blocks, recovery, waiting, planned=planned)
                if not recovery.done:
                    continue
                yield CaughtUp()
                yield from waiting
                waiting.clear()
            if planned:
                yield from blocks

    def _days(self, beginning: Beginning) -> Iterator[_Made]:
        """Yield days from the checkpoint's on; where orders change the world, it is simulated anew from there on."""
        start = Day.of(self._plan.world.scenario.start)
        first = day_of(beginning.checkpoint).number - start.number
        before = np.array(beginning.checkpoint.payments, dtype=np.int64)
        limit = self._plan.days
        begun = self._orders.begun
        days = ProvinceSimulation(self._orders.world).unnumbered(part=(first, 1))
        for number in count(first):
            planned = limit is None or number < limit
            if not planned and beginning.recovery.done:
                return
            if self._tomorrow and number > first and beginning.recovery.done:
                self._tomorrow.wait((start + number).number)
            decided = self._orders.decide(start + number)
            if decided.changes:  # the days before are the same with it, and cost next to nothing
                days = ProvinceSimulation(self._orders.world).unnumbered(part=(number, 1))
            unnumbered = next(days)
            day = unnumbered.numbered(before)
            before = before + unnumbered.counts
            is_new = begun is None or day.day.number > begun.number
            yield _Made(day, before, decided.applied, planned=planned, is_new=is_new)

    def _opened(self, made: _Made) -> tuple[Opening, Iterator[PaymentBlock]]:
        world, day = self._orders.world, made.day
        sending, labelled = transmit(day.day, day.payments, day.sequence, world, world.scenario.stream_faults)
        day = replace(day, payments=labelled)
        codes = (self._codes.block(issued) for issued in day.codes)
        accounts = (self._codes.registered(issued) for issued in day.codes)
        before = (*codes, *(block for block in accounts if block is not None), self._payments.truth(day))
        records = len(sending) + sum(len(block) for block in before)
        opening = Opening(
            day.day,
            before,
            records,
            made.payments,
            in_force(world.scenario, day.day),
            made.applied,
            made.is_new,
            day.adoption,
        )
        return opening, self._blocks(day, sending)

    def _blocks(self, day: DayOfPayments, sending: Transmission) -> Iterator[PaymentBlock]:
        return self._payments.blocks(day, sending, self._block_events)


def _found(
    opening: Opening,
    blocks: Iterator[PaymentBlock],
    recovery: Recovery,
    waiting: list[PaymentBlock],
    *,
    planned: bool,
) -> Iterator[Opening | OnTopic]:
    """Take blocks of a day until everything has been found that the broker has.

    A process before may have had more days to make: such a day is opened if there is anything of it.

    Args:
        opening: the day's.
        blocks: the day's.
        recovery: what is to be found.
        waiting: takes what is not there, and is to be sent.
        planned: whether the plan has the day.
    """
    opened = planned
    for block in blocks:
        there = recovery.on_topic(block)
        if not opened and there.any():
            opened = True
            yield opening
        if opened:
            yield OnTopic(block.take(np.flatnonzero(there)))
        if planned and not there.all():
            waiting.append(block.take(np.flatnonzero(~there)))
        if recovery.done:
            return
