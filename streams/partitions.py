"""One partition in a worker's hands: folded chunk by chunk, made durable flush by flush.

In: chunks, by offset. Out: for each flush the records to write: cell states, adoption, dead letters; and, once they
are acknowledged, the offset that may be committed.
Pure: the worker (`streams.app`) does the waiting. The order of writing carries the exactness:

1. A flush writes the state of every cell that changed and the dead letters; when that is acknowledged, the
   partition's own state: its `next_offset` says up to where the cells are complete. A crash before that leaves
   cells that are ahead; `applied_offset` in each of them passes over what they have already.
2. Adoption is written when the cells are acknowledged, not before: what was told never exceeds what is durable.
3. Only when all of a flush is acknowledged may its offset be committed. What was not is in the next flush again.
4. Windows leave a cell's state one flush after they were emitted as final and acknowledged.
5. After a recovery nothing is flushed until the records are read again that some cells have and others have not.
   Then everything is emitted once more: emissions replace each other by key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from streams.cells import CellState, close, has_closed, pack, unpack
from streams.emission import Emission, emissions
from streams.fold import Belongs, DeadLetter, Folded, PartitionFold, PartitionState, Record, Registry, always
from streams.tallies import payments

_KEY_SEPARATOR: Final = "|"


@dataclass(frozen=True)
class Flush:
    """What is to be written: first `cells` and `dead_letters`; these acknowledged, `own`, then `emissions`."""

    cells: list[tuple[bytes, bytes]]
    """Table keys and values of the cells that changed."""
    emissions: list[Emission]
    dead_letters: list[DeadLetter]
    probes: list[int]
    own: tuple[bytes, bytes]
    """Table key and value of the partition's own state."""
    next_offset: int
    watermark_hours: dict[str, int]


class Partition:
    """The fold of one partition and what of it has not been written yet."""

    def __init__(
        self, number: int, table: dict[bytes, bytes], allowed_lateness_ms: int, belongs: Belongs = always
    ) -> None:
        """Open a partition from what the table holds of it; ``belongs`` as in `PartitionFold`."""
        prefix = _key(number, "")
        state = PartitionState(partition=number)
        cells: list[CellState] = []
        for key, value in table.items():
            if key == prefix:
                state = msgspec.msgpack.decode(value, type=PartitionState)
            elif key.startswith(prefix):
                cells.append(unpack(value))
        self.number = number
        self.known = prefix in table
        """Whether there was a state to open."""
        # Cells may be ahead of the partition's state, and what they have is passed over: so count what they have.
        state.applied = sum(payments(cell.total()) for cell in cells)
        state.duplicates = sum(cell.duplicates for cell in cells)
        state.late = sum(cell.late for cell in cells)
        self._complete_from = max((cell.applied_offset for cell in cells), default=-1) + 1
        """Offset from which on no cell is ahead of another."""
        self.fold = PartitionFold(state, cells, allowed_lateness_ms, belongs)
        self._closed_until: dict[str, int] = {}
        for cell in cells:
            self._closed_until[cell.run] = max(cell.closed_until, self._closed_until.get(cell.run, 0))
        self._changed: dict[int, CellState] = {id(cell): cell for cell in cells}
        self._emitted: dict[str, tuple[int, ...]] = {}
        self._final_keys: list[str] = []
        self._dead_letters: list[DeadLetter] = []
        self._probes: list[int] = []
        self._dirty = bool(cells)
        self._in_flight: tuple[Flush, dict[int, CellState]] | None = None

    @property
    def next_offset(self) -> int:
        """Offset of the first record that has not been folded."""
        return self.fold.state.next_offset

    def apply(self, records: Sequence[Record], registry: Registry, *, registry_is_fresh: bool) -> Folded:
        """Fold records as `PartitionFold.apply` does, and remember what is to be written."""
        folded = self.fold.apply(records, registry, registry_is_fresh=registry_is_fresh)
        self._dirty = self._dirty or folded.consumed > 0
        self._changed.update((id(cell), cell) for cell in folded.touched)
        self._dead_letters += folded.dead_letters
        self._probes += folded.probes
        return folded

    def flush(self) -> Flush | None:
        """Return what is to be written now, or None if nothing is."""
        if self.next_offset < self._complete_from:
            return None
        self._take_back()
        if not self._dirty:
            return None
        hours = self.fold.watermark_hours()
        self._let_closed_windows_leave()
        closing = any(has_closed(cell, hours.get(cell.run, 0)) for cell in self.fold.cells)
        changed = self.fold.cells if closing else self._changed.values()
        emitted = [one for one in emissions(changed, self.fold.cells, hours) if self._is_news(one)]
        flush = Flush(
            cells=[(_key(self.number, cell.key), pack(cell)) for cell in self._changed.values()],
            emissions=emitted,
            dead_letters=self._dead_letters,
            probes=self._probes,
            own=(_key(self.number, ""), msgspec.msgpack.encode(self.fold.state)),
            next_offset=self.next_offset,
            watermark_hours=hours,
        )
        self._in_flight = flush, self._changed
        self._dead_letters, self._probes, self._changed, self._dirty = [], [], {}, False
        return flush

    def flushed(self, flush: Flush) -> None:
        """Take note that all of a flush is acknowledged."""
        if self._in_flight is None or self._in_flight[0] is not flush:
            return  # a later flush has what it had
        self._in_flight = None
        self._final_keys += [one.key for one in flush.emissions if one.state[-1]]
        self._closed_until = flush.watermark_hours
        self._dirty = self._dirty or any(self._has_closed(cell) for cell in self.fold.cells)

    def _take_back(self) -> None:
        """Count as not written what was in a flush that was not acknowledged."""
        if self._in_flight is None:
            return
        flush, changed = self._in_flight
        self._in_flight = None
        self._changed = {**changed, **self._changed}
        self._dead_letters = flush.dead_letters + self._dead_letters
        self._probes = flush.probes + self._probes
        for one in flush.emissions:
            self._emitted.pop(one.key, None)
        self._dirty = True

    def _has_closed(self, cell: CellState) -> bool:
        return has_closed(cell, self._closed_until.get(cell.run, 0))

    def _let_closed_windows_leave(self) -> None:
        for cell in filter(self._has_closed, self.fold.cells):
            close(cell, self._closed_until[cell.run])
            self._changed[id(cell)] = cell
        for key in self._final_keys:
            self._emitted.pop(key, None)
        self._final_keys = []

    def _is_news(self, emission: Emission) -> bool:
        if self._emitted.get(emission.key) == emission.state:
            return False
        self._emitted[emission.key] = emission.state
        return True


def _key(partition: int, cell: str) -> bytes:
    return f"{partition}{_KEY_SEPARATOR}{cell}".encode()
