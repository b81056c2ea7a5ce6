"""The fold of one partition: records in, cells changed, records set aside.

In: records in order of offset, and a registry of cells. Out: a `Folded` for each chunk.
Pure, and the same for any division into chunks: tests hold it to that.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final, Protocol

import msgspec

from schemas.events import SCHEMA_VERSION, Cell, DeadLetterReason, PaymentRow, decode_payment
from streams import tallies
from streams.cells import HOUR_MS, CellState, add_late
from streams.fraud import NOBODY, Accounts, Suspect, suspect
from streams.tallies import METHOD_INDEX, VND, empty, of_lanes

MAX_TIME_DIGITS: Final = 15
NO_CELLS: Final[dict[str, CellState]] = {}
MAX_DETAIL: Final = 200
"""Longest explanation of a dead letter; it may quote the record, which can be of any length."""


class Record(Protocol):
    """What the fold reads of a Kafka record."""

    offset: int
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


class Registry(Protocol):
    """Where cells are looked up: the worker's copy of ``quetma.cells``."""

    def get(self, run: str, cell: str) -> Cell | None:
        """Return what a run announced of a cell."""


class Counted(msgspec.Struct, gc=False):
    """What cells have counted."""

    applied: int = 0
    duplicates: int = 0
    late: int = 0

    def add(self, cell: CellState) -> None:
        """Add what a cell has counted."""
        self.applied += cell.payments()
        self.duplicates += cell.duplicates
        self.late += cell.late


class PartitionState(msgspec.Struct, gc=False):
    """What a worker knows of a partition as a whole, written last: up to `next_offset` its cells are complete."""

    partition: int
    next_offset: int = 0
    watermarks: dict[str, int] = msgspec.field(default_factory=dict)
    """Of each run, the time up to which windows have closed, UTC epoch milliseconds: the newest event time seen
    less the lateness that was allowed then. Allowing more later opens no window again."""
    processed: int = 0
    applied: int = 0
    duplicates: int = 0
    late: int = 0
    dead_letters: dict[str, int] = msgspec.field(default_factory=dict)
    suspects: list[Suspect] = msgspec.field(default_factory=list)
    """Payments to an account that their till had not registered by then."""
    alerts: int = 0
    """Of these, how many were found out."""
    seen_at: dict[str, int] = msgspec.field(default_factory=dict)
    """Of each run, when it was last seen by the wall clock, UTC epoch milliseconds."""
    ended: list[str] = msgspec.field(default_factory=list)
    """Runs that were idle for so long that their cells have left."""
    forgotten: Counted = msgspec.field(default_factory=Counted)
    """What was counted of cells that have left."""


class DeadLetter(msgspec.Struct):
    """A record set aside."""

    record: Any
    reason: DeadLetterReason
    detail: str


class Folded(msgspec.Struct):
    """What folding did."""

    consumed: int
    """Records folded."""
    touched: list[CellState]
    """Cells whose state changed; read again after a crash, also those that were ahead."""
    dead_letters: list[DeadLetter]
    replayed: int
    """Records that were in the state already."""
    probes: list[int]
    """Values of the header ``sent_at``, UTC epoch milliseconds."""
    waiting: list[Record]
    """Records that were not folded, since the cell of the first must be looked up before."""


Belongs = Callable[[str], bool]
"""Commune → whether its payments belong on the partition."""


def always(_commune: str) -> bool:
    """Say that it does."""
    return True


class PartitionFold:
    """Folds the records of one partition."""

    def __init__(
        self,
        state: PartitionState,
        cells: Iterable[CellState],
        allowed_lateness_ms: int,
        *,
        belongs: Belongs = always,
        accounts: Accounts = NOBODY,
    ) -> None:
        """Open with what is known.

        Args:
            state: of the partition.
            cells: of the partition.
            allowed_lateness_ms: event time that windows stay open beyond their end.
            belongs: whether a commune's payments belong on this partition.
            accounts: what tills have registered.
        """
        self.state = state
        self._belongs = belongs
        self._by_run: dict[str, dict[str, CellState]] = {}
        for cell in cells:
            self._by_run.setdefault(cell.run, {})[cell.cell] = cell
        self._lateness = allowed_lateness_ms
        self._accounts = accounts

    @property
    def cells(self) -> Collection[CellState]:
        """All cells of the partition."""
        return [cell for cells in self._by_run.values() for cell in cells.values()]

    def forget(self, runs: Iterable[str]) -> list[CellState]:
        """Give up runs; return their cells."""
        return [cell for run in runs for cell in self._by_run.pop(run, NO_CELLS).values()]

    def watermark_hours(self) -> dict[str, int]:
        """Return the first hour that has not closed, of each run."""
        return {run: watermark // HOUR_MS for run, watermark in self.state.watermarks.items()}

    def apply(  # noqa: C901, PLR0912, PLR0915  # one loop on purpose: a call costs more than most records do
        self, records: Iterable[Record], registry: Registry, *, registry_is_fresh: bool
    ) -> Folded:
        """Fold records, in order of offset, and say what changed.

        Args:
            records: a piece of the partition from `state.next_offset` on, without what is before it.
            registry: where unknown cells are looked up.
            registry_is_fresh: whether the registry was read after the records were fetched. If not, folding
                stops before a record whose cell is unknown; if so, that record is set aside.
        """
        state, lateness = self.state, self._lateness
        decode, method_index, hour_ms = decode_payment, METHOD_INDEX, HOUR_MS
        dead: list[DeadLetter] = []
        probes: list[int] = []
        run, registered, cells = "", None, NO_CELLS
        newest = floor = edge = 0
        applied = duplicates = replayed = late = 0
        waiting: list[Record] = []
        offset = position = 0
        unread = iter(records)
        for position, record in enumerate(unread, 1):  # noqa: B007  # its last value counts
            offset = record.offset
            try:
                row = decode(record.value)  # type: ignore[arg-type]  # None raises TypeError, caught below
            except (msgspec.MsgspecError, TypeError, UnicodeDecodeError, RecursionError) as error:
                dead.append(_dead_letter(record, error))
                continue
            if record.headers:
                probes.extend(_sent_at(record.headers))
            if row.run != run:
                self._pass(run, newest)
                run = row.run
                registered, cells = self._accounts.of_run(run), self._by_run.get(run, NO_CELLS)
                newest = state.watermarks.get(run, 0) + lateness
                floor, edge = self._hours_around(newest)
            if (cell := cells.get(row.cell)) is None:
                if run in state.ended:
                    dead.append(DeadLetter(record, DeadLetterReason.ENDED_RUN, run))
                    continue
                cell = self._new_cell(row, registry)
                if cell is None:
                    if not registry_is_fresh:
                        waiting = [record, *unread]
                        break
                    dead.append(_homeless(record, row, registry))
                    continue
                cells = self._by_run.get(run, NO_CELLS)
            if row.commune != cell.commune or row.sector != cell.sector:
                found = f"{row.cell}: commune {row.commune}, sector {row.sector}"
                dead.append(DeadLetter(record, DeadLetterReason.UNKNOWN_CELL, found))
                continue
            occurred_at = row.occurred_at
            if occurred_at > newest:
                newest = occurred_at
                if newest >= edge:
                    floor, edge = self._hours_around(newest)
            beneficiary = row.beneficiary
            strange = beneficiary is not None and registered is not None and registered.get(row.source) != beneficiary
            if offset <= cell.applied_offset:
                replayed += 1
                if strange:  # suspects are in the partition's own state, which the cell is ahead of
                    state.suspects.append(suspect(row))
                continue
            cell.applied_offset = offset
            source, sequence = row.source, row.sequence
            if cell.highest.get(source, 0) + 1 == sequence:
                cell.highest[source] = sequence
            elif not cell.admit(source, sequence):
                cell.duplicates += 1
                duplicates += 1
                continue
            if strange:
                state.suspects.append(suspect(row))
            applied += 1
            hour = occurred_at // hour_ms
            if occurred_at < floor:
                late += 1
                single = empty()
                tallies.count(single, row.method, row.status, row.amount_vnd)
                add_late(cell, hour, of_lanes(single), floor // hour_ms)
                continue
            numbers = cell.hours.get(hour)
            if numbers is None:
                numbers = cell.hours[hour] = empty()
            if row.status == "settled":  # nearly all
                method = method_index[row.method]
                numbers[method] += 1
                numbers[VND + method] += row.amount_vnd
            else:
                tallies.count(numbers, row.method, row.status, row.amount_vnd)
        self._pass(run, newest)
        consumed, begin = position - bool(waiting), state.next_offset
        if consumed:
            state.next_offset = offset + 1 - bool(waiting)
        state.processed += consumed
        state.applied += applied
        state.duplicates += duplicates
        state.late += late
        for letter in dead:
            state.dead_letters[letter.reason] = state.dead_letters.get(letter.reason, 0) + 1
        touched = [cell for cell in self.cells if cell.applied_offset >= begin]
        return Folded(consumed, touched, dead, replayed, probes, waiting)

    def _pass(self, run: str, newest: int) -> None:
        """Move a run's watermark on to its newest event time less the lateness allowed; never back."""
        watermarks, watermark = self.state.watermarks, newest - self._lateness
        if watermark > watermarks.get(run, 0):
            watermarks[run] = watermark

    def _hours_around(self, newest: int) -> tuple[int, int]:
        """Return where the first hour begins that is open, and the event time that closes it."""
        floor = (newest - self._lateness) // HOUR_MS * HOUR_MS
        return floor, floor + HOUR_MS + self._lateness

    def _new_cell(self, row: PaymentRow, registry: Registry) -> CellState | None:
        known = registry.get(row.run, row.cell)
        if known is None or not self._belongs(known.commune):
            return None
        cell = CellState(
            run=row.run, cell=row.cell, commune=known.commune, sector=known.sector, province=known.province
        )
        if row.commune == known.commune and row.sector == known.sector:  # else it is set aside, and leaves no cell
            self._by_run.setdefault(row.run, {})[row.cell] = cell
        return cell


def _homeless(record: Record, row: PaymentRow, registry: Registry) -> DeadLetter:
    """Say why a payment has no cell here."""
    if registry.get(row.run, row.cell) is None:
        return DeadLetter(record, DeadLetterReason.UNKNOWN_CELL, f"{row.run}: {row.cell}")
    return DeadLetter(record, DeadLetterReason.MISROUTED, f"{row.commune} is not on this partition")


def _sent_at(headers: Sequence[tuple[str, bytes | None]]) -> list[int]:
    """Return the times in the headers; anybody may have written them, so what is no time is passed over."""
    return [
        int(value)
        for name, value in headers
        if name == "sent_at" and value and value.isdigit() and len(value) <= MAX_TIME_DIGITS
    ]


_REASON_OF_FIELD: dict[str, DeadLetterReason] = {
    "$.amount_vnd": DeadLetterReason.AMOUNT,
    "$.occurred_at": DeadLetterReason.TIME,
}


def _dead_letter(record: Record, error: Exception) -> DeadLetter:
    """Say why a record could not be decoded: the version first, since it decides what the rest means."""
    try:
        document = msgspec.json.decode(record.value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        document = None
    if isinstance(document, dict) and document.get("schema_version", SCHEMA_VERSION) != SCHEMA_VERSION:
        found = f"schema_version {document['schema_version']!r}; this worker reads {SCHEMA_VERSION}"
        return DeadLetter(record, DeadLetterReason.VERSION, found[:MAX_DETAIL])
    detail = str(error)
    reasons = (reason for field, reason in _REASON_OF_FIELD.items() if f"`{field}`" in detail)
    return DeadLetter(record, next(reasons, DeadLetterReason.MALFORMED), detail[:MAX_DETAIL])
