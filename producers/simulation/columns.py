"""Payments as columns: what sectors ask for, and what becomes of it. All columns of one table have one length.

In: nothing. Out: `Demand`, `Payments` and their sparse companions, and how to join them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from schemas.events import METHODS, STATUSES, TRUTH_LABELS, TruthLabel

IntArray = npt.NDArray[np.int64]
SmallArray = npt.NDArray[np.int8]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

CASH: Final = METHODS.index("cash")
VIETQR: Final = METHODS.index("vietqr")
SETTLED, FAILED, REVERSED = (STATUSES.index(status) for status in ("settled", "failed", "reversed"))
NO_BILL: Final = -1
NOTHING: Final = -1
"""No reason, no row referred to."""
LUCK: Final = 3
"""Uniform draws that each payment brings along: for the choice, for the method, for its fate."""


@dataclass(frozen=True)
class Demand:
    """What people have to pay on a day, by whatever method."""

    source: IntArray
    """Index of the till."""
    occurred_at: IntArray
    """UTC epoch milliseconds."""
    amount_vnd: IntArray
    bill: IntArray
    """Month or term, and customer, as one number; or NO_BILL."""
    given: FloatArray
    """Probability that it is paid cashless where the sector knows it, else NaN: then adoption decides."""
    luck: FloatArray
    """Shape (LUCK, n), uniform in [0, 1)."""

    def __len__(self) -> int:
        return len(self.source)


@dataclass(frozen=True)
class Notes:
    """The few payments of which there is more to say."""

    row: IntArray
    """Row of the payment."""
    refers_to: IntArray
    """Row of the attempt before it, or of the payment that it reverses; or NOTHING."""
    attempt: IntArray
    """From 2 on for a repeated attempt, else 1."""
    reason: IntArray
    """Index into FAILURE_REASONS, or NOTHING."""


@dataclass(frozen=True)
class Labels:
    """What is known of payments that their records do not say."""

    row: IntArray
    label: IntArray
    """Index into TRUTH_LABELS."""


@dataclass(frozen=True)
class Payments:
    """What was paid on a day, and what failed."""

    source: IntArray
    occurred_at: IntArray
    amount_vnd: IntArray
    bill: IntArray
    method: SmallArray
    """Index into METHODS."""
    status: SmallArray
    """Index into STATUSES."""
    notes: Notes
    labels: Labels

    def __len__(self) -> int:
        return len(self.source)

    def dense(self, rows: IntArray) -> dict[str, Any]:
        """Return some rows of the columns that have a value for each payment, by name."""
        return {name: getattr(self, name).take(rows) for name in DENSE}

    def take(self, rows: IntArray) -> Payments:
        """Return some rows, in their order; what notes refer to keeps its number."""
        noted, note = _found(self.notes.row, rows, len(self))
        labelled, label = _found(self.labels.row, rows, len(self))
        notes = self.notes
        return Payments(
            **self.dense(rows),
            notes=Notes(noted, notes.refers_to[note], notes.attempt[note], notes.reason[note]),
            labels=Labels(labelled, self.labels.label[label]),
        )


DENSE: Final = ("source", "occurred_at", "amount_vnd", "bill", "method", "status")
DEMAND: Final = ("source", "occurred_at", "amount_vnd", "bill", "given")


def no_numbers() -> IntArray:
    """Return a column without rows."""
    return np.empty(0, dtype=np.int64)


def no_demand() -> Demand:
    """Return demand without rows."""
    empty = no_numbers()
    return Demand(empty, empty, empty, empty, np.empty(0), np.empty((LUCK, 0)))


def join_demand(parts: Iterable[Demand]) -> Demand:
    """Join demand end to end."""
    listed = [part for part in parts if len(part)]
    if not listed:
        return no_demand()
    columns: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in listed]) for name in DEMAND}
    return Demand(**columns, luck=np.concatenate([part.luck for part in listed], axis=1))


def take_demand(demand: Demand, rows: IntArray | BoolArray) -> Demand:
    """Return some rows of demand: in the order that their numbers stand in, or those that are marked."""
    if rows.dtype == bool:
        rows = np.flatnonzero(rows)
    columns: dict[str, Any] = {name: getattr(demand, name).take(rows) for name in DEMAND}
    return Demand(**columns, luck=demand.luck.take(rows, axis=1))


def slice_demand(demand: Demand, rows: slice) -> Demand:
    """Return some rows of demand that follow each other, without copying them."""
    columns: dict[str, Any] = {name: getattr(demand, name)[rows] for name in DEMAND}
    return Demand(**columns, luck=demand.luck[:, rows])


def join_payments(parts: Sequence[Payments]) -> Payments:
    """Join payments end to end; rows of notes and labels move along."""
    begins = np.concatenate([[0], np.cumsum([len(part) for part in parts])])[:-1].tolist()
    dense: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in DENSE}
    notes = [part.notes for part in parts]
    refers = [np.where(n.refers_to < 0, NOTHING, n.refers_to + begin) for n, begin in zip(notes, begins, strict=True)]
    return Payments(
        **dense,
        notes=Notes(
            np.concatenate([note.row + begin for note, begin in zip(notes, begins, strict=True)]),
            np.concatenate(refers),
            np.concatenate([note.attempt for note in notes]),
            np.concatenate([note.reason for note in notes]),
        ),
        labels=Labels(
            np.concatenate([part.labels.row + begin for part, begin in zip(parts, begins, strict=True)]),
            np.concatenate([part.labels.label for part in parts]),
        ),
    )


def label_number(label: TruthLabel) -> int:
    """Return the index of a label in TRUTH_LABELS."""
    return TRUTH_LABELS.index(label)


def _found(special: IntArray, rows: IntArray, length: int) -> tuple[IntArray, IntArray]:
    """Return which of ``rows`` are special, as their positions, and at which place of ``special`` each stands.

    A row may stand several times in either.
    """
    if not len(special):
        return special, special
    order = np.argsort(special, kind="stable")
    ranked = special[order]
    is_special = np.zeros(length, dtype=bool)
    is_special[special] = True
    position = np.flatnonzero(is_special[rows])
    low = np.searchsorted(ranked, rows[position], side="left")
    count = np.searchsorted(ranked, rows[position], side="right") - low
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(position, count), order[np.repeat(low, count) + within]
