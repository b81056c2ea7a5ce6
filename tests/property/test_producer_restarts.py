"""Producers that crash anywhere and start again: topics and ledger are those of a run that went through.

The broker is played, at the publisher's boundary: it writes batches when chance will have it, each partition's in
order, and the process may end before a batch is written, or after it was and before anyone knows.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict, deque
from functools import cache
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from producers import books, checkpoints, order_reader, outbox, session
from producers.books import Books
from producers.engine import ProvinceSimulation, UnnumberedDay
from producers.order_reader import OrderReader
from producers.pacing import NoPace
from producers.plan import Plan
from producers.session import Produced, Production
from producers.simulation.world import World, build_world
from schemas.errors import BadInputError
from schemas.events import STATUSES, decode_payment
from schemas.metrics import Metrics
from schemas.settings import KafkaSettings, ProducerSettings, Settings
from schemas.topics import CELLS, LEDGER, PAYMENTS, QR_CODES, TRUTH
from tests.small import small

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    import numpy as np
    from aiokafka import TopicPartition

    from producers.blocks import PaymentBlock, RecordBlock

DAYS, PARTITIONS, BLOCK, BATCH = 3, 3, 400, 150
RUN = "r"
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


@cache
def the_world() -> World:
    return build_world(small(), 1)


@cache
def the_days() -> list[UnnumberedDay]:
    return list(ProvinceSimulation(the_world()).unnumbered(DAYS + 1))


class Remembered:
    """The simulation, made once for all examples."""

    def __init__(self, world: World) -> None:
        assert world is the_world()

    def unnumbered(self, days: int | None = None, part: tuple[int, int] = (0, 1)) -> Iterator[UnnumberedDay]:
        assert part[1] == 1
        return islice(the_days(), part[0], days)


def produce(broker: Broker, *, life: int = 10**9, stop_after: int = 0, said: list[str] | None = None, **plan: Any):
    """Run one process to its end; return what it did, or None if it crashed."""
    plan = {"days": DAYS, **plan}
    publisher = PlayedPublisher(broker, life, stop_after)
    metrics = Metrics("producer", CollectorRegistry(), "0")
    tell = (said if said is not None else []).append
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "Publisher", lambda *_: publisher)
        patch.setattr(session, "LEDGER_SECONDS", 1000)
        patch.setattr(outbox, "ProvinceSimulation", Remembered)
        patch.setattr(checkpoints, "read_to_end", broker.read_to_end)
        patch.setattr(order_reader, "read_to_end", broker.read_to_end)
        patch.setattr(OrderReader, "follow", _nothing_comes)
        patch.setattr(checkpoints, "ends_at_most", broker.ends_at_most)

        async def run() -> Produced:
            world, partitions = plan.pop("world", the_world()), plan.pop("partitions", PARTITIONS)
            production = Production(
                Plan(world, RUN, **plan), NoPace(), SETTINGS, metrics, version="0", partitions=partitions, tell=tell
            )
            publisher.production = production
            find, tasks = Books.find, list[asyncio.Task[None]]()

            def find_and_try_to_tell(books: Books, block: PaymentBlock) -> None:
                find(books, block)
                tasks.append(asyncio.create_task(production._write_ledger(publisher)))

            patch.setattr(Books, "find", find_and_try_to_tell)
            return await production.run()

        try:
            return asyncio.run(run())
        except CrashError:
            return None


async def _nothing_comes(_: OrderReader) -> None:
    """No order comes while a process runs."""


@cache
def whole() -> tuple[Broker, Produced]:
    """What an uninterrupted run leaves."""
    broker = Broker(Random(0))
    done = produce(broker)
    assert done is not None
    return broker, done


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


def check_topics(broker: Broker) -> None:
    reference, _ = whole()
    for partition in range(PARTITIONS):
        found, wanted = values(broker, partition), values(reference, partition)
        if broker.keeps_sequences:
            assert found == wanted
        else:
            assert without_repeats(found, wanted) == wanted
            assert set(found) == set(wanted)
    for topic in (QR_CODES, TRUTH, CELLS, LEDGER):
        assert newest(broker, topic) == newest(reference, topic), topic


def check_ledger(broker: Broker) -> None:
    """The ledger has what is on the topic, each payment once."""
    paid: dict[tuple[str, int], Any] = {}
    for partition in range(PARTITIONS):
        for value in values(broker, partition):
            if value.endswith(b"}"):
                payment = decode_payment(value)
                paid[payment.source, payment.sequence] = payment
    wanted: Counter[tuple[str, str, str]] = Counter()
    for payment in paid.values():
        wanted[payment.cell, payment.method, payment.status] += 1
    told: Counter[tuple[str, str, str]] = Counter()
    for entry in newest(broker, LEDGER).values():
        for method, tally in entry.get("tallies", {}).items():
            for status in STATUSES:
                told[entry["cell"], method, status] += tally[status]
    assert +told == wanted
    check_that_no_entry_goes_back(broker)


def check_that_no_entry_goes_back(broker: Broker) -> None:
    """No process tells less than one before it."""
    reached: dict[bytes, int] = {}
    for record in broker.logs[LEDGER, 0]:
        entry = json.loads(record.value)
        if entry["kind"] == "cell_day":
            payments = sum(one[status] for one in entry["tallies"].values() for status in STATUSES)
            assert payments >= reached.get(record.key, 0)
            reached[record.key] = payments


processes = st.lists(st.tuples(st.sampled_from(["crash", "stop"]), st.integers(1, 150)), max_size=5)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), processes, st.booleans())
@example(1, [("crash", 1)] * 5, True)
@example(2, [("crash", 3), ("crash", 4), ("stop", 40), ("crash", 60)], False)
def test_a_run_of_many_processes_is_as_one_that_went_through(chance, lives, keeps_sequences):
    broker = Broker(Random(chance), keeps_sequences=keeps_sequences)
    for how, life in lives:
        done = produce(broker, life=life) if how == "crash" else produce(broker, stop_after=life)
        if done is not None:
            check_ledger(broker)
        check_that_no_entry_goes_back(broker)
    last = produce(broker)
    assert last is not None
    assert last.produced == last.acked == whole()[1].acked
    check_topics(broker)
    check_ledger(broker)
    said = list[str]()
    again = produce(broker, said=said)
    assert again.produced == again.behind == last.acked
    assert said == [f"run {RUN} is complete: {again.behind:,} payments are there, nothing is sent"]
    check_topics(broker)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 120))
def test_a_run_may_be_given_more_days_and_fewer(chance, life):
    broker = Broker(Random(chance))
    assert produce(broker, days=DAYS - 1) is not None
    longer = produce(broker, life=life)
    shorter = produce(broker, days=1)
    if longer is None:
        assert shorter.produced == shorter.behind
    check_ledger(broker)
    produce(broker)
    check_topics(broker)


def test_it_is_said_where_a_run_goes_on():
    broker, said = Broker(Random(5)), list[str]()
    assert produce(broker, life=60) is None
    done = produce(broker, said=said)
    assert len(said) == 1
    assert said[0].startswith(f"resumes run {RUN} on 2025-12-3")
    assert said[0].endswith(f" behind {done.behind:,} payments")
    assert 0 < done.behind < whole()[1].acked


def test_days_that_are_complete_leave_the_ledger_and_the_simulation_begins_behind_them(monkeypatch):
    broker = Broker(Random(6))
    produce(broker, days=2)
    begun = []
    plain = Remembered.unnumbered
    monkeypatch.setattr(
        Remembered, "unnumbered", lambda *args, **more: begun.append(more["part"]) or plain(*args, **more)
    )
    ledgers = []
    monkeypatch.setattr(books, "Ledger", lambda *args: ledgers.append(made := plain_ledger(*args)) or made)
    third = produce(broker)
    assert third.acked > third.behind > 0
    assert begun == [(2, 1)]
    assert ledgers[0]._days == {}


plain_ledger = books.Ledger


@pytest.mark.parametrize(
    ("plan", "found"),
    [
        ({"world": lambda: build_world(small(), 2)}, "seed 1, now 2"),
        ({"shard": "2/3"}, "cut into 1 shards"),
        ({"partitions": PARTITIONS + 1}, "had 3 partitions when the run began, and has 4"),
    ],
)
def test_another_run_of_the_same_name_is_refused(plan, found):
    broker = Broker(Random(7))
    produce(broker, life=60)
    before = {place: list(log) for place, log in broker.logs.items()}
    with pytest.raises(BadInputError, match=found):
        produce(broker, **{name: value() if callable(value) else value for name, value in plan.items()})
    assert broker.logs == before


def test_a_run_that_left_no_checkpoint_is_refused_if_it_has_payments():
    broker = Broker(Random(8))
    produce(broker)
    ledger = broker.logs[LEDGER, 0]
    broker.logs[LEDGER, 0] = [one for one in ledger if b"|checkpoint|" not in one.key]
    with pytest.raises(BadInputError, match="left no checkpoint"):
        produce(broker)
    broker.logs[LEDGER, 0] = [one for one in ledger if one.key == RUN.encode()]  # it was killed before any payment
    assert produce(broker).behind == 0
