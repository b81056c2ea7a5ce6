"""A broker that is played at the publisher's boundary, and producers that run against it until they crash.

In: chance. Out: what the topics hold. It writes batches when chance will have it, each partition's in order, and the
process may end before a batch is written, or after it was and before anyone knows.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from prometheus_client import CollectorRegistry

from producers import checkpoints, order_reader, outbox, session
from producers.books import Books
from producers.engine import ProvinceSimulation
from producers.order_reader import OrderReader
from producers.pacing import NoPace
from producers.session import Produced, Production
from schemas.events import encode
from schemas.metrics import Metrics
from schemas.orders import InterventionOrder, key_of
from schemas.settings import KafkaSettings, ProducerSettings, Settings
from schemas.topics import INTERVENTIONS, PAYMENTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from random import Random

    import numpy as np
    from aiokafka import TopicPartition

    from producers.blocks import PaymentBlock, RecordBlock
    from producers.plan import Plan

PARTITIONS, BLOCK, BATCH = 3, 400, 150
SETTINGS = Settings(
    kafka=KafkaSettings(bootstrap_servers="played:1"), producer=ProducerSettings(block_events=BLOCK, tick_seconds=0.001)
)


class CrashError(Exception):
    """The process is gone."""


class Written(NamedTuple):
    """A record as the broker has it."""

    partition: int
    offset: int
    key: bytes
    value: bytes


Place = tuple[str, int]
Batch = tuple["RecordBlock", "np.ndarray", "Callable[[np.ndarray], None]"]


class Broker:
    """What outlives a process.

    Args:
        chance: decides what is written when.
        keeps_sequences: whether a batch that is sent again is written once; else payments may come twice, and late.
    """

    def __init__(self, chance: Random, *, keeps_sequences: bool = True) -> None:
        self.chance = chance
        self.keeps_sequences = keeps_sequences
        self.logs: dict[Place, list[Written]] = defaultdict(list)
        self._strays: list[tuple[Place, Batch]] = []
        self.written: list[tuple[str, bytes]] = []
        """Topics and values in the order in which they came, over all partitions."""
        self.coming: list[InterventionOrder] = []
        """Orders that are sent while processes run."""

    def order(self, order: InterventionOrder) -> bytes:
        """Append an order; return the record's value."""
        log, value = self.logs[INTERVENTIONS, 0], encode(order)
        log.append(Written(0, len(log), key_of(order).encode(), value))
        return value

    def write(self, place: Place, batch: Batch) -> int:
        """Append a batch; return the offset behind it."""
        end = self._append(place, batch)
        if not self.keeps_sequences and place[0] == PAYMENTS and self.chance.random() < 0.1:
            self._strays.append((place, batch))
        if self.chance.random() < 0.2:
            self.land()
        return end

    def land(self) -> None:
        """Append the copies that are still on their way."""
        for place, batch in self._strays:
            self._append(place, batch)
        self._strays.clear()

    def _append(self, place: Place, batch: Batch) -> int:
        block, rows, _ = batch
        log = self.logs[place]
        for row in rows.tolist():
            log.append(Written(place[1], len(log), block.key[row].encode(), block.value[row].encode()))
            self.written.append((place[0], log[-1].value))
        return len(log)

    async def read_to_end(self, _: str, begins: dict[TopicPartition, int]) -> AsyncIterator[Written]:
        for place, begin in begins.items():
            for record in self.logs[place.topic, place.partition][begin:]:
                yield record

    async def ends_at_most(self, _: str, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        ends = {place: len(self.logs[place.topic, place.partition]) for place in places}
        return {place: max(0, end - self.chance.randrange(3)) for place, end in ends.items()}


class PlayedPublisher:
    """Stands in for the publisher of one process.

    Args:
        broker: where it sends to.
        life: how many batches it lives for.
        stop_after: of which one it is asked to stop.
    """

    def __init__(self, broker: Broker, life: int, stop_after: int) -> None:
        self._broker, self._life, self._stop_after = broker, life, stop_after
        self._waiting: dict[Place, deque[Batch]] = defaultdict(deque)
        self.end_offsets: dict[Place, int] = {}
        self.production: Production

    async def __aenter__(self) -> PlayedPublisher:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._broker.land()

    async def send(
        self,
        block: RecordBlock,
        low: int,
        high: int,
        acknowledged: Callable[[np.ndarray], None],
        *,
        probes: bool = False,
    ) -> None:
        chance = self._broker.chance
        if probes and chance.random() < 0.4:
            await self.production._write_ledger(self)  # type: ignore[arg-type]  # it is played
        for partition, rows in block.between(low, high).items():
            for first in range(0, len(rows), BATCH):
                self._waiting[block.topic, partition].append((block, rows[first : first + BATCH], acknowledged))
        for _ in range(chance.randrange(12)):
            self._work()

    async def deliver(self, block: RecordBlock) -> None:
        left = set(range(len(block)))
        await self.send(block, 0, len(block), lambda rows: left.difference_update(rows.tolist()))
        while left:
            self._work()

    async def flush(self) -> None:
        while any(self._waiting.values()):
            self._work()

    def _work(self) -> None:
        chance = self._broker.chance
        if self._broker.coming and chance.random() < 0.02:
            self.production._orders.read(self._broker.order(self._broker.coming.pop(0)))
        place = chance.choice([place for place, batches in self._waiting.items() if batches] or [None])
        if place is None:
            return
        self._life -= 1
        self._stop_after -= 1
        if self._life <= 0:
            if self._life == 0 and chance.random() < 0.5:  # written, and nobody knows
                self._broker.write(place, self._waiting[place][0])
            raise CrashError
        if self._stop_after == 0:
            self.production.stop.set()
        batch = self._waiting[place].popleft()
        self.end_offsets[place] = self._broker.write(place, batch)
        batch[2](batch[1])


def produce_from(
    broker: Broker,
    plan: Plan,
    *,
    life: int = 10**9,
    stop_after: int = 0,
    partitions: int = PARTITIONS,
    said: list[str] | None = None,
    simulation: type[Any] = ProvinceSimulation,
) -> Produced | None:
    """Run one process to its end; return what it did, or None if it crashed.

    Args:
        broker: where it sends to.
        plan: what it is to make.
        life: how many batches it lives for.
        stop_after: of which one it is asked to stop.
        partitions: of the payments topic.
        said: takes what it says.
        simulation: in place of the engine's.
    """
    publisher = PlayedPublisher(broker, life, stop_after)
    metrics = Metrics("producer", CollectorRegistry(), "0")
    tell = (said if said is not None else []).append
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "Publisher", lambda *_: publisher)
        patch.setattr(session, "LEDGER_SECONDS", 1000)
        patch.setattr(outbox, "ProvinceSimulation", simulation)
        patch.setattr(checkpoints, "read_to_end", broker.read_to_end)
        patch.setattr(order_reader, "read_to_end", broker.read_to_end)
        patch.setattr(OrderReader, "follow", _by_the_publisher)
        patch.setattr(checkpoints, "ends_at_most", broker.ends_at_most)

        async def run() -> Produced:
            production = Production(plan, NoPace(), SETTINGS, metrics, version="0", partitions=partitions, tell=tell)
            publisher.production = production
            find, tasks = Books.find, list[asyncio.Task[None]]()

            def find_and_try_to_tell(books: Books, block: PaymentBlock) -> None:
                find(books, block)
                tasks.append(asyncio.create_task(production._write_ledger(publisher)))  # type: ignore[arg-type]  # it is played

            patch.setattr(Books, "find", find_and_try_to_tell)
            return await production.run()

        try:
            return asyncio.run(run())
        except CrashError:
            return None


async def _by_the_publisher(_: OrderReader) -> None:
    """Orders that come while a process runs are handed over by its publisher, see `Broker.order`."""


def newest(broker: Broker, topic: str) -> dict[bytes, Any]:
    """Return the newest record of each key of a topic, without what differs from process to process."""
    found = {one.key: json.loads(one.value) for (name, _), log in broker.logs.items() if name == topic for one in log}
    return {key: {**one, "started_at": 0, "offsets": []} for key, one in found.items()}


def values(broker: Broker, partition: int) -> list[bytes]:
    return [record.value for record in broker.logs[PAYMENTS, partition]]


def without_repeats(found: list[bytes], wanted: list[bytes]) -> list[bytes]:
    """Return what is wanted as far as it is found in order."""
    rest = iter(found)
    return [one for one in wanted if one in rest]
