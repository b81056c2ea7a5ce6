"""The way to Kafka: in which order the records of a day are sent, and which of them twice, late or spoiled.

In: the payments of a day in order of time. Out: `Transmission`, and labels that tell the truth about each fault.
Whether a payment meets a fault depends on its till and number alone: not on blocks, shards or pace.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from producers.simulation.calendar import Day
from producers.simulation.columns import FloatArray, IntArray, Labels, Payments, SmallArray, label_number
from producers.simulation.random import further, keyed
from producers.simulation.world import World
from schemas.events import TruthLabel
from schemas.scenario.payment_life import StreamFaults

FAULTS: tuple[TruthLabel, ...] = ("duplicate", "out_of_order", "late", "malformed")
PLAIN, DUPLICATE, OUT_OF_ORDER, LATE, MALFORMED = range(len(FAULTS) + 1)
"""What befell a record: nothing, or one of FAULTS. A duplicate and a malformed one are copies of a payment's record."""
SEQUENCE_BITS: Final = 40
"""A till's number stands above its payments' numbers in the key of a draw."""


@dataclass(frozen=True)
class Transmission:
    """Records in order of sending, as columns of one length."""

    row: IntArray
    """Row of the payment."""
    sent_at: IntArray
    """Simulated time of sending, rising, UTC epoch milliseconds; never on a later day than the payment."""
    fault: SmallArray
    """PLAIN, or which fault. Each payment has one record that is no copy."""

    def __len__(self) -> int:
        return len(self.row)


def transmit(
    day: Day, payments: Payments, sequence: IntArray, world: World, faults: StreamFaults
) -> tuple[Transmission, Payments]:
    """Decide how a day's records are sent.

    Args:
        day: the day.
        payments: sorted by time.
        sequence: their numbers.
        world: whose tills they are.
        faults: rates and delays.

    Returns:
        The transmission, and the payments with the labels of the faults.
    """
    hit, fault, draw = _hit(payments, sequence, world, faults)
    wait = -np.log1p(-further(draw, 1)[0])
    sent = payments.occurred_at[hit] + np.rint(1000 * _delay(fault, wait, faults)).astype(np.int64)
    sent = np.minimum(sent, (day + 1).midnight_at - 1)
    return _merged(payments.occurred_at, hit, fault, sent), _labelled(payments, hit, fault)


def with_faults(payments: Payments, sequence: IntArray, world: World, faults: StreamFaults) -> Payments:
    """Return payments with the labels that :func:`transmit` gives them."""
    hit, fault, _ = _hit(payments, sequence, world, faults)
    return _labelled(payments, hit, fault)


def _hit(
    payments: Payments, sequence: IntArray, world: World, faults: StreamFaults
) -> tuple[IntArray, SmallArray, FloatArray]:
    """Return the rows that meet a fault, which one, and the draws that decided it."""
    rates = np.cumsum([getattr(faults, name).value for name in _RATES])
    keys = (world.till_of_source[payments.source] << SEQUENCE_BITS) + sequence
    draw = keyed(world.seed, "stream faults", keys)
    hit = np.flatnonzero(draw < rates[-1])
    draw = draw[hit]
    return hit, (np.searchsorted(rates, draw, side="right") + 1).astype(np.int8), draw


_RATES: Final = ("duplicate_rate", "out_of_order_rate", "late_rate", "malformed_rate")


def _delay(fault: SmallArray, wait: FloatArray, faults: StreamFaults) -> FloatArray:
    """Return by how many seconds records are held back, from exponential draws of mean 1."""
    late = faults.late_seconds.value
    mean = np.array([0.0, faults.duplicate_after_seconds.value, faults.out_of_order_seconds.value, late, 0.0])
    least = np.array([0.0, 0.0, 0.0, late, 0.0])
    return np.asarray(least[fault] + mean[fault] * wait)


def _merged(at: IntArray, hit: IntArray, fault: SmallArray, sent: IntArray) -> Transmission:
    """Take what is held back out of the order and put it, with the copies, where its time comes."""
    keep = np.ones(len(at), dtype=bool)
    keep[hit[(fault == OUT_OF_ORDER) | (fault == LATE)]] = False
    row = np.flatnonzero(keep)
    # A spoiled copy goes before its original, all else behind what is sent at the same time.
    before, behind = (np.searchsorted(at[row], sent, side=side) for side in _SIDES)
    place = np.where(fault == MALFORMED, before, behind)
    order = np.lexsort((hit, sent, place))
    place, hit, sent, fault = place[order], hit[order], sent[order], fault[order]
    faults = np.insert(np.full(len(row), PLAIN, dtype=np.int8), place, fault)
    return Transmission(np.insert(row, place, hit), np.insert(at[row], place, sent), faults)


_SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")


def _labelled(payments: Payments, hit: IntArray, fault: SmallArray) -> Payments:
    numbers = np.array([label_number(label) for label in FAULTS])
    rows = np.concatenate([payments.labels.row, hit])
    labels = np.concatenate([payments.labels.label, numbers[fault - 1]])
    order = np.argsort(rows, kind="stable")
    return replace(payments, labels=Labels(rows[order], labels[order]))
