"""Days of small worlds, as tests look at them: as rows of plain values that any two days can be compared by.

In: worlds, days of payments. Out: rows by source, transmissions, statistics.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from producers.simulation.columns import NOTHING, Labels, Notes, Payments, no_numbers
from producers.simulation.transmission import PLAIN, Transmission, transmit
from tests.worlds import FEW

if TYPE_CHECKING:
    from producers.engine import DayOfPayments
    from producers.simulation.world import World

QUIET = {f"stream_faults.{name}_rate.value": 0.0 for name in ("duplicate", "out_of_order", "late", "malformed")}
"""No fault on the way to Kafka."""
CLEAN = FEW | QUIET
FAULTY = FEW | {f"stream_faults.{name}_rate.value": 0.05 for name in ("duplicate", "out_of_order", "late", "malformed")}
"""A fifth of the records meets a fault."""
TROUBLED = {f"{sector}.cashless.failure_rate.value": 0.3 for sector in ("market_stall", "electricity", "ecommerce")}
TROUBLED |= {"payment_life.reversal_rate.value": 0.2}
"""Many payments fail and are reversed."""


class Row(NamedTuple):
    """A payment and all that is noted of it."""

    sequence: int
    occurred_at: int
    amount_vnd: int
    bill: int
    method: int
    status: int
    refers_to: int
    attempt: int
    reason: int
    labels: tuple[int, ...]


def rows_of(day: DayOfPayments) -> list[tuple[int, Row]]:
    """The payments of a day in order, each with its source."""
    payments, count = day.payments, len(day.payments)
    refers_to, attempt, reason = np.full(count, NOTHING), np.ones(count, dtype=np.int64), np.full(count, NOTHING)
    notes = payments.notes
    refers_to[notes.row], attempt[notes.row], reason[notes.row] = notes.refers_to, notes.attempt, notes.reason
    labels: dict[int, list[int]] = defaultdict(list)
    for row, label in zip(payments.labels.row.tolist(), payments.labels.label.tolist(), strict=True):
        labels[row].append(label)
    dense = (payments.occurred_at, payments.amount_vnd, payments.bill, payments.method, payments.status)
    columns = [column.tolist() for column in (day.sequence, *dense, refers_to, attempt, reason)]
    rows = [Row(*values, tuple(sorted(labels[row]))) for row, values in enumerate(zip(*columns, strict=True))]
    return list(zip(payments.source.tolist(), rows, strict=True))


def by_source(world: World, day: DayOfPayments) -> dict[str, list[Row]]:
    """The payments of a day by the id of their source."""
    found: dict[str, list[Row]] = defaultdict(list)
    for source, row in rows_of(day):
        found[world.source_ids[source]].append(row)
    return dict(found)


def sent(world: World, day: DayOfPayments) -> tuple[DayOfPayments, Transmission]:
    """A day with the labels of its faults, and how it is sent."""
    sending, payments = transmit(day.day, day.payments, day.sequence, world, world.scenario.stream_faults)
    return replace(day, payments=payments), sending


def in_order(payments: Payments) -> Transmission:
    """Send each payment once, at its time."""
    return Transmission(np.arange(len(payments)), payments.occurred_at, np.full(len(payments), PLAIN, dtype=np.int8))


def payments_of(
    source: np.ndarray, at: np.ndarray, amount_vnd: np.ndarray, bill: np.ndarray, method: np.ndarray
) -> Payments:
    """Settled payments of which there is no more to say."""
    none = no_numbers()
    status = np.zeros(len(source), dtype=np.int8)
    notes, labels = Notes(none, none, none, none), Labels(none, none)
    return Payments(source, at, amount_vnd, bill, method.astype(np.int8), status, notes, labels)


def within(share: float, expected: float, count: int) -> bool:
    """Whether a share of ``count`` draws is within four standard errors of what is expected."""
    return abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / count)


def chi_square(observed: np.ndarray, weights: np.ndarray) -> float:
    """How far counts are from weights."""
    expected = observed.sum() * weights / weights.sum()
    return float(((observed - expected) ** 2 / expected).sum())


def chi_square_limit(bins: int) -> float:
    """The value that one in ten thousand exceeds (Wilson and Hilferty's approximation)."""
    freedom = bins - 1
    return freedom * (1 - 2 / (9 * freedom) + 3.72 * math.sqrt(2 / (9 * freedom))) ** 3
