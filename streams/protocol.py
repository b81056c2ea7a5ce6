"""The protocol of exactness: what the owner of a partition does with what happens to it.

In: what has happened: claimed, recovered, a chunk, an answer, time to flush, an acknowledgement, closed. Out: commands
that the worker (`streams.app`) executes; it tells the owner what became of each.
Pure: no clock, no network, no loop. The tests' simulator drives it through millions of orders of events.

An owner claims its partition, which gives it an epoch (`streams.lineage`), and only then reads the changelog to its
end, so that it has all that others have written before. Then it folds chunks and flushes what changed, again and
again, in the order that `Owner._course` has. A flush whose writing fails ends it: nobody can say whether those records
land later, on top of what it would write next. A fresh owner, with an epoch of its own, goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from streams.emission import Emission
from streams.fold import DeadLetter, Folded, Record, Registry
from streams.lineage import Recovered, StateRecord, Table, recover
from streams.partitions import Flush


class Chunk(Protocol):
    """A fetched piece of the partition."""

    @property
    def first(self) -> int:
        """Offset of the first record."""

    @property
    def last(self) -> int:
        """Offset of the last record."""

    def since(self, offset: int) -> Iterable[Record]:
        """Return the records from an offset on. It is asked once."""


class Foldable(Protocol):
    """What the owner folds with: `streams.partitions.Partition`, or a test's stand-in."""

    @property
    def next_offset(self) -> int:
        """Offset of the first record that has not been folded."""

    def apply(self, records: Iterable[Record], registry: Registry, *, registry_is_fresh: bool) -> Folded:
        """Fold records."""

    def flush(self, now: int) -> Flush | None:
        """Return what is to be written now, UTC epoch milliseconds."""

    def flushed(self, flush: Flush) -> None:
        """Take note that all of a flush is acknowledged."""

    def tell_again(self) -> None:
        """Emit all in the next flush."""


@dataclass(frozen=True, eq=False)
class Claim:
    """Write a claim to the changelog; tell its offset by `Owner.claimed`."""


@dataclass(frozen=True, eq=False)
class CatchUp:
    """Read the changelog, now that the claim is in it, to its end as it is by then; tell by `Owner.recovered`."""


@dataclass(frozen=True, eq=False)
class Look:
    """Look for the first record from an offset on; tell by `Owner.looked`."""

    at_least: int
    chunk: Chunk


@dataclass(frozen=True, eq=False)
class Refresh:
    """Read the registry of cells again; tell by `Owner.refreshed`."""

    waiting: Sequence[Record]
    """The records that are folded then."""


@dataclass(frozen=True, eq=False)
class Write:
    """Write all of this, in order within each topic; tell by `Owner.acknowledged`, or by `Owner.failed`."""

    state: Sequence[StateRecord] = ()
    dead_letters: Sequence[DeadLetter] = ()
    alerts: Sequence[tuple[bytes, bytes]] = ()
    """Keys and values."""
    emissions: Sequence[Emission] = ()
    probes: Sequence[int] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to wait for."""
        return not (self.state or self.dead_letters or self.alerts or self.emissions)


@dataclass(frozen=True, eq=False)
class Seek:
    """Fetch from an offset on."""

    offset: int


@dataclass(frozen=True, eq=False)
class Commit:
    """From now on, the group may commit an offset."""

    offset: int


@dataclass(frozen=True, eq=False)
class Count:
    """Count what was folded, for the metrics."""

    records: int
    replayed: int


Command = Claim | CatchUp | Look | Refresh | Write | Seek | Commit | Count
Commands = list[Command]
P = TypeVar("P", bound=Foldable)


class Owner(Generic[P]):
    """One worker's ownership of one partition, from its claim to its end. An answer that comes late is no answer."""

    def __init__(self, number: int, registry: Registry, open_partition: Callable[[int, Recovered], P]) -> None:
        """Args: which partition; where cells are looked up; what opens it by epoch and recovered state."""
        self.number = number
        self.partition: P | None = None
        """The fold, while it is open."""
        self.resume_at: int | None = None
        """Where to go on reading, once it is open: where the recovered state ends. What the group has committed says
        nothing: without a state, all is read again."""
        self._registry = registry
        self._open_partition = open_partition
        self._epoch = -1
        self._closed = False
        self._course_of_flush: Iterator[Command] | None = None
        self._question: Command | None = None
        """What was asked about a chunk and has not been answered."""
        self._write: Write | None = None
        """What is being written."""
        self._garbage: list[bytes] = []

    # -- opening ---------------------------------------------------------------------------------------------

    def open(self) -> Commands:
        """Begin."""
        return [Claim()]

    def claimed(self, epoch: int) -> Commands:
        """Take the claim's offset in the changelog for an epoch.

        Only what is read after the claim is sure to have all that earlier owners were able to write: read before,
        a record may be missed that compaction removes for a newer one behind the end as it was then.
        """
        self._epoch = epoch
        return [] if self._closed else [CatchUp()]

    def recovered(self, table: Table) -> Commands:
        """Open from a table that is complete up to the claim, at least."""
        if self._closed:
            return []
        found = recover(self.number, table)
        self.partition = self._open_partition(self._epoch, found)
        self.resume_at = self.partition.next_offset
        self._garbage = found.keys_before(self._epoch)
        return []

    # -- reading ---------------------------------------------------------------------------------------------

    def fetched(self, chunk: Chunk) -> Commands:
        """Fold a chunk, unless it is stale or leaves a hole.

        After a rebalance or a seek, fetches that were under way leave holes. Retention and transaction markers
        leave gaps in the numbers that nothing is missing in.
        """
        self._question = None
        if self.partition is None or chunk.last < self.partition.next_offset:
            return []
        if chunk.first > self.partition.next_offset:
            return self._ask(Look(self.partition.next_offset, chunk))
        return self._fold(self.partition, chunk.since(self.partition.next_offset), registry_is_fresh=False)

    def looked(self, look: Look, first_offset: int) -> Commands:
        """Go on with a chunk, or back, now that it is known which record comes next."""
        if self.partition is None or not self._answers(look):
            return []
        if first_offset < look.chunk.first:
            return [Seek(look.at_least)]
        records = look.chunk.since(self.partition.next_offset)
        return self._fold(self.partition, records, registry_is_fresh=False)

    def refreshed(self, refresh: Refresh) -> Commands:
        """Fold the rest of a chunk, now that all cells are known that there are."""
        if self.partition is None or not self._answers(refresh):
            return []
        return self._fold(self.partition, refresh.waiting, registry_is_fresh=True)

    def _fold(self, partition: P, records: Iterable[Record], *, registry_is_fresh: bool) -> Commands:
        try:
            folded = partition.apply(records, self._registry, registry_is_fresh=registry_is_fresh)
        except BaseException:
            self.close()  # some cells have records that their offsets do not tell of
            raise
        commands: Commands = [Count(folded.consumed, folded.replayed)] if folded.consumed else []
        return [*commands, *self._ask(Refresh(folded.waiting))] if folded.waiting else commands

    def _ask(self, question: Look | Refresh) -> Commands:
        self._question = question
        return [question]

    def _answers(self, question: Look | Refresh) -> bool:
        """Return whether this is what was asked last; the same question is answered once."""
        answered, self._question = self._question is question, None
        return answered

    # -- writing ---------------------------------------------------------------------------------------------

    def tick(self, now: int = 0) -> Commands:
        """Begin to write what changed by now (UTC epoch milliseconds), unless writing is under way."""
        if self.partition is None or self._course_of_flush is not None:
            return []
        try:
            flush = self.partition.flush(now)
        except BaseException:
            self.close()  # some of it counts as written, and is nowhere
            raise
        if flush is None:
            return []
        self._course_of_flush = self._course(self.partition, flush)
        return self._go_on()

    def settle(self) -> Commands:
        """Tell all once more, when earlier owners have had time to end and their last writes to land."""
        if self.partition is not None:
            self.partition.tell_again()
        return []

    def acknowledged(self, write: Write) -> Commands:
        """Go on with a flush."""
        if write is not self._write:
            return []
        return self._go_on()

    def failed(self, write: Write) -> Commands:
        """End: what was to be written may land yet, or not."""
        if write is self._write:
            self.close()
        return []

    def close(self) -> None:
        """End, as when the partition is revoked; what was not written is its next owner's to do again."""
        self._closed = True
        self.partition = self._course_of_flush = self._question = self._write = None

    def _go_on(self) -> Commands:
        """Return the commands up to the next write, for which the flush must wait."""
        commands: Commands = []
        self._write = None
        for command in self._course_of_flush or ():
            if isinstance(command, Write):
                if command.is_empty:
                    continue
                self._write = command
                return [*commands, command]
            commands.append(command)
        self._course_of_flush = None
        return commands

    def _course(self, partition: P, flush: Flush) -> Iterator[Command]:
        """Yield the steps of a flush; each write is acknowledged before the next step is taken.

        1. Cells, dead letters and alerts before the own state, which says that they are complete up to its offset.
        2. Adoption after them: what was told never exceeds what is durable.
        3. Only when all is acknowledged may the offset be committed, and windows leave.
        4. Older lineages go last, and cells that have left. From the own state on, this lineage is what a recovery
           takes, without these cells.
        """
        yield Write(state=flush.cells, dead_letters=flush.dead_letters, alerts=flush.alerts)
        yield Write(state=[flush.own])
        yield Write(emissions=flush.emissions, probes=flush.probes)
        partition.flushed(flush)
        yield Commit(flush.next_offset)
        garbage, self._garbage = self._garbage, []
        yield Write(state=[(key, None) for key in (*flush.left, *garbage)])
