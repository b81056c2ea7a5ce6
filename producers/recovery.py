"""Recovery: which of the records that are to be sent the broker has already.

In: what a partition holds behind a checkpoint, and blocks in order of sending. Out: the rows that are there.
A partition gets one batch after another, in an order that the scenario alone decides: what is there is a beginning of
what was to be sent. Batches that came twice, and records of other shards, lie in between and are passed over.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from producers.blocks import PaymentBlock
from producers.digits import index
from producers.simulation.columns import BoolArray


class Recovery:
    """Lays the records that are to be sent beside those that are there."""

    def __init__(self, there: Mapping[int, array[int]]) -> None:
        """Take, by partition, the fingerprints of the values that are there, in order."""
        self._tails = {partition: _Tail(marks) for partition, marks in there.items()}

    @property
    def done(self) -> bool:
        """Whether everything that is there has been found: what comes now is new."""
        return all(tail.done for tail in self._tails.values())

    def on_topic(self, block: PaymentBlock) -> BoolArray:
        """Return which rows of the following block are there, shape (n,)."""
        found = np.zeros(len(block), dtype=np.bool_)
        for partition, rows in block.records.rows_by_partition.items():
            tail = self._tails.get(partition)
            if tail is not None and not tail.done:
                values = block.records.value[index(rows)].to_list()
                found[rows[: tail.match([fingerprint(value.encode()) for value in values])]] = True
        return found


@dataclass
class _Tail:
    """What a partition holds, and how much of it has been found."""

    marks: array[int]
    found: int = 0

    @property
    def done(self) -> bool:
        return self.found == len(self.marks)

    def match(self, wanted: Sequence[int]) -> int:
        """Return how many of the following records are there, from the first on."""
        there = 0
        while there < len(wanted) and not self.done:
            there += self.marks[self.found] == wanted[there]
            self.found += 1
        return there


def fingerprint(value: bytes) -> int:
    """Return what stands for a record's value, within this process: 64 bits."""
    return hash(value)
