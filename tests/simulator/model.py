"""The cheap kind of partition: cells are sums in which each offset has digits of its own.

In: a seed. Out: a log of some ten records, partitions of it, and the truth about each prefix.
A payment at offset o adds 4 ** o, so that a sum tells exactly which offsets are in it, and how often. What
`streams.partitions` and `streams.fold` do besides (windows, tallies, encoding) is left out here; `real` has it.
"""

from __future__ import annotations

import random
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from streams.fold import Folded
from streams.lineage import state_key
from streams.partitions import Flush
from tests.simulator.kinds import NUMBER, Violation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.lineage import Recovered

CELLS = ("r|a", "r|b", "r|c")
NOWHERE = "r|nowhere"
LOGS = 256


class Paid(NamedTuple):
    """A record: no cell, it is malformed."""

    offset: int
    cell: str | None
    identity: int


class Cell(NamedTuple):
    """A cell's state."""

    name: str
    applied_offset: int = -1
    counted: int = 0
    repeated: int = 0
    seen: int = 0


class Registry(set):
    """A worker's copy."""

    def refresh(self) -> None:
        self.update(CELLS)


class ModelKind:
    """Implements `tests.simulator.world.Kind`; with a Partition type that may be a wrong one on purpose."""

    cells = CELLS

    def __init__(self, seed: int, partition_type: type[ModelPartition] | None = None) -> None:
        rng = random.Random(seed)
        self._open = partition_type or ModelPartition
        self._log: list[Paid] = []
        offset = identity = 0
        for _ in range(rng.randint(1, 9)):
            offset += rng.choice((0, 0, 0, 0, 1, 2))
            if self._log and rng.random() < 0.2:
                again = rng.choice(self._log)
                self._log.append(Paid(offset, again.cell, again.identity))
            else:
                cell = rng.choice((*CELLS, *CELLS, *CELLS, None, NOWHERE))
                self._log.append(Paid(offset, cell, identity))
                identity += 1
            offset += 1
        self.offsets = [one.offset for one in self._log]
        self._truth = self._tell_truth()
        self._revisions = [self._revisions_at(prefix) for prefix in self._truth]
        self._dead = {one.offset for one in self._log if one.cell not in CELLS}

    def _tell_truth(self) -> list[dict[str, tuple[int, int]]]:
        """By offset: what each cell counts before it, and repeats."""
        truth = [dict.fromkeys(CELLS, (0, 0))]
        seen = set()
        by_offset = {one.offset: one for one in self._log}
        for offset in range(self.offsets[-1] + 1):
            now = dict(truth[-1])
            one = by_offset.get(offset)
            if one is not None and one.cell in now:
                counted, repeated = now[one.cell]
                new = (one.cell, one.identity) not in seen
                seen.add((one.cell, one.identity))
                now[one.cell] = (counted + 4**offset, repeated) if new else (counted, repeated + 4**offset)
            truth.append(now)
        return truth

    def _revisions_at(self, cells: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
        revisions = {cell: revision(*sums) for cell, sums in cells.items()}
        total = tuple(map(sum, zip(*revisions.values(), strict=True)))
        return revisions | {"total": total}

    def open(self, epoch: int, recovered: Recovered) -> ModelPartition:
        return self._open(epoch, recovered)

    def registry(self, how: int) -> Registry:
        return Registry(CELLS[: how % 4])

    def records(self, begin: int, end: int) -> Sequence[Paid]:
        return self._log[begin:end]

    def next_offset_of(self, own: int) -> int:
        return own

    def check_cell(self, cell: str, value: Cell) -> None:
        if (value.counted, value.repeated) != self._truth[value.applied_offset + 1][cell]:
            raise Violation(f"{cell} after offset {value.applied_offset}: {value.counted:#x}, {value.repeated:#x}")

    def lacks(self, cell: str, value: Cell | None, next_offset: int) -> bool:
        has = 0 if value is None else value.applied_offset + 1
        return has < next_offset and self._truth[has][cell] != self._truth[next_offset][cell]

    def check_told(self, emission: tuple[str, tuple[int, int]], next_offset: int) -> tuple[str, tuple[int, ...]]:
        key, progress = emission
        if progress != self._revisions[next_offset][key]:
            raise Violation(f"{key} at {next_offset} is told as {progress}, not {self._revisions[next_offset][key]}")
        return emission

    def check_dead_letter(self, letter: Paid) -> int:
        if letter.offset not in self._dead:
            raise Violation(f"{letter.offset} is no dead letter")
        return letter.offset

    def check_partition(self, partition: ModelPartition) -> None:
        for cell in CELLS:
            value = partition.cells.get(cell)
            if value is not None:
                self.check_cell(cell, value)
            if self.lacks(cell, value, partition.next_offset):
                raise Violation(f"opened at {partition.next_offset}, and {cell} lacks a payment")

    def check_end(self, lineage: dict[str, Any], own: int) -> None:
        if own != self.offsets[-1] + 1:
            raise Violation(f"the last own state ends at {own}")
        counted = {cell: (value.counted, value.repeated) for cell, value in lineage.items()}
        if dict.fromkeys(CELLS, (0, 0)) | counted != self._truth[-1]:
            raise Violation(f"in the end: {counted}")

    def told_at_end(self) -> dict[str, tuple[int, ...]]:
        return {key: progress for key, progress in self._revisions[-1].items() if progress != (0, 0)}

    def stays_open(self, key: str) -> bool:
        return True

    def dead_letters(self) -> set[int]:
        return self._dead


class ModelPartition:
    """What `streams.partitions.Partition` does, on the cheap cells."""

    passes_over_applied = True
    waits_for_even_cells = True
    begins_with_all_cells = True

    def __init__(self, epoch: int, recovered: Recovered) -> None:
        self.next_offset: int = recovered.own if recovered.own is not None else 0
        self.cells: dict[str, Cell] = {value.name: value for value in recovered.cells}
        self.flushing = 0
        self._epoch = epoch
        self._complete_from = max((cell.applied_offset for cell in self.cells.values()), default=-1) + 1
        self._changed = dict.fromkeys(self.cells) if self.begins_with_all_cells else {}
        self._dirty = recovered.own is not None
        self._dead: list[Paid] = []
        self._told: dict[str, tuple[int, int]] = {}
        self._tells_all = False

    def apply(self, records: Sequence[Paid], registry: Registry, *, registry_is_fresh: bool) -> Folded:
        touched = []
        replayed = 0
        consumed = len(records)
        for position, (offset, name, identity) in enumerate(records):
            if name is None:
                self._dead.append(records[position])
                continue
            cell = self.cells.get(name)
            if cell is None:
                if name not in registry:
                    if not registry_is_fresh:
                        consumed = position
                        break
                    self._dead.append(records[position])
                    continue
                cell = Cell(name)
            if offset <= cell.applied_offset and self.passes_over_applied:
                replayed += 1
                continue
            seen, digit = 1 << identity, 4**offset
            _, _, counted, repeated, had = cell
            new = not had & seen
            sums = (counted + digit, repeated) if new else (counted, repeated + digit)
            self.cells[name] = Cell(name, offset, *sums, had | seen)
            touched.append(name)
        if consumed:
            last = records[consumed - 1].offset
            for name in touched:  # as the real one: a chunk's cells are brought to the chunk's end
                self.cells[name] = self.cells[name]._replace(applied_offset=last)
                self._changed[name] = None
            self.next_offset = last + 1
            self._dirty = True
        return Folded(consumed, [], [], replayed, [], list(records[consumed:]))

    def flush(self, now: int) -> Flush | None:
        if not self._dirty or (self.next_offset < self._complete_from and self.waits_for_even_cells):
            return None
        revisions = {name: revision(cell.counted, cell.repeated) for name, cell in self.cells.items()}
        told = {name: revisions[name] for name in (revisions if self._tells_all else self._changed)}
        if told:
            told["total"] = tuple(map(sum, zip(*revisions.values(), strict=True)))
        news = [(key, progress) for key, progress in told.items() if self._told.get(key) != progress]
        self._told.update(news)
        flush = Flush(
            cells=[(state_key(NUMBER, self._epoch, name), self.cells[name]) for name in self._changed],
            left=[],
            emissions=news,
            dead_letters=self._dead,
            alerts=[],
            probes=[],
            own=(state_key(NUMBER, self._epoch), self.next_offset),
            next_offset=self.next_offset,
            watermark_hours={},
        )
        self.flushing = self.next_offset
        self._changed, self._dirty, self._dead = {}, False, []
        self._tells_all = False
        return flush

    def flushed(self, flush: Flush) -> None:
        pass

    def tell_again(self) -> None:
        self._told.clear()
        self._tells_all, self._dirty = True, self._dirty or bool(self.cells)


def revision(counted: int, repeated: int) -> tuple[int, int]:
    """How many payments, and how many repeats."""
    return counted.bit_count(), repeated.bit_count()


@cache
def model(seed: int, partition_type: type[ModelPartition] | None = None) -> ModelKind:
    """One of `LOGS` logs."""
    return ModelKind(seed % LOGS, partition_type)
