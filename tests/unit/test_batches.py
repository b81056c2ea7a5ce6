"""Sealed batches, read back by aiokafka's parser and held against aiokafka's own builder."""

from __future__ import annotations

from typing import Any, NamedTuple

import cramjam
import numpy as np
import polars as pl
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.batches import sealed
from producers.blocks import RecordBlock
from producers.record_format import MAX_OVERHEAD, Headers

HEADER = 61
HUGE = 1 << 30


class Row(NamedTuple):
    partition: int
    key: str
    value: str
    timestamp: int
    headers: Headers


headers = st.lists(st.tuples(st.text(max_size=70), st.binary(max_size=200)), max_size=3)
times = st.one_of(st.integers(1_763_312_400_000, 1_763_312_500_000), st.integers(0, 1 << 45))
rows = st.builds(
    Row,
    st.integers(0, 2),
    st.text(max_size=70),
    st.one_of(st.text(max_size=40), st.integers(60, 20_000).map("đ".__mul__)),
    times,
    st.one_of(st.just([]), headers),
)


def block_of(rows: list[Row]) -> RecordBlock:
    return RecordBlock(
        topic="topic",
        partition=np.array([row.partition for row in rows]),
        key=pl.Series([row.key for row in rows], dtype=pl.String),
        value=pl.Series([row.value for row in rows], dtype=pl.String),
        timestamp=np.array([row.timestamp for row in rows]),
        headers=[row.headers for row in rows],
    )


def first_batch(buffer: bytes) -> Any:
    return MemoryRecords(buffer).next_batch()


def read(buffer: bytes) -> list[tuple[bytes, bytes, int, Headers]]:
    batch = first_batch(buffer)
    assert batch.validate_crc()
    return [(one.key, one.value, one.timestamp, list(one.headers)) for one in batch]


@settings(deadline=None)
@given(st.lists(rows, min_size=1, max_size=30), st.data())
def test_records_are_read_as_they_were_given_in_order_of_their_partition(given_rows, data):
    low = data.draw(st.integers(0, len(given_rows)))
    high = data.draw(st.integers(low, len(given_rows)))
    limit = data.draw(st.sampled_from([1, 1000, HUGE]))
    more = {row: [("sent_at", b"1763312400000")] for row in data.draw(st.sets(st.integers(0, len(given_rows))))}
    found = sealed(block_of(given_rows), low, high, more, limit)
    expected: dict[int, list[tuple[int, Any]]] = {}
    for row in range(low, high):
        one = given_rows[row]
        content = (one.key.encode(), one.value.encode(), one.timestamp, [*one.headers, *more.get(row, [])])
        expected.setdefault(one.partition, []).append((row, content))
    records = {
        partition: [one for part in parts for one in read(bytes(part.batch._build()))]
        for partition, parts in found.items()
    }
    assert records == {partition: [content for _, content in listed] for partition, listed in expected.items()}
    numbers = {partition: [row for part in parts for row in part.rows.tolist()] for partition, parts in found.items()}
    assert numbers == {partition: [row for row, _ in listed] for partition, listed in expected.items()}
    for parts in found.values():
        assert all(part.batch.record_count() == len(part.rows) > 0 for part in parts)
        assert limit > 1 or all(len(part.rows) == 1 for part in parts)
        assert limit < HUGE or len(parts) == 1


@settings(deadline=None)
@given(st.lists(rows, min_size=1, max_size=30))
def test_records_are_laid_out_as_by_aiokafka(given_rows):
    one_partition = [row._replace(partition=0) for row in given_rows]
    own = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, HUGE)
    for offset, row in enumerate(one_partition):
        own.append(offset, row.timestamp, row.key.encode(), row.value.encode(), row.headers)
    (part,) = sealed(block_of(one_partition), 0, len(one_partition), {}, HUGE)[0]
    ours, theirs = bytes(part.batch._build()), bytes(own.build())
    assert bytes(cramjam.zstd.decompress(ours[HEADER:])) == theirs[HEADER:]
    for field in ("base_offset", "magic", "last_offset_delta", "first_timestamp", "max_timestamp"):
        assert getattr(first_batch(ours), field) == getattr(first_batch(theirs), field), field


def test_no_batch_is_larger_than_the_limit_unless_of_one_record():
    listed = [Row(0, "k" * 10, "v" * size, 5, []) for size in (100, 200, 900, 50, 50, 3000, 10)]
    parts = sealed(block_of(listed), 0, len(listed), {}, 1200)[0]
    assert [part.rows.tolist() for part in parts] == [[0, 1], [2, 3, 4], [5], [6]]
    for part in parts:
        size = sum(len(listed[row].key) + len(listed[row].value) + MAX_OVERHEAD for row in part.rows)
        assert len(part.rows) == 1 or size + HEADER <= 1200


def test_what_the_producer_sets_on_sending_is_in_the_batch():
    (part,) = sealed(block_of([Row(0, "k", "v", 5, [])] * 3), 0, 3, {}, HUGE)[0]
    nobody = first_batch(bytes(part.batch._build()))
    assert (nobody.producer_id, nobody.producer_epoch, nobody.base_sequence) == (-1, -1, -1)
    part.batch._set_producer_state(1 << 40, 7, 123_456)
    batch = first_batch(bytes(part.batch._build()))
    assert batch.validate_crc()
    assert (batch.producer_id, batch.producer_epoch, batch.base_sequence) == (1 << 40, 7, 123_456)
