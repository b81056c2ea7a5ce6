"""Days of payments as Polars frames.

In: days of payments as columns of numbers. Out: frames as `schemas.tables` has them, text where the numbers stood.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl

from producers.accounts import account_of, stranger_of
from producers.digits import digits, index
from producers.encoding import bill_prefixes
from producers.engine import DayOfPayments
from producers.simulation.columns import NO_BILL, NOTHING, VIETQR, IntArray, Payments, label_number
from producers.simulation.world import World
from schemas.events import FAILURE_REASONS, METHODS, SECTORS, STATUSES, TRUTH_LABELS, source_key
from schemas.tables import PAYMENTS, TRUTH, Column, Table

_FRAUD = label_number("fraud")


def type_of(column: Column, *, deterministic: bool = False) -> pl.DataType:
    """Return the Polars type of a column."""
    if column.values:
        return pl.Enum(column.values)
    if column.repeats:
        return pl.Categorical()
    kinds: dict[str, pl.DataType] = {
        "string": pl.String(),
        "integer": pl.Int64(),
        "number": pl.Float64(),
        "boolean": pl.Boolean(),
        "date": pl.Date(),
        "count": pl.Float64() if deterministic else pl.Int64(),
    }
    return kinds[column.type]


def frame_of(table: Table, columns: dict[str, Any], *, deterministic: bool = False) -> pl.DataFrame:
    """Return a frame of a table.

    Args:
        table: which.
        columns: its values by name, each of one length.
        deterministic: whether counts are expectations.
    """
    schema = {column.name: type_of(column, deterministic=deterministic) for column in table.columns}
    return pl.DataFrame({name: columns[name] for name in schema}, schema=schema)


class PaymentFrames:
    """Makes the frames of one run of one world."""

    def __init__(self, world: World, run: str) -> None:
        self._world = world
        tills, ids = range(world.source_count), world.source_ids
        self._keys = pl.Series([f"{source_key(run, id_)}-" for id_ in ids])
        self._bills = pl.Series(bill_prefixes(world))
        cell = index(world.cell_of_source)
        self._source = repeating(ids)
        self._cell = repeating(cell.id for cell in world.cells)[cell]
        self._commune = repeating(place.id for place in world.places)[index(world.commune_of_source)]
        self._sector = pl.Series([cell.sector for cell in world.cells], dtype=pl.Enum(SECTORS))[cell]
        # Behind the accounts of all tills those of the strangers.
        self._account = repeating([*(account_of(world, s) for s in tills), *(stranger_of(world, s) for s in tills)])

    def payments(self, day: DayOfPayments) -> pl.DataFrame:
        """Return the payments of a day, shape (payments, 15), sorted by time."""
        payments, notes = day.payments, day.payments.notes
        failed, again = notes.reason != NOTHING, notes.attempt > 1
        source = index(payments.source)
        columns = {
            "payment_id": self._ids(payments.source, day.sequence),
            "source": self._source[source],
            "cell": self._cell[source],
            "commune": self._commune[source],
            "sector": self._sector[source],
            "beneficiary": self._beneficiaries(payments),
            "sequence": day.sequence,
            "method": METHOD_TEXTS[index(payments.method)],
            "status": _STATUSES[index(payments.status)],
            "amount_vnd": payments.amount_vnd,
            "occurred_at": payments.occurred_at,
            "bill_number": self._bill_numbers(payments),
            "failure_reason": _placed(len(payments), notes.row[failed], _REASONS[index(notes.reason[failed])]),
            "attempt": _placed(len(payments), notes.row[again], pl.Series(notes.attempt[again])),
            "refers_to": self._references(payments),
        }
        return pl.DataFrame({column.name: columns[column.name] for column in PAYMENTS.columns})

    def truth(self, day: DayOfPayments) -> pl.DataFrame:
        """Return what is true of a day's payments beyond their rows, shape (labels, 6)."""
        labels, payments = day.payments.labels, day.payments
        till = payments.source[labels.row]
        source = index(till)
        columns = {
            "payment_id": self._ids(till, day.sequence[labels.row]),
            "source": self._source[source],
            "commune": self._commune[source],
            "sector": self._sector[source],
            "label": _LABELS[index(labels.label)],
            "occurred_at": payments.occurred_at[labels.row],
        }
        return pl.DataFrame({column.name: columns[column.name] for column in TRUTH.columns})

    def _ids(self, source: IntArray, sequence: IntArray) -> pl.Series:
        return _joined(self._keys[index(source)], sequence)

    def _beneficiaries(self, payments: Payments) -> pl.Series:
        swapped = np.zeros(len(payments), dtype=bool)
        swapped[payments.labels.row[payments.labels.label == _FRAUD]] = True
        scanned = (payments.method == VIETQR) & self._world.is_counter[payments.source]
        row = np.flatnonzero(scanned | swapped)
        number = payments.source[row] + self._world.source_count * swapped[row]
        return _placed(len(payments), row, self._account[index(number)])

    def _bill_numbers(self, payments: Payments) -> pl.Series:
        row = np.flatnonzero(payments.bill != NO_BILL)
        prefix = self._bills[index(payments.source[row])]
        return _placed(len(payments), row, _joined(prefix, payments.bill[row]))

    def _references(self, payments: Payments) -> pl.Series:
        notes = payments.notes
        refers = notes.refers_to != NOTHING
        row = notes.row[refers]
        return _placed(len(payments), row, self._ids(payments.source[row], notes.refers_to[refers]))


METHOD_TEXTS = pl.Series(METHODS, dtype=pl.Enum(METHODS))
_STATUSES = pl.Series(STATUSES, dtype=pl.Enum(STATUSES))
_LABELS = pl.Series(TRUTH_LABELS, dtype=pl.Enum(TRUTH_LABELS))
_REASONS = pl.Series(FAILURE_REASONS, dtype=pl.Enum(FAILURE_REASONS))


def repeating(texts: Iterable[str]) -> pl.Series:
    """Return a column of few different texts, to gather from."""
    return pl.Series(list(texts), dtype=pl.Categorical)


def _joined(prefix: pl.Series, numbers: IntArray) -> pl.Series:
    return prefix + digits(numbers)


def _placed(length: int, row: IntArray, values: pl.Series) -> pl.Series:
    """Return a column that has values in some rows, and nothing elsewhere."""
    return values.clear(length).scatter(index(row), values)
