"""Raw records in batches, and the Kafka target before a client that stands in for the network.

Batches are read back by aiokafka's parser. On real brokers the target is tested in tests/contract.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

import cramjam
import numpy as np
import polars as pl
import pytest
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from producers.load import raw_format
from producers.load.key_partitions import FEW, partitions_of
from producers.load.raw_format import columns_of, joined, sizes_of
from producers.load.targets import kafka as module
from producers.load.targets.kafka import KafkaTarget, KafkaTargetSettings
from producers.load.targets.lanes import UNANSWERED
from schemas.errors import BadInputError
from tests.load_parts import FakeClock, Heard, records

HEADER = 61
pieces = st.one_of(st.none(), st.binary(max_size=60), st.integers(60, 3000).map(b"\xff".__mul__))
header_lists = st.lists(st.tuples(st.text(max_size=5), st.one_of(st.none(), st.binary(max_size=30))), max_size=4)
raw = st.tuples(pieces, pieces, st.integers(1_763_312_400_000, 1_763_312_500_000), st.one_of(st.just([]), header_lists))


def read(buffer: bytes) -> list[tuple[Any, ...]]:
    batch = MemoryRecords(buffer).next_batch()
    assert batch.validate_crc()
    return [(one.key, one.value, one.timestamp, list(one.headers)) for one in batch]


def frame_of(rows: list[tuple[Any, ...]], **more: Any) -> pl.DataFrame:
    keys, values, timestamps, headers = zip(*rows, strict=True)
    return records(len(rows), keys=keys, values=values, timestamps=timestamps, headers=headers, **more)


@pytest.mark.parametrize("few", [0, 150])
@given(rows=st.lists(raw, min_size=1, max_size=30), cut=st.integers(0, 30))
def test_any_bytes_and_none_are_laid_out_as_by_aiokafka(few, rows, cut):
    frame = frame_of(rows)
    columns = joined([columns_of(one) for one in (frame[:cut], frame[cut:]) if len(one)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raw_format, "FEW", few)
        ours = bytes(columns.sealed()._build())
    assert read(ours) == rows
    own = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 30)
    for offset, (key, value, timestamp, headers) in enumerate(rows):
        own.append(offset, timestamp, key, value, headers)
    assert bytes(cramjam.zstd.decompress(ours[HEADER:])) == bytes(own.build())[HEADER:]


@given(rows=st.lists(raw, min_size=1, max_size=10))
def test_sizes_are_those_of_the_columns_however_many_there_are(rows):
    frame = frame_of(rows)
    exact = [
        sum(len(one or b"") for one in (k, v)) + sum(len(n.encode()) + len(x or b"") for n, x in h)
        for k, v, _, h in rows
    ]
    assert (sizes_of(frame) - raw_format.MAX_OVERHEAD).tolist() == exact
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raw_format, "MANY", 0)
        assert columns_of(frame) == (columns_of(frame, np.arange(len(rows))))
        many = columns_of(frame)
    assert many == columns_of(frame)


@given(st.lists(st.binary(max_size=23), min_size=FEW + 1, max_size=FEW + 40), st.integers(1, 50))
def test_keys_choose_partitions_as_by_aiokafka(keys, count):
    numbers = list(range(count))
    expected = [DefaultPartitioner()(key, numbers, numbers) for key in keys]
    assert partitions_of(keys, count).tolist() == expected
    assert partitions_of(keys[:3], count).tolist() == expected[:3]


class FakeClient:
    """Takes batches as `BatchClient` does."""

    def __init__(self) -> None:
        self.batches: dict[tuple[str, int], list[list[tuple[Any, ...]]]] = defaultdict(list)
        self.refuse: dict[tuple[str, int], Exception] = {}
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.under_way: dict[tuple[str, int], int] = defaultdict(int)
        self.most_under_way = 0
        self.closed = False

    async def __aenter__(self) -> FakeClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.closed = True

    async def delivered(self, place, batch) -> int:
        self.under_way[place] += 1
        self.most_under_way = max(self.most_under_way, *self.under_way.values())
        self.batches[place].append(read(bytes(batch._build())))
        await asyncio.sleep(0)
        await self.may_answer.wait()
        self.under_way[place] -= 1
        if place in self.refuse:
            raise self.refuse[place]
        return 0

    def values(self, place) -> list[bytes]:
        return [record[1] for batch in self.batches[place] for record in batch]


class Bench:
    def __init__(self, target: KafkaTarget, client: FakeClient, heard: Heard, clock: FakeClock) -> None:
        self.target, self.client, self.heard, self.clock = target, client, heard, clock

    async def send(self, frame: pl.DataFrame) -> None:
        await self.target.send(frame, np.full(len(frame), self.clock.now()))


@pytest.fixture
def make(monkeypatch):
    async def counts(servers, topics=None):
        return {topic: number for topic, number in {"a": 3, "b": 1}.items() if topics is None or topic in topics}

    def build(topic: str | None = "a", **settings: Any) -> Bench:
        client, heard, clock = FakeClient(), Heard(), FakeClock()
        monkeypatch.setattr(module, "BatchClient", lambda *_: client)
        monkeypatch.setattr(module, "partition_counts", counts)
        return Bench(
            KafkaTarget(KafkaTargetSettings("played:1", topic, **{"linger_seconds": 0.0} | settings), heard, clock),
            client,
            heard,
            clock,
        )

    return build


@pytest.mark.parametrize("count", [40, 3000])
async def test_partitions_are_kept_in_order_and_all_is_answered(make, count):
    bench = make(batch_bytes=4096)
    async with bench.target:
        await bench.send(records(count, partitions=[row % 3 for row in range(count)]))
        await bench.send(records(count, partitions=[row % 3 for row in range(count)]))
        await bench.target.drain(10)
    for partition in range(3):
        once = [str(row).encode() for row in range(partition, count, 3)]
        assert bench.client.values(("a", partition)) == once * 2
    assert len(bench.heard.sent_due) == len(bench.heard.answered_due) == 2 * count
    assert bench.heard.failures == {}
    assert bench.client.most_under_way == 1
    assert bench.client.closed


async def test_keys_choose_where_no_partition_is_kept_and_records_without_either_take_turns(make):
    bench = make()
    keys = [b"xa-an", None, b"xa-ba", b"xa-an"] * 5
    async with bench.target:
        for _ in range(3):
            await bench.send(records(20, keys=keys, partitions=[None] * 19 + [2]))
        await bench.target.drain(10)
    found = {place[1]: [one[0] for batch in some for one in batch] for place, some in bench.client.batches.items()}
    for key in (b"xa-an", b"xa-ba"):
        own = int(partitions_of([key], 3)[0])
        assert {place for place, some in found.items() if key in some} <= {own, 2}  # the last one kept its own
    assert {place: some.count(None) for place, some in found.items()} == {0: 5, 1: 5, 2: 5}


async def test_a_batch_that_is_not_full_waits_for_more(make):
    bench = make("b", linger_seconds=0.1)
    async with bench.target:
        for _ in range(3):
            await bench.send(records(5))
            await asyncio.sleep(0.001)
        await bench.target.drain(10)
    assert [len(batch) for batch in bench.client.batches["b", 0]] == [15]


async def test_batches_of_all_partitions_leave_together(make):
    bench = make(linger_seconds=0.1)
    async with bench.target:
        await bench.send(records(1, partitions=[0]))
        await asyncio.sleep(0.06)
        await bench.send(records(1, partitions=[2]))
        assert bench.client.batches == {}
        await asyncio.sleep(0.06)
        assert sorted(bench.client.batches) == [("a", 0), ("a", 2)]
        await bench.target.drain(10)


async def test_what_comes_due_while_a_batch_is_under_way_goes_as_one(make):
    bench = make("b")
    bench.client.may_answer.clear()
    async with bench.target:
        for _ in range(10):
            await bench.send(records(5))
            await asyncio.sleep(0.001)
            bench.clock.pass_(0.1)
        assert [len(batch) for batch in bench.client.batches["b", 0]] == [5]
        bench.client.may_answer.set()
        await bench.target.drain(10)
    assert [len(batch) for batch in bench.client.batches["b", 0]] == [5, 45]
    assert bench.heard.sent_due == bench.heard.answered_due == pytest.approx([row // 5 * 0.1 for row in range(50)])
    assert bench.heard.sent_at == bench.heard.sent_due
    assert bench.heard.answered_at == pytest.approx([1.0] * 50)


@pytest.mark.parametrize("bound", [{"unanswered_records": 100}, {"unanswered_bytes": 3000}])
async def test_no_more_than_a_bound_is_unanswered(make, bound):
    bench = make("b", **bound)
    bench.client.may_answer.clear()
    async with bench.target:
        for _ in range(2):
            await bench.send(records(60))
        third = asyncio.ensure_future(bench.send(records(60)))
        await asyncio.sleep(0.02)
        assert not third.done()
        bench.client.may_answer.set()
        await third
        await bench.target.drain(10)
    assert len(bench.heard.answered_due) == 180


async def test_what_is_refused_has_failed_and_the_rest_goes_on(make):
    bench = make()
    bench.client.refuse["a", 1] = MessageSizeTooLargeError()
    async with bench.target:
        await bench.send(records(30, partitions=[row % 3 for row in range(30)]))
        await bench.target.drain(10)
    assert bench.heard.failures == {"MessageSizeTooLargeError": 10}
    assert len(bench.heard.answered_due) == 20


async def test_what_is_not_answered_in_time_has_failed(make):
    bench = make("b", batch_bytes=1024)
    bench.client.may_answer.clear()
    async with bench.target:
        for _ in range(10):
            await bench.send(records(30))
            await asyncio.sleep(0)
        await bench.target.drain(0.05)
        assert bench.heard.failures == {UNANSWERED: 300}
    assert bench.heard.answered_due == []


async def test_topics_of_their_own_names(make):
    bench = make(None)
    async with bench.target:
        await bench.send(
            pl.concat([records(3, topic="a", partitions=[1] * 3), records(2, topic="b", partitions=[0] * 2)])
        )
        await bench.target.drain(10)
        with pytest.raises(BadInputError, match="c does not exist"):
            await bench.send(pl.concat([records(1, topic="a"), records(1, topic="c")]))  # neither of them has gone
        with pytest.raises(BadInputError, match=r"no topic.*--to-topic"):
            await bench.send(records(1))
    assert {place: len(bench.client.values(place)) for place in bench.client.batches} == {("a", 1): 3, ("b", 0): 2}


@pytest.mark.parametrize("count", [1, 2000])
async def test_a_partition_that_is_not_there_is_named(make, count):
    bench = make("b")
    async with bench.target:
        with pytest.raises(BadInputError, match=r"of partition 7, and b has 1.*by-key"):
            await bench.send(records(count, partitions=[7] * count))
    bench = make("nowhere")
    with pytest.raises(BadInputError, match="nowhere does not exist"):
        await bench.target.__aenter__()


async def test_a_fault_of_the_tool_itself_ends_the_load(make):
    bench = make("b")
    bench.client.refuse["b", 0] = RuntimeError("broken")
    async with bench.target:
        await bench.send(records(3))
        with pytest.raises(RuntimeError, match="broken"):
            await bench.target.drain(10)
