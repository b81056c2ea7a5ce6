"""The simulated world: a broker, and workers that do what their `streams.protocol.Owner` says, when they are let.

In: a `Kind` of partition, and actions one by one. Out: a violated invariant, or nothing.
Workers know nothing of each other, and any number of them may believe to own the partition. Each action moves one of
them by one small step, so that any order of events is some schedule. What a dead worker had under way may land
whenever it pleases, or never. The changelog is compacted at any moment, also while somebody reads it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from streams.lineage import claim_of
from streams.protocol import CatchUp, Claim, Commit, Look, Owner, Refresh, Seek, Write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from streams.lineage import Recovered

NUMBER = 3
CLAIM_KEY, CLAIM_VALUE = claim_of(NUMBER, "simulated")
SLOTS = 3
LATEST_ENDING = 400
"""Steps in which the last worker must have finished."""


class Violation(AssertionError):  # noqa: N818  # what is found is no error of the simulator
    """An invariant does not hold."""


class Action(NamedTuple):
    """One step: what is done, to which worker, and a number from 0 to 7 that says how."""

    name: str
    who: int = 0
    how: int = 0

    def __str__(self) -> str:
        return f"{self.name} {self.who} {self.how}"


class Kind(Protocol):
    """What payments and states are: a cheap stand-in, or the real ones. Both know the truth about their log."""

    offsets: list[int]
    """Of the payments log, which may have gaps."""

    def open(self, epoch: int, recovered: Recovered) -> Any:
        """Open a partition; it has `flushing`, the next_offset of its last flush."""

    def registry(self, how: int) -> Any:
        """A worker's copy of the registry, perhaps incomplete, with a method `refresh`."""

    def records(self, begin: int, end: int) -> Sequence[Any]:
        """Records by position."""

    def next_offset_of(self, own: Any) -> int: ...

    def check_cell(self, cell: str, value: Any) -> None:
        """Check that a cell's state is what the records up to its applied offset come to."""

    def lacks(self, cell: str, value: Any, next_offset: int) -> bool:
        """Whether a cell's state (None: there is none) lacks a payment before an offset."""

    @property
    def cells(self) -> Sequence[str]: ...

    def check_told(self, emission: Any, next_offset: int) -> tuple[Any, tuple[int, ...]]:
        """Check that an emission is true at an offset; return its key and how far it is."""

    def check_dead_letter(self, letter: Any) -> int:
        """Check that a record was rightly set aside; return its offset."""

    def check_partition(self, partition: Any) -> None:
        """Check an opened partition's state."""

    def check_end(self, lineage: dict[str, Any], own: Any) -> None:
        """Check that a state is that of the whole log."""

    def told_at_end(self) -> dict[Any, tuple[int, ...]]:
        """All that readers must have seen in the end."""

    def stays_open(self, key: Any) -> bool:
        """Whether a window never leaves the state, so that it is told again."""

    def dead_letters(self) -> set[int]: ...


@dataclass
class Totals:
    """What has happened, to show that the schedules are not tame."""

    schedules: int = 0
    steps: int = 0
    claims: int = 0
    take_overs: int = 0
    """Openings from a state that another had written."""
    rivals: int = 0
    """Openings while another worker had the partition open."""
    crashes: int = 0
    late_writes: int = 0
    stale_writes: int = 0
    """Late ones under an epoch that was older than the newest complete one."""
    lost_writes: int = 0
    looks: int = 0
    seeks: int = 0
    refreshes: int = 0
    compactions: int = 0
    hand_overs: int = 0
    commits: int = 0
    settlings: int = 0
    stale_newest: int = 0
    """Schedules after which the newest adoption record of some key was not its greatest: see docs/architecture.md."""

    def add(self, other: Totals) -> None:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


class Chunk:
    """A fetched piece."""

    __slots__ = ("_offsets", "_records", "first", "last")

    def __init__(self, offsets: list[int], records: Sequence[Any]) -> None:
        self._offsets, self._records = offsets, records
        self.first, self.last = offsets[0], offsets[-1]

    def since(self, offset: int) -> Sequence[Any]:
        return self._records[bisect_left(self._offsets, offset) :]


class Broker:
    """All topics, and the invariants that are checked on whatever lands."""

    def __init__(self, kind: Kind, totals: Totals) -> None:
        self.kind, self.totals = kind, totals
        self.changelog: list[tuple[bytes, Any] | None] = []
        """By offset; None where compaction has removed a record."""
        self.lineages: dict[int, dict[str, Any]] = {}
        """The newest value of each key: epoch → cell → state, the own one under ``""``."""
        self.winner = -1
        """The epoch that a recovery would take."""
        self.furthest: dict[Any, tuple[int, ...]] = {}
        self.newest: dict[Any, tuple[int, ...]] = {}
        self.set_aside: set[int] = set()
        self.committed = 0
        self.durable = 0
        """The greatest offset that an own state has ever said to be complete."""

    def land(self, topic: str, what: Any) -> int:
        """Take a record; return its offset in the changelog, if it goes there."""
        if topic == "state":
            return self._land_state(*what)
        if topic == "adoption":
            key, progress = self.kind.check_told(*what)
            if what[1] > self.durable:
                raise Violation(f"{key} is told as of {what[1]}, durable is {self.durable}")
            self.newest[key] = progress
            self.furthest[key] = max(progress, self.furthest.get(key, progress))
        else:
            self.set_aside.add(self.kind.check_dead_letter(what))
        return -1

    def _land_state(self, key: bytes, value: Any) -> int:
        offset = len(self.changelog)
        self.changelog.append((key, value))
        if key == CLAIM_KEY:
            return offset
        _, number, cell = key.decode().split("|", 2)
        epoch = int(number)
        lineage = self.lineages.setdefault(epoch, {})
        if value is None:
            lineage.pop(cell, None)
            if not cell and epoch == self.winner:
                raise Violation("the own state that a recovery would take was swept away")
        else:
            lineage[cell] = value
            if not cell:
                self.winner = max(self.winner, epoch)
                self.durable = max(self.durable, self.kind.next_offset_of(value))
            else:
                self.kind.check_cell(cell, value)
        if epoch == self.winner:
            self._check_complete(lineage, (cell,) if cell else self.kind.cells)
        return offset

    def _check_complete(self, lineage: dict[str, Any], cells: Iterable[str]) -> None:
        next_offset = self.kind.next_offset_of(lineage[""])
        for cell in cells:
            if self.kind.lacks(cell, lineage.get(cell), next_offset):
                raise Violation(f"epoch {self.winner} is complete up to {next_offset}, and {cell} lacks a payment")

    def commit(self, epoch: int, offset: int) -> None:
        lineage = self.lineages.get(epoch, {})
        if self.winner < epoch or (self.winner == epoch and self.kind.next_offset_of(lineage[""]) < offset):
            raise Violation(f"{offset} is committed, a recovery has less")
        self.committed = offset
        self.totals.commits += 1

    def compact(self, how: int) -> None:
        """Remove all but the newest of each key in a prefix, as often as not with its tombstones."""
        self.totals.compactions += 1
        upto = len(self.changelog) - (how >> 1)
        seen = set()
        for offset in range(upto - 1, -1, -1):
            record = self.changelog[offset]
            if record is None:
                continue
            key, value = record
            last = offset == len(self.changelog) - 1
            if not last and (key in seen or (how & 1 and value is None)):
                self.changelog[offset] = None
            seen.add(key)


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
            self.position = self.broker.committed if self.owner.resume_at is None else self.owner.resume_at
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


class World:
    """The broker, the workers, and what dead ones left under way."""

    def __init__(
        self, kind: Kind, totals: Totals, owner_type: Callable[..., Owner[Any]] = Owner, *, catches_up: bool = True
    ) -> None:
        self.kind, self.totals, self.owner_type, self.catches_up = kind, totals, owner_type, catches_up
        self.broker = Broker(kind, totals)
        self.workers: list[Worker | None] = [None] * SLOTS
        self.memories: list[tuple[dict[bytes, Any], int]] = [({}, 0)] * SLOTS
        """What a process has of its table after it lost the partition, and how far it had read."""
        self.late: list[deque[tuple[str, Any]]] = []

    def run(self, actions: Sequence[Action], ending: int) -> None:
        """Run a schedule, and then let one worker finish; ``ending`` says whether before late writes or after, and
        whether all is told again then."""
        self.totals.schedules += 1
        self.totals.steps += len(actions)
        for action in actions:
            getattr(self, f"_{action.name}")(action.who, action.how)
        self._end(ending)

    # -- actions ---------------------------------------------------------------------------------------------

    def _go(self, who: int, how: int) -> None:
        worker = self.workers[who]
        if worker is not None:
            worker.go(how)
            return
        memory, read_to = self.memories[who]
        fresh = how < 4  # else the process lived on, and its table with it: read from the start again, or from there
        self.totals.claims += 1
        worker = Worker(self, how, {} if fresh else dict(memory), read_to if how & 1 and not fresh else 0)
        self.workers[who] = worker
        if how & 2:
            worker.go(7)

    def _tick(self, who: int, how: int) -> None:
        if (worker := self.workers[who]) is not None:
            worker.tick()

    def _settle(self, who: int, how: int) -> None:
        if (worker := self.workers[who]) is not None:
            self.totals.settlings += 1
            if worker.owner.settle():
                raise Violation("settling says something")

    def _land(self, who: int, how: int) -> None:
        if (worker := self.workers[who]) is not None:
            worker.land(how)

    def _crash(self, who: int, how: int) -> None:
        """Die, or hear of an error and end; what was under way is lost or late, a part of it perhaps landed."""
        worker = self.workers[who]
        if worker is None:
            return
        self.totals.crashes += 1
        if how & 1 and worker.in_flight:
            self.late.append(worker.in_flight)
        else:
            self.totals.lost_writes += len(worker.in_flight)
        write, owner = worker.write, worker.owner
        if how & 2 and write is not None and (owner.failed(write) or owner.tick() or owner.acknowledged(write)):
            raise Violation("an owner goes on after a write has failed")
        self._leave(who, worker)

    def _late(self, who: int, how: int) -> None:
        if not self.late:
            return
        queue = self.late[who % len(self.late)]
        self._land_late(queue, how + 1)
        if not queue:
            self.late.remove(queue)

    def _compact(self, who: int, how: int) -> None:
        self.broker.compact(how)

    def _hand_over(self, who: int, how: int) -> None:
        worker = self.workers[who]
        if worker is not None and worker.is_open:
            self.totals.hand_overs += 1
            worker.hand_over()
            self._leave(who, worker)

    def _leave(self, who: int, worker: Worker) -> None:
        self.memories[who] = worker.memory, worker.read_to
        self.workers[who] = None

    def _land_late(self, queue: deque[tuple[str, Any]], count: int) -> None:
        for _ in range(min(count, len(queue))):
            topic, what = queue.popleft()
            self.totals.late_writes += 1
            if topic == "state" and what[0] != CLAIM_KEY:
                self.totals.stale_writes += int(what[0].split(b"|")[1]) < self.broker.winner
            self.broker.land(topic, what)

    # -- the end ---------------------------------------------------------------------------------------------

    def _end(self, ending: int) -> None:
        """All die but one, which finishes; what is late lands before or after."""
        for who in range(SLOTS):
            self._crash(who, 1)
        if ending & 1:
            self._land_all_late()
        last = self._last_worker()
        stale = sum(map(len, self.late))
        self._land_all_late()
        if ending & 2:
            self._settle(0, 0)
            last.tick()
            last.land(7)
        for key, progress in self.kind.told_at_end().items():
            if self.broker.furthest.get(key) != progress:
                raise Violation(f"readers of {key} have {self.broker.furthest.get(key)}, not {progress}")
            if ending & 2 and self.kind.stays_open(key) and self.broker.newest[key] != progress:
                raise Violation(f"the newest of {key} is {self.broker.newest[key]}, though it was told again")
        self.totals.stale_newest += self.broker.newest != self.broker.furthest
        if self.broker.set_aside != self.kind.dead_letters():
            raise Violation("a dead letter is missing")
        self._check_state(last, swept=not stale)

    def _last_worker(self) -> Worker:
        self._go(0, 0)
        worker = self.workers[0]
        assert worker is not None
        worker.go(7)
        for _ in range(LATEST_ENDING):
            worker.go(2)
            if worker.is_open and worker.question is None and worker.position > self.kind.offsets[-1]:
                break
        else:
            raise Violation("the last worker does not finish")
        for _ in range(4):
            worker.tick()
            worker.land(7)
        return worker

    def _check_state(self, last: Worker, *, swept: bool) -> None:
        epochs = {epoch for epoch, lineage in self.broker.lineages.items() if lineage}
        if self.broker.winner < 0:
            raise Violation("nothing was written")
        lineage = dict(self.broker.lineages[self.broker.winner])
        self.kind.check_end(lineage, lineage.pop(""))
        if swept and epochs != {last.epoch}:
            raise Violation(f"the states of {len(epochs) - 1} older lineages were left")
        self.workers, self.totals = [None] * SLOTS, Totals()
        again = Worker(self, 0, {}, 0)
        while not again.is_open:
            again.go(7)
        if again.owner.resume_at is None or again.owner.resume_at <= self.kind.offsets[-1]:
            raise Violation(f"a recovery in the end resumes at {again.owner.resume_at}")

    def _land_all_late(self) -> None:
        for queue in self.late:
            self._land_late(queue, len(queue))
        self.late = []
