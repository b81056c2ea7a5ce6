"""Fetched batches as frames: what overlaps, what is missing, what is damaged, what is old."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl
import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from polars.testing import assert_frame_equal

from producers.load import framed
from producers.load.frames import LOG_APPEND_TIME
from tests.raw_records import NASTY, Raw, frame_of_raw

ATTRIBUTES, CRC = 21, 17
"""Places in the header of a batch."""
LOG_APPEND, CONTROL = 0x08, 0x20


def batch(offset: int, raws: Sequence[Raw], attributes: int = 0, removed: Sequence[int] = ()) -> bytes:
    """Return a batch as a broker stores it, with some of its records removed by compaction."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    for number, raw in enumerate(raws):
        if number not in removed:
            assert builder.append(number, raw.timestamp, raw.key, raw.value, list(raw.headers)) is not None
    data = bytearray(builder.build())
    data[:8] = struct.pack(">q", offset)
    data[23:27] = struct.pack(">i", len(raws) - 1)
    data[22] |= attributes
    data[CRC:ATTRIBUTES] = struct.pack(">I", calc_crc32c(bytes(data[ATTRIBUTES:])))
    return bytes(data)


def fetched(data: bytes, offset: int, marker: Callable[..., Any] | None = framed._as_frames) -> Any:
    """Return what a consumer makes of a fetched piece, as aiokafka calls for it."""
    place = TopicPartition("t", 0)
    return fetcher.PartitionRecords(place, MemoryRecords(data), [], offset, marker, None, True, 0)


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetcher, "PartitionRecords", fetcher.PartitionRecords)
    if not issubclass(fetcher.PartitionRecords, framed._Framed):
        fetcher.PartitionRecords = type("Framed", (framed._Framed, fetcher.PartitionRecords), {})


def test_batches_become_one_frame_from_the_offset_that_was_asked_for():
    records = fetched(batch(0, NASTY[:4]) + batch(4, NASTY[4:]), offset=2)
    (frame,) = records
    assert_frame_equal(frame, frame_of_raw(NASTY).slice(2))
    assert records.next_fetch_offset == len(NASTY)


def test_a_full_frame_is_given_and_the_rest_asked_for_again(monkeypatch):
    monkeypatch.setattr(framed, "MANY", 3)
    records = fetched(batch(0, NASTY[:2]) + batch(2, NASTY[2:4]) + batch(4, NASTY[4:]), offset=0)
    first = next(records)
    assert (first.height, records.next_fetch_offset) == (4, 4)
    assert_frame_equal(pl.concat([first, *records]), frame_of_raw(NASTY))


def test_what_compaction_and_transactions_leave_out_is_passed_over():
    raws = [Raw(b"%d" % number, b"") for number in range(9)]
    data = batch(0, raws[:3], removed=[0, 2]) + batch(3, raws[3:4], CONTROL) + batch(4, raws[4:], removed=[4])
    records = fetched(data, offset=0)
    assert [offset for frame in records for offset in frame["offset"]] == [1, 4, 5, 6, 7]
    assert records.next_fetch_offset == 9


def test_the_broker_s_time_is_told_apart():
    (frame,) = fetched(batch(0, NASTY, LOG_APPEND), offset=0)
    newest = max(raw.timestamp for raw in NASTY)
    assert frame["timestamp_type"].to_list() == [LOG_APPEND_TIME] * len(NASTY)
    assert frame["timestamp"].to_list() == [newest] * len(NASTY)


def test_a_damaged_batch_is_an_error():
    data = bytearray(batch(0, NASTY))
    data[-1] ^= 1
    with pytest.raises(CorruptRecordException, match="invalid checksum"):
        list(fetched(bytes(data), offset=0))


@pytest.mark.parametrize(("magic", "time"), [(0, -1), (1, 5)])
def test_formats_of_old_are_read(magic, time):
    builder = LegacyRecordBatchBuilder(magic, 0, 1 << 16)
    builder.append(0, 5, b"k", None)
    (frame,) = fetched(bytes(builder.build()), offset=0)
    assert_frame_equal(frame, frame_of_raw([Raw(b"k", None, timestamp=time)]))


def test_other_consumers_have_their_records_as_before():
    found = list(fetched(batch(0, NASTY), offset=1, marker=None))
    assert [(record.offset, record.key, record.value, record.headers) for record in found] == [
        (offset, raw.key, raw.value, raw.headers) for offset, raw in enumerate(NASTY) if offset
    ]
