"""The publisher before a producer that stands in for aiokafka's: order, repeats, acknowledgements, failures.

Batches are aiokafka's own and are read back by its own parser; only the network is played. On real brokers the
publisher is tested in tests/contract.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    NotLeaderForPartitionError,
    RequestTimedOutError,
    TopicAuthorizationFailedError,
)
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from prometheus_client import CollectorRegistry

from producers import batch_client as module
from producers.blocks import RecordBlock
from producers.publisher import QUEUED_SLICES, SEALERS, Publisher
from schemas.errors import ExitCode, UnreachableError
from schemas.metrics import Metrics
from schemas.settings import KafkaSettings, ProducerSettings

FIRST_OFFSET = 1000
ROOM = QUEUED_SLICES + SEALERS + 2
"""Slices that a publisher takes while nothing is answered: one is under way, and one is about to be queued."""
BATCH_BYTES = 1024


class Sent(NamedTuple):
    """A record as a broker would store it."""

    key: bytes
    value: bytes
    timestamp: int
    headers: list[tuple[str, bytes]]


class Metadata(NamedTuple):
    """The part of aiokafka's RecordMetadata that matters here."""

    offset: int


class FakeProducer:
    """Takes batches as aiokafka's producer does; answers each with what `answers` has ready, or with its offset."""

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}
        self._message_accumulator = SimpleNamespace()
        self.attempts: dict[int, list[list[Sent]]] = defaultdict(list)
        self.log: dict[int, list[Sent]] = defaultdict(list)
        self.answers: dict[int, deque[KafkaError | None]] = defaultdict(deque)
        self.refusals: dict[int, deque[KafkaError]] = defaultdict(deque)
        self.under_way: dict[int, int] = defaultdict(int)
        self.most_under_way = self.most_together = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.start_error: KafkaError | None = None
        self.stopped = False
        self.builds, self.first_offset = 1, FIRST_OFFSET

    def with_options(self, **options: Any) -> FakeProducer:
        self.options = options
        return self

    async def start(self) -> None:
        if self.start_error:
            raise self.start_error

    async def stop(self) -> None:
        self.stopped = True

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(self.options["max_batch_size"], 0)

    async def send_batch(self, batch: BatchBuilder, topic: str, *, partition: int) -> asyncio.Future[Metadata]:
        assert batch.closed()
        if self.refusals[partition]:
            raise self.refusals[partition].popleft()
        for _ in range(self.builds):
            built = batch._build()
        records = read(bytes(built))
        self.attempts[partition].append(records)
        self.under_way[partition] += 1
        self.most_under_way = max(self.most_under_way, *self.under_way.values())
        self.most_together = max(self.most_together, sum(self.under_way.values()))
        return asyncio.ensure_future(self._answer(partition, records))

    async def _answer(self, partition: int, records: list[Sent]) -> Metadata:
        await asyncio.sleep(0)
        await self.may_answer.wait()
        self.under_way[partition] -= 1
        if self.answers[partition] and (error := self.answers[partition].popleft()) is not None:
            raise error
        self.log[partition] += records
        return Metadata(self.first_offset + len(self.log[partition]) - len(records))


def read(buffer: bytes) -> list[Sent]:
    batches = MemoryRecords(buffer)
    found = []
    while (batch := batches.next_batch()) is not None:
        found += [Sent(one.key, one.value, one.timestamp, list(one.headers)) for one in batch]
    return found


class Bench:
    """A publisher, its fake producer, its metrics, and what was acknowledged."""

    def __init__(self, publisher: Publisher, producer: FakeProducer, metrics: Metrics) -> None:
        self.publisher = publisher
        self.metrics = metrics
        self.producer = producer
        self.acknowledged: list[int] = []

    def note(self, rows: np.ndarray) -> None:
        self.acknowledged += rows.tolist()

    def sample(self, name: str) -> float | None:
        return self.metrics.registry.get_sample_value(name)


@pytest.fixture
def make(monkeypatch):
    """Makes a bench; settings of the producer may be given, and whether the broker keeps sequences."""
    monkeypatch.setattr(module, "RETRY_SECONDS", 0)

    def build(*, idempotent: bool = False, **settings: Any) -> Bench:
        producer = FakeProducer()

        async def keeps_sequences(servers: str) -> bool:
            return idempotent

        monkeypatch.setattr(module, "AIOKafkaProducer", producer.with_options)
        monkeypatch.setattr(module, "keeps_sequences", keeps_sequences)
        metrics = Metrics("producer", CollectorRegistry(), "0")
        chosen = ProducerSettings(**{"batch_bytes": BATCH_BYTES} | settings)
        return Bench(Publisher(KafkaSettings(bootstrap_servers="a:1,b:2"), chosen, metrics), producer, metrics)

    return build


def block_of(partitions: list[int], *, first: int = 0, headers: bool = False) -> RecordBlock:
    numbers = range(first, first + len(partitions))
    return RecordBlock(
        topic="topic",
        partition=np.array(partitions, dtype=np.int64),
        key=pl.Series([f"key {number}" for number in numbers]),
        value=pl.Series([f"value {number:06d} {'x' * 40}" for number in numbers]),
        timestamp=np.array([1_763_312_400_000 + number for number in numbers]),
        headers=[[("number", str(number).encode())] for number in numbers] if headers else None,
    )


async def settle() -> None:
    """Let everything run that can, the thread that seals batches included."""
    for _ in range(200):
        await asyncio.sleep(0.0002)


def places(count: int, partitions: int) -> list[int]:
    return np.random.Generator(np.random.Philox(5)).integers(0, partitions, count).tolist()


# -- order and acknowledgement -------------------------------------------------------------------------------


async def test_each_row_is_sent_and_acknowledged_once_in_order_within_its_partition(make):
    bench, block = make(), block_of(places(500, 3))
    async with bench.publisher as publisher:
        for low in range(0, 500, 90):
            await publisher.send(block, low, min(500, low + 90), bench.note)
        await publisher.flush()
    assert sorted(bench.acknowledged) == list(range(500))
    for partition in range(3):
        rows = np.flatnonzero(block.partition == partition).tolist()
        assert [row for row in bench.acknowledged if block.partition[row] == partition] == rows
        assert bench.producer.log[partition] == [
            Sent(block.key[row].encode(), block.value[row].encode(), block.timestamp[row], []) for row in rows
        ]
    assert bench.producer.stopped
    assert bench.producer.options["acks"] == "all"


async def test_a_partition_has_one_batch_under_way_and_partitions_do_not_wait_for_each_other(make):
    bench, block = make(), block_of(places(500, 3))
    bench.producer.may_answer.clear()
    async with bench.publisher as publisher, asyncio.timeout(10):
        await publisher.send(block, 0, 500, bench.note)
        while bench.producer.most_together < 3:  # noqa: ASYNC110  # all three under way, none answered: the fake counts
            await asyncio.sleep(0.001)
        bench.producer.may_answer.set()
        await publisher.flush()
    assert bench.producer.most_under_way == 1
    assert bench.producer.most_together == 3
    assert min(len(attempts) for attempts in bench.producer.attempts.values()) > 5


async def test_batches_keep_to_their_size(make):
    bench, block = make(), block_of([0] * 100)
    async with bench.publisher as publisher:
        await publisher.send(block, 0, 100, bench.note)
        await publisher.flush()
    sizes = [sum(len(record.value) + len(record.key) for record in batch) for batch in bench.producer.attempts[0]]
    assert max(sizes) < BATCH_BYTES
    assert max(sizes[:-1]) - min(sizes[:-1]) < 100


async def test_only_the_rows_asked_for_are_sent(make):
    bench, block = make(), block_of(places(60, 2))
    async with bench.publisher as publisher:
        await publisher.send(block, 20, 41, bench.note)
        await publisher.send(block, 41, 41, bench.note)
        await publisher.flush()
    assert sorted(bench.acknowledged) == list(range(20, 41))


async def test_headers_of_records_are_sent(make):
    bench, block = make(), block_of([0] * 30, headers=True)
    async with bench.publisher as publisher:
        await publisher.send(block, 0, 30, bench.note)
        await publisher.flush()
    assert [record.headers for record in bench.producer.log[0]] == block.headers


async def test_end_offsets_lie_behind_the_last_acknowledged_record(make):
    bench, block = make(), block_of([0] * 37 + [2] * 5)
    async with bench.publisher as publisher:
        assert publisher.end_offsets == {}
        await publisher.send(block, 0, 42, bench.note)
        await publisher.flush()
        assert publisher.end_offsets == {("topic", 0): FIRST_OFFSET + 37, ("topic", 2): FIRST_OFFSET + 5}


async def test_flushing_waits_for_what_was_sent(make):
    bench, block = make(), block_of([0] * 50)
    async with bench.publisher as publisher:
        bench.producer.may_answer.clear()
        await publisher.send(block, 0, 50, bench.note)
        flushing = asyncio.ensure_future(publisher.flush())
        await settle()
        assert not flushing.done()
        assert bench.acknowledged == []
        bench.producer.may_answer.set()
        await flushing
        assert bench.acknowledged == list(range(50))


async def test_delivering_waits_for_all_of_the_block(make):
    bench, block = make(), block_of([0, 1] * 25)
    async with bench.publisher as publisher:
        bench.producer.may_answer.clear()
        delivering = asyncio.ensure_future(publisher.deliver(block))
        await settle()
        assert not delivering.done()
        bench.producer.may_answer.set()
        await delivering
        assert [len(bench.producer.log[partition]) for partition in (0, 1)] == [25, 25]


async def test_who_waits_for_a_delivery_is_told_of_the_failure(make):
    bench = make()
    bench.producer.answers[0].append(TopicAuthorizationFailedError("topic"))
    async with bench.publisher as publisher:
        with pytest.raises(UnreachableError):
            await publisher.deliver(block_of([0]))


async def test_flushing_nothing_returns(make):
    async with make().publisher as publisher:
        await publisher.flush()


async def test_a_caller_waits_where_a_partition_has_too_much_waiting(make):
    bench, block = make(), block_of([0] * 20)
    async with bench.publisher as publisher:
        bench.producer.may_answer.clear()
        for number in range(ROOM):
            await publisher.send(block, number, number + 1, bench.note)
            await settle()
        waiting = asyncio.ensure_future(publisher.send(block, 10, 11, bench.note))
        await settle()
        assert not waiting.done()
        bench.producer.may_answer.set()
        await waiting
        await publisher.flush()
    assert bench.acknowledged == [*range(ROOM), 10]


# -- repeats -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["answers", "refusals"])
async def test_a_batch_is_sent_again_with_the_same_rows_until_it_is_acknowledged(make, where):
    bench, block = make(), block_of([0] * 60)
    getattr(bench.producer, where)[0].extend([RequestTimedOutError(), NotLeaderForPartitionError()])
    async with bench.publisher as publisher:
        await publisher.send(block, 0, 60, bench.note)
        await publisher.flush()
    assert bench.acknowledged == list(range(60))
    assert [record.value for record in bench.producer.log[0]] == block.value.cast(pl.Binary).to_list()
    assert bench.sample("quetma_send_retries_total") == 2
    if where == "answers":
        first, second, third, *_ = bench.producer.attempts[0]
        assert first == second == third


async def test_a_later_batch_is_repeated_as_it_was(make):
    bench, block = make(), block_of([0] * 100)
    bench.producer.answers[0].extend([None, None, RequestTimedOutError(), None, RequestTimedOutError()])
    async with bench.publisher as publisher:
        await publisher.send(block, 0, 100, bench.note)
        await publisher.flush()
    attempts = bench.producer.attempts[0]
    assert attempts[2] == attempts[3] != attempts[1]
    assert attempts[4] == attempts[5] != attempts[3]
    assert bench.acknowledged == list(range(100))
    assert [record.value for record in bench.producer.log[0]] == block.value.cast(pl.Binary).to_list()


async def test_what_follows_waits_for_the_repeated_batch_and_other_partitions_do_not(make):
    bench, block = make(), block_of([0] * 60 + [1] * 60)
    bench.producer.answers[0].extend([RequestTimedOutError()] * 40)
    async with bench.publisher as publisher:
        await publisher.send(block, 0, 120, bench.note)
        await publisher.flush()
    assert bench.acknowledged[0] == 60
    assert [row for row in bench.acknowledged if row < 60] == list(range(60))
    attempts = bench.producer.attempts[0]
    assert attempts[:41] == [attempts[0]] * 41


async def test_where_the_broker_keeps_sequences_a_batch_that_was_given_up_is_not_sent_under_another_number(make):
    bench, block = make(idempotent=True), block_of([0] * 60)
    bench.producer.refusals[0].append(NotLeaderForPartitionError())  # it never had a number
    bench.producer.answers[0].extend([None, RequestTimedOutError()])
    async with bench.publisher as publisher:
        assert bench.producer.options["enable_idempotence"]
        assert bench.producer._message_accumulator._batch_ttl == float("inf")
        await publisher.send(block, 0, 60, bench.note)
        with pytest.raises(UnreachableError, match=r"RequestTimedOut.*start the run again"):
            await publisher.flush()
    assert len(bench.producer.attempts[0]) == 2
    assert [record.value for record in bench.producer.log[0]] == block.value.cast(pl.Binary).to_list()[
        : len(bench.acknowledged)
    ]


async def test_the_time_to_each_acknowledgement_is_measured(make):
    """From the first try on: a batch that is sent again has waited all the while."""
    bench, block = make(), block_of([0] * 60)
    bench.producer.answers[0].append(RequestTimedOutError())
    async with bench.publisher as publisher:
        await publisher.send(block, 0, 60, bench.note)
        await publisher.flush()
    assert bench.sample("quetma_ack_seconds_count") == len(bench.producer.attempts[0]) - 1 > 0
    assert bench.sample("quetma_ack_seconds_sum") > 0


async def test_what_the_client_sends_again_by_itself_is_counted(make):
    bench, block = make(idempotent=True), block_of([0] * 3)
    bench.producer.builds = 3
    async with bench.publisher as publisher:
        await publisher.send(block, 0, 3, bench.note)
        await publisher.flush()
    assert bench.sample("quetma_send_retries_total") == 2


async def test_a_batch_whose_offset_the_broker_has_forgotten_leaves_the_end_where_it_was(make):
    bench, block = make(), block_of([0] * 6)
    async with bench.publisher as publisher:
        await publisher.send(block, 0, 3, bench.note)
        await publisher.flush()
        bench.producer.first_offset = -1000
        await publisher.send(block, 3, 6, bench.note)
        await publisher.flush()
        assert publisher.end_offsets["topic", 0] == FIRST_OFFSET + 3


# -- failures ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [TopicAuthorizationFailedError("topic"), MessageSizeTooLargeError("1 MiB")])
async def test_what_will_never_be_acknowledged_ends_sending_and_flushing(make, error):
    bench, block = make(), block_of([0] * 300 + [1])
    bench.producer.answers[0].append(error)
    async with bench.publisher as publisher:
        await publisher.send(block, 0, 300, bench.note)
        with pytest.raises(UnreachableError, match=type(error).__name__) as caught:
            await publisher.flush()
        assert caught.value.exit_code == ExitCode.UNREACHABLE
        with pytest.raises(UnreachableError):
            await publisher.send(block, 300, 301, bench.note)
    assert bench.acknowledged == []


async def test_a_caller_who_waits_for_room_is_told_of_the_failure(make):
    bench, block = make(), block_of([0] * 20)
    async with bench.publisher as publisher:
        bench.producer.may_answer.clear()
        bench.producer.answers[0].append(TopicAuthorizationFailedError("topic"))
        for number in range(ROOM):
            await publisher.send(block, number, number + 1, bench.note)
            await settle()
        waiting = asyncio.ensure_future(publisher.send(block, 10, 11, bench.note))
        await settle()
        bench.producer.may_answer.set()
        with pytest.raises(UnreachableError):
            await waiting


async def test_an_error_of_the_one_who_is_told_does_not_leave_others_waiting(make):
    bench, block = make(), block_of([0] * 20)

    def fail(rows: np.ndarray) -> None:
        raise ValueError("the ledger is wrong")

    async with bench.publisher as publisher:
        await publisher.send(block, 0, 20, fail)
        with pytest.raises(ValueError, match="the ledger is wrong"):
            await publisher.flush()


async def test_a_broker_that_does_not_answer_at_the_start(make):
    bench = make()
    bench.producer.start_error = KafkaConnectionError("refused")
    with pytest.raises(UnreachableError, match="a:1,b:2 does not answer"):
        await bench.publisher.__aenter__()
    assert bench.producer.stopped


def test_without_a_broker_there_is_no_publisher(make):
    with pytest.raises(UnreachableError, match="no broker is set"):
        Publisher(KafkaSettings(), ProducerSettings(), Metrics("producer", CollectorRegistry(), "0"))


async def test_nothing_runs_on_after_the_end(make):
    bench, block = make(), block_of(places(100, 4))
    async with bench.publisher as publisher:
        bench.producer.may_answer.clear()
        await publisher.send(block, 0, 100, bench.note)
    bench.producer.may_answer.set()
    await settle()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert bench.acknowledged == []


# -- probes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [False, True])
@pytest.mark.parametrize("every", [1, 7, 100])
async def test_one_record_in_so_many_carries_the_time_of_sending(make, every, headers):
    bench, block = make(probe_every=every), block_of([0] * 1000, headers=headers)
    async with bench.publisher as publisher:
        for low in range(0, 1000, 130):
            await publisher.send(block, low, min(1000, low + 130), bench.note, probes=True)
        await publisher.flush()
    probed = [row for row, record in enumerate(bench.producer.log[0]) if "sent_at" in dict(record.headers)]
    assert probed == list(range(0, 1000, every))
    assert all(dict(bench.producer.log[0][row].headers)["sent_at"].isdigit() for row in probed)
    own = [[pair for pair in record.headers if pair[0] != "sent_at"] for record in bench.producer.log[0]]
    assert own == (block.headers or [[]] * 1000)


async def test_probes_are_one_in_so_many_over_all_partitions(make):
    bench, block = make(probe_every=10), block_of(places(1000, 4))
    async with bench.publisher as publisher:
        await publisher.send(block, 0, 1000, bench.note, probes=True)
        await publisher.flush()
    records = [record for log in bench.producer.log.values() for record in log]
    assert sum("sent_at" in dict(record.headers) for record in records) == 100


async def test_records_that_are_not_payments_carry_no_probe(make):
    bench, block = make(probe_every=1), block_of([0] * 10)
    async with bench.publisher as publisher:
        await publisher.send(block, 0, 10, bench.note)
        await publisher.flush()
    assert all(record.headers == [] for record in bench.producer.log[0])
