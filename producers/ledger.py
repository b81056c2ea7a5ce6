"""The ledger: the producer's own count of what Kafka acknowledged, per cell and simulated day.

In: rows of payment blocks, once acknowledged. Out: `LedgerEntry` records, the truth that aggregates are held against.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from producers.blocks import PaymentBlock
from producers.sectors.sector import FAILED, SETTLED
from producers.simulation.calendar import Day
from producers.simulation.world import IntArray, World
from schemas.events import METHODS, SCHEMA_VERSION, LedgerEntry, MethodTally

_SETTLED, _FAILED, _VND = range(3)


class Ledger:
    """Counts of one run, in memory; entries are cumulative, so that the last one of a key is the whole truth."""

    def __init__(self, world: World, run: str) -> None:
        self._world = world
        self._run = run
        self._days: dict[Day, IntArray] = {}
        self._changed: dict[Day, IntArray] = {}

    def count(self, block: PaymentBlock, rows: IntArray) -> None:
        """Add acknowledged rows of a block."""
        cells, methods = len(self._world.cells), len(METHODS)
        tallies = self._days.setdefault(block.day, np.zeros((cells, methods, 3), dtype=np.int64))
        place = block.cell[rows] * methods + block.payments.method[rows]
        status, amount = block.payments.status[rows], block.payments.amount_vnd[rows]
        flat = tallies.reshape(-1, 3)
        size = len(flat)
        settled = status == SETTLED
        flat[:, _SETTLED] += np.bincount(place[settled], minlength=size)
        flat[:, _FAILED] += np.bincount(place[status == FAILED], minlength=size)
        # bincount sums in float64, exact below 2**53: one batch is far below.
        flat[:, _VND] += np.bincount(place[settled], weights=amount[settled], minlength=size).astype(np.int64)
        changed = self._changed.setdefault(block.day, np.zeros(cells, dtype=np.int64))
        changed[block.cell[rows]] = 1

    def changed_entries(self) -> Iterator[LedgerEntry]:
        """Yield the entries that changed since the last call."""
        changed, self._changed = self._changed, {}
        for day, flags in changed.items():
            for cell in np.flatnonzero(flags).tolist():
                yield self._entry(day, cell)

    def _entry(self, day: Day, cell: int) -> LedgerEntry:
        spec = self._world.cells[cell]
        return LedgerEntry(
            schema_version=SCHEMA_VERSION,
            run=self._run,
            cell=spec.id,
            commune=self._world.places[spec.commune].id,
            sector=spec.sector,
            day=day.date.isoformat(),
            tallies={
                method: MethodTally(settled=row[_SETTLED], failed=row[_FAILED], amount_vnd=row[_VND])
                for method, row in zip(METHODS, self._days[day][cell].tolist(), strict=True)
                if any(row)
            },
        )
