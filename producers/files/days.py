"""A simulated day on disk: its payments, what is true of them, its sums.

In: numbered days. Out: `Part`s to be written, and `Tallies` for the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from producers.encoding import PaymentEncoder, PaymentText
from producers.engine import DayOfPayments
from producers.files.formats import Format, Part, as_file, as_lines
from producers.files.frames import PaymentFrames
from producers.simulation.columns import IntArray
from producers.simulation.transmission import with_faults
from producers.simulation.world import World
from schemas.events import METHODS, STATUSES
from schemas.tables import PAYMENTS, TRUTH

_STATUS = len(STATUSES)


@dataclass(frozen=True)
class Tallies:
    """Sums of a day, shape (cells, methods, statuses) each."""

    count: IntArray
    amount_vnd: IntArray

    @property
    def payments(self) -> int:
        """Payments, failed ones and reversals included."""
        return int(self.count.sum())


class DayFiles:
    """Makes the files of one run of one world."""

    def __init__(self, world: World, run: str, format_: Format) -> None:
        self._world, self._run, self._format = world, run, format_

    @cached_property
    def _text(self) -> PaymentText:
        return PaymentText(self._world, self._run)

    @cached_property
    def _records(self) -> PaymentEncoder:
        return PaymentEncoder(self._world, self._run, partitions=1)

    @cached_property
    def _frames(self) -> PaymentFrames:
        return PaymentFrames(self._world, self._run)

    def parts(self, day: DayOfPayments) -> list[Part]:
        """Return the files of a day."""
        day = labelled(self._world, day)
        if self._format == "jsonl":
            payments = as_lines(self._text.lines(day.payments, day.sequence))
            truth = as_lines(self._records.truth(day).value)
        else:
            payments = as_file(self._frames.payments(day), self._format)
            truth = as_file(self._frames.truth(day), self._format)
        name = f"{day.day.date}.{self._format}"
        return [
            Part(PAYMENTS.name, f"payments/{name}", len(day.payments), payments),
            Part(TRUTH.name, f"truth/{name}", len(day.payments.labels.row), truth),
        ]

    def tallies(self, day: DayOfPayments) -> Tallies:
        """Return the sums of a day."""
        payments, shape = day.payments, (len(self._world.cells), len(METHODS), _STATUS)
        cell = self._world.cell_of_source[payments.source]
        place = (cell * len(METHODS) + payments.method) * _STATUS + payments.status
        size = int(np.prod(shape))
        count = np.bincount(place, minlength=size)
        # Sums in float64 are exact below 2**53 VND a cell and day, which is more than a province earns in years.
        amount = np.bincount(place, weights=payments.amount_vnd, minlength=size).astype(np.int64)
        return Tallies(count.reshape(shape), amount.reshape(shape))


def labelled(world: World, day: DayOfPayments) -> DayOfPayments:
    """Return a day with the labels of the faults of its way to Kafka, the same as `quetma produce` makes."""
    return replace(day, payments=with_faults(day.payments, day.sequence, world, world.scenario.stream_faults))
