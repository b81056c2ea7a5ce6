"""The ledger: the producer's own count of what Kafka acknowledged, per cell and simulated day.

In: rows of payment blocks, once acknowledged, and counts of the faults put in. Out: `LedgerEntry` and `RunFaults`
records, the truth that aggregates are held against.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np

from producers.blocks import PaymentBlock
from producers.simulation.calendar import Day
from producers.simulation.columns import FAILED, IntArray
from producers.simulation.world import CellSpec, World
from schemas.events import METHODS, SCHEMA_VERSION, RunFaults

MEASURES: Final = ("settled", "failed", "reversed", "amount_vnd", "reversed_vnd")
"""Fields of a tally, in the order of its columns here; the first three count the STATUSES."""
_encode: Final = msgspec.json.Encoder().encode
_WIDTH: Final = len(MEASURES)
_VND_COLUMN: Final = np.array([MEASURES.index(name) for name in ("amount_vnd", "amount_vnd", "reversed_vnd")])
"""Of each status, the column that sums its VND; a failed payment adds none."""


class Ledger:
    """Counts of the days of a run that are open; entries are cumulative: the last one of a key is the whole truth."""

    def __init__(self, world: World, run: str) -> None:
        self._world = world
        self._run = run
        self._days: dict[Day, IntArray] = {}
        self._changed: dict[Day, IntArray] = {}
        self._faults = RunFaults(schema_version=SCHEMA_VERSION, run=run, shard=world.cells[0].id)
        self._faults_changed = False

    def count(self, block: PaymentBlock, rows: IntArray) -> None:
        """Add acknowledged rows of a block: its payments, each once, and no copies of them."""
        cells, methods = len(self._world.cells), len(METHODS)
        tallies = self._days.setdefault(block.day, np.zeros((cells, methods, _WIDTH), dtype=np.int64))
        status = block.payments.status[rows]
        place = (block.cell[rows] * methods + block.payments.method[rows]) * _WIDTH
        amount = np.where(status == FAILED, 0, block.payments.amount_vnd[rows])
        flat = tallies.reshape(-1)
        np.add.at(flat, place + status, 1)
        np.add.at(flat, place + _VND_COLUMN[status], amount)
        changed = self._changed.setdefault(block.day, np.zeros(cells, dtype=np.int64))
        changed[block.cell[rows]] = 1

    def count_faults(self, *, duplicates: int = 0, malformed: int = 0, late: int = 0, out_of_order: int = 0) -> None:
        """Add faults that were put in, once acknowledged: second copies, spoiled copies, payments held back."""
        more = {"duplicates": duplicates, "malformed": malformed, "late": late, "out_of_order": out_of_order}
        if any(more.values()):
            sums = {kind: getattr(self._faults, kind) + count for kind, count in more.items()}
            self._faults = self._faults.model_copy(update=sums)
            self._faults_changed = True

    def forget(self, day: Day) -> None:
        """Let go of a day that is complete, and whose entries have been told."""
        self._days.pop(day, None)

    def changed_faults(self) -> RunFaults | None:
        """Return the faults put in so far if there are more since the last call."""
        changed, self._faults_changed = self._faults_changed, False
        return self._faults if changed else None

    def changed_entries(self) -> Iterator[tuple[str, bytes]]:
        """Yield key and wire form of the entries that changed since the last call, as `LedgerEntry` has them."""
        changed, self._changed = self._changed, {}
        for day, flags in changed.items():
            cells = np.flatnonzero(flags)
            rows = self._days[day][cells].tolist()
            for cell, by_method in zip(cells.tolist(), rows, strict=True):
                yield self._entry(day.date.isoformat(), self._world.cells[cell], by_method)

    def _entry(self, day: str, cell: CellSpec, by_method: list[list[int]]) -> tuple[str, bytes]:
        """Return an entry, unchecked: it is counted here, and there are thousands a second."""
        entry = {
            "kind": "cell_day",
            "schema_version": SCHEMA_VERSION,
            "run": self._run,
            "cell": cell.id,
            "commune": self._world.places[cell.commune].id,
            "sector": cell.sector,
            "day": day,
            "tallies": {
                method: dict(zip(MEASURES, row, strict=True))
                for method, row in zip(METHODS, by_method, strict=True)
                if any(row)
            },
        }
        return f"{self._run}|{cell.id}|{day}", _encode(entry)
