"""The real kind of partition: `streams.partitions` on payments as they are on the wire.

In: a seed. Out: a log with everything in it (late, out of order, repeated, garbage, unknown), and what should have
been told and kept after each of its records, by `tests.stream_model`, which knows nothing of ``streams``.
"""

from __future__ import annotations

import random
from collections import Counter
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from streams.cells import has_closed, unpack
from streams.fold import PartitionState
from streams.partitions import Partition, PartitionSettings
from tests.cell_reading import as_document, payments
from tests.simulator.kinds import NUMBER, Violation
from tests.stream_model import HOUR_MS, PLACES, Cells, Record, Reference, comparable, random_log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.emission import Emission
    from streams.fold import DeadLetter
    from streams.lineage import Recovered
    from streams.partitions import Flush

REAL_LOGS = 60
COUNTS = ("revision", "duplicates", "late", "final")


class TracedPartition(Partition):
    """Says what its last flush was up to."""

    flushing = 0

    def flush(self, now: int = 0) -> Flush | None:
        flush = super().flush(now)
        self.flushing = self.flushing if flush is None else flush.next_offset
        return flush


class RefreshedCells(Cells):
    """A worker's copy."""

    def refresh(self) -> None:
        self.known = Cells().known


class RealKind:
    """Implements `tests.simulator.world.Kind`."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        self.log: list[Record] = random_log(rng, rng.randint(1, 30))
        self.lateness = rng.choice((0, HOUR_MS, 2 * HOUR_MS))
        self.offsets = [one.offset for one in self.log]
        self.reference = Reference(self.lateness)
        self.told = [self.reference.documents()]
        self.paid = [Counter[str]()]
        for record in self.log:
            self.reference.take(record)
            self.told.append(self.reference.documents())
            self.paid.append(Counter(f"{one.payment.run}|{one.payment.cell}" for one in self.reference.counted))

    @cached_property
    def cells(self) -> Sequence[str]:
        return [f"{place.run}|{place.cell}" for place in PLACES]

    def open(self, epoch: int, recovered: Recovered) -> TracedPartition:
        return TracedPartition(NUMBER, epoch, recovered, PartitionSettings(self.lateness))

    def registry(self, how: int) -> RefreshedCells:
        return RefreshedCells(PLACES[: how % (len(PLACES) + 1)])

    def records(self, begin: int, end: int) -> Sequence[Record]:
        return self.log[begin:end]

    def next_offset_of(self, own: bytes) -> int:
        return msgspec.msgpack.decode(own, type=PartitionState).next_offset

    def check_cell(self, cell: str, value: bytes) -> None:
        state = unpack(value)
        if payments(state.total()) != self.paid[state.applied_offset + 1][cell]:
            raise Violation(f"{cell} after offset {state.applied_offset}: {payments(state.total())} payments")

    def lacks(self, cell: str, value: bytes | None, next_offset: int) -> bool:
        has = 0 if value is None else unpack(value).applied_offset + 1
        return has < next_offset and self.paid[has][cell] != self.paid[next_offset][cell]

    def check_told(self, emission: Emission, next_offset: int) -> tuple[Any, tuple[int, ...]]:
        place, document = (emission.topic, emission.key), msgspec.to_builtins(emission.document)
        if comparable(document) != self.told[next_offset].get(place):
            raise Violation(f"{place} is false after {next_offset} records")
        if document["final"] and document["tallies"] != self.told[-1][place]["tallies"]:
            raise Violation(f"{place} is final, and is not what it comes to")
        return place, _progress(document)

    def check_dead_letter(self, letter: DeadLetter) -> int:
        if letter.record.offset not in self.dead_letters():
            raise Violation(f"{letter.record.offset} is no dead letter")
        return letter.record.offset

    def check_partition(self, partition: TracedPartition) -> None:
        by_key = {cell.key: cell for cell in partition.fold.cells}
        for cell in self.cells:
            state = by_key.get(cell)
            has = 0 if state is None else state.applied_offset + 1
            if state is not None and payments(state.total()) != self.paid[has][cell]:
                raise Violation(f"{cell} is opened wrong")
            if has < partition.next_offset and self.paid[has][cell] != self.paid[partition.next_offset][cell]:
                raise Violation(f"opened at {partition.next_offset}, and {cell} lacks a payment")

    def check_end(self, lineage: dict[str, bytes], own: bytes) -> None:
        state = msgspec.msgpack.decode(own, type=PartitionState)
        reference, length = self.reference, len(self.log)
        cells = {key: unpack(value) for key, value in lineage.items()}
        counts = (state.next_offset, state.processed, state.applied, state.duplicates, state.late)
        expected = (length, length, len(reference.counted), len(reference.repeated), len(reference.late))
        if counts != expected or sum(state.dead_letters.values()) != len(reference.set_aside):
            raise Violation(f"the last own state counts {counts}, not {expected}")
        if {key: payments(cell.total()) for key, cell in cells.items() if payments(cell.total())} != self.paid[-1]:
            raise Violation("the cells' payments are not those of the log")
        vnd = sum(tally["amount_vnd"] for cell in cells.values() for tally in as_document(cell.total()).values())
        if vnd != sum(one.payment.amount_vnd for one in reference.counted if one.payment.status == "settled"):
            raise Violation("the cells' VND are not those of the log")
        if any(has_closed(cell, state.watermarks[cell.run] // HOUR_MS) for cell in cells.values()):
            raise Violation("windows that closed have not left")

    def told_at_end(self) -> dict[Any, tuple[int, ...]]:
        return {place: _progress(document) for place, document in self.told[-1].items()}

    def stays_open(self, key: tuple[str, str]) -> bool:
        return key[1].endswith("|total")

    def dead_letters(self) -> set[int]:
        return set(self.reference.set_aside)


def _progress(document: dict[str, Any]) -> tuple[int, ...]:
    return tuple(document.get(name, 0) for name in COUNTS)


@cache
def real(seed: int) -> RealKind:
    """One of `REAL_LOGS` logs."""
    return RealKind(seed % REAL_LOGS)
