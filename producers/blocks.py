"""Blocks of ready records: what the encoder makes and the publisher sends.

In: nothing. Out: `RecordBlock`, `PaymentBlock`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from producers.digits import index
from producers.record_format import Headers
from producers.simulation.calendar import Day
from producers.simulation.columns import BoolArray, IntArray, Payments, SmallArray
from producers.simulation.transmission import DUPLICATE, MALFORMED


@dataclass(frozen=True)
class RecordBlock:
    """Encoded records of one topic, in the order in which they are to be sent.

    All columns have one length.
    """

    topic: str
    partition: IntArray
    key: pl.Series
    """Texts."""
    value: pl.Series
    """Texts."""
    timestamp: IntArray
    """Event times, UTC epoch milliseconds."""
    headers: list[Headers] | None = None
    """Headers of each record, if any."""

    def __len__(self) -> int:
        return len(self.value)

    @cached_property
    def rows_by_partition(self) -> dict[int, IntArray]:
        """Rows of each partition, rising."""
        order = np.argsort(self.partition, kind="stable")
        numbers, begin = np.unique(self.partition[order], return_index=True)
        ends = [*begin[1:].tolist(), len(order)]
        parts = zip(numbers.tolist(), begin.tolist(), ends, strict=False)  # no part at all where there is no record
        return {number: order[low:high] for number, low, high in parts}

    def between(self, low: int, high: int) -> dict[int, IntArray]:
        """Return, by partition, the rows from ``low`` up to but not including ``high``."""
        if low == 0 and high == len(self):
            return self.rows_by_partition
        cut = {p: rows[slice(*np.searchsorted(rows, [low, high]))] for p, rows in self.rows_by_partition.items()}
        return {partition: rows for partition, rows in cut.items() if len(rows)}

    def take(self, rows: IntArray) -> RecordBlock:
        """Return some rows, in their order."""
        place = index(rows)
        headers = None if self.headers is None else [self.headers[row] for row in rows.tolist()]
        return RecordBlock(
            self.topic, self.partition[rows], self.key[place], self.value[place], self.timestamp[rows], headers
        )


@dataclass(frozen=True)
class PaymentBlock:
    """Records of one simulated day: as bytes, and as columns for the ledger and the pace."""

    day: Day
    records: RecordBlock
    payments: Payments
    """The payment that each record is of; one may stand here several times."""
    cell: IntArray
    """Index of the cell of each payment."""
    sent_at: IntArray
    """Simulated time at which each record is due, rising, UTC epoch milliseconds."""
    fault: SmallArray
    """What befell each record, as in `producers.simulation.transmission`."""

    def __len__(self) -> int:
        return len(self.records)

    def take(self, rows: IntArray) -> PaymentBlock:
        """Return some rows, in their order."""
        columns = (self.cell[rows], self.sent_at[rows], self.fault[rows])
        return PaymentBlock(self.day, self.records.take(rows), self.payments.take(rows), *columns)

    @cached_property
    def is_payment(self) -> BoolArray:
        """Whether a record is a payment's own, and no copy: these alone are counted."""
        return np.asarray((self.fault != DUPLICATE) & (self.fault != MALFORMED))
