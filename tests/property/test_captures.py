"""Captures keep any record; partitions are laid together in order of time, whatever the order they are read in."""

from __future__ import annotations

import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from producers.load.frames import RECORDS
from producers.load.header_lists import header_lists
from producers.load.sources.captures import capture_source
from producers.load.sources.time_order import TimeOrder
from services.capture.files import new_capture
from services.capture.reading import Reading
from tests.raw_records import RAW, Raw, frame_of_raw

FLUSHES = st.lists(st.lists(RAW, max_size=4), max_size=4)


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl.zst"])
@given(flushes=FLUSHES, rows=st.integers(1, 5))
@settings(max_examples=15)  # each waits for the disk
def test_any_records_come_back_byte_for_byte(name, flushes, rows):
    frames = [frame_of_raw(raws, "chủ đề", 2) for raws in flushes]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        with new_capture(path) as capture:
            for frame in frames:
                capture.append(frame)
            capture.finish()
        found = list(capture_source(path, rows))
    assert all(0 < frame.height <= rows for frame in found)
    assert_frame_equal(pl.concat([RECORDS.to_frame(), *found]), pl.concat([RECORDS.to_frame(), *frames]))


@given(st.lists(RAW, max_size=20))
def test_headers_as_a_column_are_the_headers_of_each_record(raws):
    assert header_lists([raw.headers for raw in raws]).equals(frame_of_raw(raws)["headers"])


TIMES = st.lists(st.integers(0, 30), max_size=12)


@given(st.lists(TIMES, min_size=1, max_size=4), st.data())
def test_partitions_are_laid_together_in_order_of_time(times, data):
    order, taken = TimeOrder(len(times)), []
    frames = [
        frame_of_raw([Raw(b"", b"", timestamp=time) for time in lane], "t", partition)
        for partition, lane in enumerate(times)
    ]
    at = [0] * len(times)
    while open_ := {lane for lane, frame in enumerate(frames) if at[lane] < frame.height}:
        lane = data.draw(st.sampled_from(sorted(open_)))
        rows = data.draw(st.integers(1, 5))
        order.put(lane, frames[lane].slice(at[lane], rows))
        at[lane] += rows
        open_ = {lane for lane, frame in enumerate(frames) if at[lane] < frame.height}
        if (frame := order.take(open_)) is not None:
            taken.append(frame)
    found = pl.concat([RECORDS.to_frame(), *taken])
    for partition, frame in enumerate(frames):
        assert_frame_equal(found.filter(pl.col("partition") == partition), frame)
    # A record that is late in its own partition comes right behind those before it: by the newest time so far.
    due = found.select(pl.col("timestamp").cum_max().over("partition"))["timestamp"]
    assert due.is_sorted()
    assert all(order.bytes_of(lane) == 0 for lane in range(len(times)))


@given(
    times=TIMES,
    gaps=st.lists(st.integers(1, 3), min_size=12, max_size=12),
    from_ms=st.none() | st.integers(0, 31),
    until_ms=st.none() | st.integers(0, 31),
    end=st.none() | st.integers(0, 30),
    rows=st.integers(1, 5),
)
def test_what_is_taken_of_a_partition_does_not_depend_on_how_it_is_cut(times, gaps, from_ms, until_ms, end, rows):  # noqa: PLR0917
    offsets = [sum(gaps[: number + 1]) for number in range(len(times))]
    frame = frame_of_raw([Raw(None, None, timestamp=time) for time in times])
    frame = frame.with_columns(pl.Series("offset", offsets, dtype=pl.Int64))
    reading = Reading("t", 0, 0, end, from_ms, until_ms)
    taken = []
    for part in frame.iter_slices(rows):
        if reading.done:
            break
        taken.append(reading.take(part))
        reading.reached(int(part["offset"][-1]) + 1)

    begun, expected = from_ms is None, []
    for time, offset in zip(times, offsets, strict=True):
        if end is not None and offset >= end:
            break
        begun = begun or time >= from_ms
        if begun and until_ms is not None and time >= until_ms:
            break
        if begun:
            expected.append(offset)
    assert pl.concat([RECORDS.to_frame(), *taken])["offset"].to_list() == expected
