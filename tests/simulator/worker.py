"""A simulated worker: it does what its `streams.protocol.Owner` says, one small step at a time, when it is let.

In: the world it is in. Out: records on their way to the broker.
Workers know nothing of each other, and any number of them may believe to own the partition.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from typing import TYPE_CHECKING, Any

from streams.protocol import CatchUp, Claim, Commit, Look, Refresh, Seek, Write
from tests.simulator.broker import CLAIM_KEY, CLAIM_VALUE
from tests.simulator.kinds import NUMBER, Violation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from streams.lineage import Recovered
    from tests.simulator.world import World


class Chunk:
    """A fetched piece."""

    __slots__ = ("_offsets", "_records", "first", "last")

    def __init__(self, offsets: list[int], records: Sequence[Any]) -> None:
        self._offsets, self._records = offsets, records
        self.first, self.last = offsets[0], offsets[-1]

    def since(self, offset: int) -> Sequence[Any]:
        return self._records[bisect_left(self._offsets, offset) :]


class Worker:
    """A worker that recovers, claims, reads and flushes, one step at a time."""

    def __init__(self, world: World, how: int, memory: dict[bytes, Any], read_to: int) -> None:
        self.world, self.broker = world, world.broker
        self.memory, self.read_to = memory, read_to
        self.recovery_end: int | None = len(self.broker.changelog)
        self.registry = world.kind.registry(how)
        self.epoch = -1
        self.position = 0
        self.claiming = self.catching_up = False
        self.question: Look | Refresh | None = None
        self.write: Write | None = None
        self.in_flight: deque[tuple[str, Any]] = deque()
        self.owner = world.owner_type(NUMBER, self.registry, self._open)

    def _open(self, epoch: int, recovered: Recovered) -> Any:
        totals = self.world.totals
        totals.take_overs += recovered.own is not None
        totals.rivals += any(one is not self and one.is_open for one in self.world.workers if one is not None)
        self.epoch = epoch
        return self.world.kind.open(epoch, recovered)

    @property
    def is_open(self) -> bool:
        return self.owner.partition is not None

    # -- what it is let do -----------------------------------------------------------------------------------

    def go(self, how: int) -> None:
        """Take the next step on the way from recovery to reading; or open at once, as often as not."""
        if how >= 4 and not self.is_open:
            while not self.is_open:
                self._step(7)
        else:
            self._step(how)

    def _step(self, how: int) -> None:
        if self.recovery_end is not None:
            self._recover(how)
        elif self.claiming:
            self.land(7)
        elif self.catching_up:
            self._catch_up(how)
        elif self.question is not None:
            self._answer(self.question)
        else:
            self._fetch(how)

    def tick(self) -> None:
        self._run(self.owner.tick())

    def land(self, how: int) -> None:
        """Let some of what is under way land; 4 to 6: all, acknowledged; 7: all that follows from it, too."""
        self._land(len(self.in_flight) if how >= 4 else how + 1, twice=how in {3, 5})
        if how < 4 or self.in_flight:
            return
        if self.claiming:
            self.claiming = False
            self._run(self.owner.claimed(self.claim_offset))
        elif self.write is not None:
            write, self.write = self.write, None
            self._run(self.owner.acknowledged(write))
            if how >= 7:
                self.land(7)

    def hand_over(self) -> None:
        """Write, commit, and give the partition up."""
        self.land(7)
        self.tick()
        self.land(7)
        self.owner.close()

    # -- how -------------------------------------------------------------------------------------------------

    def _recover(self, how: int) -> None:
        end = self.recovery_end
        assert end is not None
        self._read(min(end, self.read_to + 2 * how + 1))
        if self.read_to >= end:
            self.recovery_end = None
            self._run(self.owner.open())

    def _catch_up(self, how: int) -> None:
        if self.world.catches_up:
            self._read(self.read_to + 2 * how + 1)
        if self.read_to >= len(self.broker.changelog) or not self.world.catches_up:
            self.catching_up = False
            self._run(self.owner.recovered(self.memory))
            self.position = self.owner.resume_at
            self.world.kind.check_partition(self.owner.partition)

    def _read(self, end: int) -> None:
        for record in self.broker.changelog[self.read_to : end]:
            if record is None:
                continue
            key, value = record
            if value is None:
                self.memory.pop(key, None)
            else:
                self.memory[key] = value
        self.read_to = max(self.read_to, min(end, len(self.broker.changelog)))

    def _fetch(self, how: int) -> None:
        """Fetch the next piece, or by accident one that begins too early or too late."""
        kind = self.world.kind
        begin = bisect_left(kind.offsets, self.position)
        begin = max(0, begin + (0, 0, 0, 0, 0, -2, -1, 1)[how])
        end = min(len(kind.offsets), begin + 1 + how % 3)
        if begin >= end:
            return
        self.position = kind.offsets[end - 1] + 1
        self._run(self.owner.fetched(Chunk(kind.offsets[begin:end], kind.records(begin, end))))

    def _answer(self, question: Look | Refresh) -> None:
        self.question = None
        if isinstance(question, Look):
            offsets = self.world.kind.offsets
            self._run(self.owner.looked(question, offsets[bisect_left(offsets, question.at_least)]))
        else:
            self.world.totals.refreshes += 1
            self.registry.refresh()
            self._run(self.owner.refreshed(question))

    def _run(self, commands: Iterable[Any]) -> None:
        for command in commands:
            match command:
                case Write():
                    self._send(command)
                case Claim():
                    self.claiming = True
                    self.in_flight.append(("state", (CLAIM_KEY, CLAIM_VALUE)))
                case CatchUp():
                    self.catching_up = True
                case Seek(offset=offset):
                    self.world.totals.seeks += 1
                    self.position = offset
                case Commit(offset=offset):
                    self.broker.commit(self.epoch, offset)
                case Look() | Refresh():
                    self.world.totals.looks += isinstance(command, Look)
                    self.question = command
                case _:
                    pass

    def _send(self, write: Write) -> None:
        if self.write is not None:
            raise Violation("a write begins while another is under way")
        self.write = write
        for key, value in write.state:
            if value is None:
                self.memory.pop(key, None)
            else:
                self.memory[key] = value
            self.in_flight.append(("state", (key, value)))
        self.in_flight.extend(("dead letters", letter) for letter in write.dead_letters)
        if write.emissions:
            prefix = self.owner.partition.flushing
            self.in_flight.extend(("adoption", (emission, prefix)) for emission in write.emissions)

    def _land(self, count: int, *, twice: bool) -> None:
        for _ in range(min(count, len(self.in_flight))):
            record = self.in_flight.popleft()
            self.claim_offset = self.broker.land(*record)
            if twice:  # the producer has not heard of it, and sends it again
                self.claim_offset = self.broker.land(*record)
