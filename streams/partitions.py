"""One partition in a worker's hands: folded chunk by chunk, made durable flush by flush.

In: chunks, by offset. Out: for each flush the records to write: cell states, adoption, dead letters, alerts; and, once
they are acknowledged, the offset that may be committed.
Pure. What makes it exact:

1. A flush writes the state of every cell that changed, the dead letters and alerts; when that is acknowledged, the
   partition's own state: its `next_offset` says up to where the cells are complete. A crash before that leaves
   cells that are ahead; `applied_offset` in each of them passes over what they have already.
2. The first flush of an owner has all cells, under keys of its own: see `streams.lineage`.
3. Windows leave a cell's state one flush after they were emitted as final and acknowledged.
4. After a recovery nothing is flushed until the records are read again that some cells have and others have not.
   Then everything is emitted once more: emissions replace each other by key.

The order of the writes of a flush is that of `streams.protocol`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from schemas.errors import ExitCode, QuetmaError
from schemas.topics import PAYMENTS
from streams.cells import CellState, close, has_closed, pack, unpack
from streams.emission import Emission, emissions
from streams.fold import Belongs, DeadLetter, Folded, PartitionFold, PartitionState, Record, Registry, always
from streams.fraud import NOBODY, Accounts, judged, looked_up, unsure
from streams.idleness import NO_END, Patience, close_idle, forget_idle, note
from streams.lineage import Recovered, state_key


@dataclass(frozen=True)
class Flush:
    """What is to be written, in the order of `streams.protocol`."""

    cells: list[tuple[bytes, bytes]]
    """Table keys and values of the cells that changed."""
    left: list[bytes]
    """Table keys of the cells that have left."""
    emissions: list[Emission]
    dead_letters: list[DeadLetter]
    alerts: list[tuple[bytes, bytes]]
    """Keys and values."""
    probes: list[int]
    own: tuple[bytes, bytes]
    """Table key and value of the partition's own state."""
    next_offset: int
    watermark_hours: dict[str, int]


@dataclass(frozen=True)
class PartitionSettings:
    """How long things stay."""

    allowed_lateness_ms: int
    """Event time that windows stay open beyond their end."""
    patience: Patience = NO_END
    """With runs that are idle."""
    filter_days: int = 62
    """Simulated days that a source which emits nothing stays in the duplicates filter."""


class IncompleteStateError(QuetmaError):
    """The recovered cells have fewer payments than the partition's own state counts: some of them were not read."""

    exit_code = ExitCode.UNREACHABLE

    def __init__(self, partition: int, cells: int, own: int) -> None:
        found = f"the state of {PAYMENTS}-{partition} counts {own} payments, and its cells only {cells}"
        super().__init__("stream", found, "It starts anew and reads its state again")


class Partition:
    """The fold of one partition and what of it has not been written yet."""

    def __init__(
        self,
        number: int,
        epoch: int,
        recovered: Recovered,
        settings: PartitionSettings,
        *,
        belongs: Belongs = always,
        accounts: Accounts = NOBODY,
    ) -> None:
        """Open a partition from what was recovered, to be written under an epoch; the rest as in `PartitionFold`."""
        state = PartitionState(partition=number)
        if recovered.own is not None:
            state = msgspec.msgpack.decode(recovered.own, type=PartitionState)
        cells = [cell for cell in map(unpack, recovered.cells) if cell.run not in state.ended]
        self.number = number
        self._epoch = epoch
        self._settings = settings
        # Cells may be ahead of the partition's state, and what they have is passed over: so count what they have.
        counted = msgspec.structs.replace(state.forgotten)
        for cell in cells:
            counted.add(cell)
        if counted.applied < state.applied:
            raise IncompleteStateError(number, counted.applied, state.applied)
        state.applied, state.duplicates, state.late = counted.applied, counted.duplicates, counted.late
        self._complete_from = max((cell.applied_offset for cell in cells), default=-1) + 1
        """Offset from which on no cell is ahead of another."""
        self.fold = PartitionFold(state, cells, settings.allowed_lateness_ms, belongs=belongs, accounts=accounts)
        self._accounts = accounts
        self._closed_until: dict[str, int] = {}
        for cell in cells:
            self._closed_until[cell.run] = max(cell.closed_until, self._closed_until.get(cell.run, 0))
        self._changed: dict[int, CellState] = {id(cell): cell for cell in cells}
        self._seen: set[str] = set()
        """Runs that came since the last flush."""
        self._emitted: dict[str, tuple[int, ...]] = {}
        self._tells_all = False
        self._final_keys: list[str] = []
        self._dead_letters: list[DeadLetter] = []
        self._probes: list[int] = []
        self._dirty = recovered.own is not None

    @property
    def next_offset(self) -> int:
        """Offset of the first record that has not been folded."""
        return self.fold.state.next_offset

    def apply(self, records: Iterable[Record], registry: Registry, *, registry_is_fresh: bool) -> Folded:
        """Fold records as `PartitionFold.apply` does, and remember what is to be written."""
        folded = self.fold.apply(records, registry, registry_is_fresh=registry_is_fresh)
        self._dirty = self._dirty or folded.consumed > 0
        self._changed.update((id(cell), cell) for cell in folded.touched)
        self._seen.update(cell.run for cell in folded.touched)
        self._dead_letters += folded.dead_letters
        self._probes += folded.probes
        return folded

    def flush(self, now: int = 0) -> Flush | None:
        """Return what is to be written now, or None if nothing is. It counts as written: an owner that fails ends.

        Args:
            now: UTC epoch milliseconds; without it, no run is idle.
        """
        if self.next_offset < self._complete_from:
            return None
        alerts = self._found_out()
        left = self._let_idle_runs_leave(now)
        if not self._dirty:
            return None
        hours = self.fold.watermark_hours()
        self._let_closed_windows_leave()
        closing = any(has_closed(cell, hours.get(cell.run, 0)) for cell in self.fold.cells)
        changed = self.fold.cells if closing or self._tells_all else self._changed.values()
        emitted = list(emissions(changed, self.fold.cells, hours, self._is_news))
        flush = Flush(
            cells=[(state_key(self.number, self._epoch, cell.key), pack(cell)) for cell in self._changed.values()],
            left=[state_key(self.number, self._epoch, cell.key) for cell in left],
            emissions=emitted,
            dead_letters=self._dead_letters,
            alerts=alerts,
            probes=self._probes,
            own=(state_key(self.number, self._epoch), msgspec.msgpack.encode(self.fold.state)),
            next_offset=self.next_offset,
            watermark_hours=hours,
        )
        self._dead_letters, self._probes, self._changed, self._dirty = [], [], {}, False
        self._tells_all = False
        return flush

    def _let_idle_runs_leave(self, now: int) -> list[CellState]:
        """Close the windows of runs that are idle; return the cells of those that are to be forgotten."""
        state, patience = self.fold.state, self._settings.patience
        note(state, self._seen, now)
        self._seen.clear()
        closes = close_idle(state, self.fold.cells, patience, now)
        left = self.fold.forget(forget_idle(state, self.fold.cells, patience, now))
        for cell in left:
            self._changed.pop(id(cell), None)
            self._closed_until.pop(cell.run, None)
        if left:
            runs = {cell.run for cell in left}
            self._emitted = {key: told for key, told in self._emitted.items() if key.split("|", 1)[0] not in runs}
        self._dirty = self._dirty or closes or bool(left)
        return left

    def _found_out(self) -> list[tuple[bytes, bytes]]:
        """Judge the suspects; return the alerts."""
        state = self.fold.state
        if not state.suspects:
            return []
        alerts, rest = judged(state.suspects, self._accounts, state.watermarks)
        self._dirty = self._dirty or len(rest) < len(state.suspects)
        state.suspects, state.alerts = rest, state.alerts + len(alerts)
        return alerts

    @property
    def waits_for_accounts(self) -> bool:
        """Whether there are suspects whose account is not known."""
        return bool(unsure(self.fold.state.suspects, self._accounts))

    def looked_up(self) -> None:
        """Take note that the accounts have been read to their end."""
        looked_up(self.fold.state.suspects, self._accounts)

    def tell_again(self) -> None:
        """Emit all in the next flush, though it was emitted: an earlier owner's record may have landed after ours."""
        self._emitted.clear()
        self._tells_all = True
        self._dirty = self._dirty or bool(self.fold.cells)

    def flushed(self, flush: Flush) -> None:
        """Take note that all of a flush is acknowledged."""
        self._final_keys += [one.key for one in flush.emissions if one.state[-1]]
        self._closed_until = flush.watermark_hours
        self._dirty = self._dirty or any(self._has_closed(cell) for cell in self.fold.cells)

    def _has_closed(self, cell: CellState) -> bool:
        return has_closed(cell, self._closed_until.get(cell.run, 0))

    def _let_closed_windows_leave(self) -> None:
        for cell in filter(self._has_closed, self.fold.cells):
            close(cell, self._closed_until[cell.run], self._settings.filter_days)
            self._changed[id(cell)] = cell
        for key in self._final_keys:
            self._emitted.pop(key, None)
        self._final_keys = []

    def _is_news(self, key: str, state: tuple[int, ...]) -> bool:
        if self._emitted.get(key) == state:
            return False
        self._emitted[key] = state
        return True
