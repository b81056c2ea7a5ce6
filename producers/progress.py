"""Progress: which days are complete, and so behind which checkpoint a restart begins.

In: days that are opened, and records of them that are acknowledged. Out: days to close, and a `Checkpoint`.
A day is complete when all its records are acknowledged: payments with their copies, codes and truth.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

import numpy as np

from producers.simulation.calendar import Day
from producers.simulation.columns import IntArray
from producers.simulation.transmission import DUPLICATE, LATE, MALFORMED, OUT_OF_ORDER
from schemas.events import Checkpoint

FAULTS = {"duplicates": DUPLICATE, "malformed": MALFORMED, "late": LATE, "out_of_order": OUT_OF_ORDER}
"""Fields of `Checkpoint` and `RunFaults`, and what they count."""


@dataclass
class _OpenDay:
    left: int
    """Records that are not acknowledged yet."""
    payments: IntArray
    """By source: payments up to the end of the day."""
    offsets: dict[int, int] = field(default_factory=dict)
    faults: IntArray = field(default_factory=lambda: np.zeros(MALFORMED + 1, dtype=np.int64))


class Progress:
    """Keeps the days that are open, in order."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Begin behind a checkpoint."""
        self._checkpoint = checkpoint
        self._days: dict[Day, _OpenDay] = {}

    def open(self, day: Day, records: int, payments: IntArray) -> None:
        """Take note of the following day.

        Args:
            day: the day.
            records: how many it has, of all kinds.
            payments: by source, how many there are up to its end.
        """
        self._days[day] = _OpenDay(records, payments)

    def acknowledged(self, day: Day, records: int) -> None:
        """Take note of records of a day that the broker has."""
        self._days[day].left -= records

    def behind(self, day: Day, partition: int, offset: int) -> None:
        """Take note of where the records of a day end so far in a partition of payments."""
        self._days[day].offsets[partition] = offset

    def faulty(self, day: Day, faults: IntArray) -> None:
        """Take note of how many acknowledged records of a day had each fault, counted from PLAIN on."""
        self._days[day].faults += faults

    def closed(self) -> list[Day]:
        """Return the days that are complete, and all before them, and forget them; the checkpoint goes behind."""
        days = []
        for day, book in list(self._days.items()):
            if book.left:
                break
            days.append(day)
            self._close(day, self._days.pop(day))
        return days

    @property
    def checkpoint(self) -> Checkpoint:
        """Where a restart may begin."""
        return self._checkpoint

    def _close(self, day: Day, book: _OpenDay) -> None:
        before = self._checkpoint
        self._checkpoint = before.model_copy(
            update={
                "day": (day + 1).date.isoformat(),
                "offsets": [book.offsets.get(number, offset) for number, offset in enumerate(before.offsets)],
                "payments": book.payments.tolist(),
                **{name: getattr(before, name) + int(book.faults[kind]) for name, kind in FAULTS.items()},
            }
        )


def day_of(checkpoint: Checkpoint) -> Day:
    """Return the first day of which not all is acknowledged."""
    return Day.of(dt.date.fromisoformat(checkpoint.day))
