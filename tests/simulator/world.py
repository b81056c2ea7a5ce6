"""The simulated world: a broker, workers, and what befalls them.

In: a `Kind` of partition, and actions one by one. Out: a violated invariant, or nothing.
Each action moves a worker by one small step, so that any order of events is some schedule. What a dead worker had
under way may land whenever it pleases, or never.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from streams.protocol import Owner
from tests.simulator.broker import CLAIM_KEY, Broker
from tests.simulator.kinds import Kind, Totals, Violation
from tests.simulator.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SLOTS = 3
LATEST_ENDING = 400
"""Steps in which the last worker must have finished."""


class Action(NamedTuple):
    """One step: what is done, to which worker, and a number from 0 to 7 that says how."""

    name: str
    who: int = 0
    how: int = 0

    def __str__(self) -> str:
        return f"{self.name} {self.who} {self.how}"


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
