"""Which source a name leads to, what is known of it, and how a thread reads it."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from dataclasses import replace
from itertools import count
from pathlib import Path

import polars as pl
import pytest
import zstandard
from aiokafka import TopicPartition

from producers.load.sources import topics
from producers.load.sources.mapping import Mapping, Time
from producers.load.sources.opened import open_source
from producers.load.sources.threads import from_thread
from producers.load.transforms.filters import Filters
from producers.load.transforms.replaying import Changes, replayed
from schemas.errors import BadInputError, UnreachableError
from schemas.topics import CELLS
from services.capture.files import new_capture
from tests.raw_frames import frame, record, run_of_ours

CSV = "id,at\na,1767225600000\nb,1767225601000\n"


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "capture.parquet"
    run_of_ours().write_parquet(path)
    return path


def test_a_capture_is_known_by_its_columns_and_tells_what_it_has(capture):
    run = run_of_ours()
    opened = open_source(str(capture))
    assert (opened.kind, opened.timed, opened.records) == ("capture", True, len(run))
    assert (opened.first_at, opened.last_at) == (run["timestamp"].min(), run["timestamp"].max())
    assert f"{capture} (capture): {len(run):,} records, 2025-12-29T17:" in opened.description()
    for _ in range(2):
        assert pl.concat(opened.frames()).equals(run)
    assert opened.cells().equals(run.filter(pl.col("topic") == CELLS))


def test_cells_are_found_among_lines_too(tmp_path):
    path, run = tmp_path / "c.jsonl.zst", run_of_ours()
    with new_capture(path) as made:
        for part in run.iter_slices(500):
            made.append(part)
        made.finish()
    found = open_source(str(path)).cells()
    assert len(found) > 0
    assert found.equals(run.filter(pl.col("topic") == CELLS))


LINE = {"topic": "t", "partition": 1, "offset": 5, "timestamp": 7, "timestamp_type": 0, "key": "/w==", "value": None}


def test_lines_of_records_are_a_capture_and_other_lines_are_a_table(tmp_path):
    for name, line, kind in (("c", {**LINE, "headers": []}, "capture"), ("t", LINE, "jsonl"), ("e", None, "capture")):
        text = b"" if line is None else json.dumps(line).encode() + b"\n"
        (tmp_path / f"{name}.jsonl.zst").write_bytes(zstandard.compress(text))
        opened = open_source(str(tmp_path / f"{name}.jsonl.zst"))
        assert opened.kind == kind
        if kind == "capture":
            expected = frame() if line is None else frame(record(7, None, b"\xff", partition=1, offset=5))
            assert pl.concat([frame(), *opened.frames()]).equals(expected)
    assert [one["value"].to_list() for one in open_source(str(tmp_path / "t.jsonl.zst")).frames()] == [
        [json.dumps(LINE).encode()]
    ]


def test_a_capture_of_another_program_may_have_wider_numbers(tmp_path):
    path, rows = tmp_path / "c.parquet", frame(record(7, b"v", b"k", partition=1, offset=5))
    rows.cast({"partition": pl.Int64, "timestamp_type": pl.Int32}).write_parquet(path)
    opened = open_source(str(path))
    assert opened.kind == "capture"
    assert pl.concat(opened.frames()).equals(rows)
    rows.cast({"timestamp": pl.Datetime("ms")}).write_parquet(path)
    with pytest.raises(BadInputError, match=r"column 'timestamp' is Datetime.*it must be Int64"):
        open_source(str(path))


def test_what_lies_beside_a_whole_file_does_not_matter(tmp_path, capture):
    (tmp_path / "t.csv").write_text(CSV, encoding="utf-8")
    for name, kind in (("t.csv", "csv"), (capture.name, "capture")):
        (tmp_path / f"{name}.partial").mkdir()
        assert open_source(str(tmp_path / name)).kind == kind


@pytest.mark.parametrize("name", ["c.parquet", "c.parquet.partial", "c.jsonl.zst"])
def test_a_capture_that_was_not_finished_can_be(tmp_path, name):
    (tmp_path / f"{name.removesuffix('.partial')}.partial").mkdir()
    with pytest.raises(BadInputError, match=r"quetma record --finish .*c\.(parquet|jsonl\.zst)$"):
        open_source(str(tmp_path / name))


def test_a_parquet_file_of_other_columns_is_a_table(tmp_path):
    path = tmp_path / "t.parquet"
    pl.DataFrame({"timestamp": ["x"], "n": [1]}).write_parquet(path)
    opened = open_source(str(path))
    assert (opened.kind, opened.timed, opened.records) == ("parquet", False, 1)
    assert pl.concat(opened.frames())["value"].to_list() == [b'{"timestamp":"x","n":1}']


def test_a_table_is_timed_where_the_mapping_says_so(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(CSV, encoding="utf-8")
    assert not open_source(str(path)).timed
    opened = open_source(str(path), mapping=Mapping(time=Time(column="at"), key="id"))
    assert opened.timed
    sent = pl.concat(replayed(opened, Changes(loops=3), lambda: 0))
    assert sent["key"].to_list() == [b"a", b"b"] * 3
    assert (sent["timestamp"] - 1767225600000).to_list() == [0, 1000, 1000, 2000, 2000, 3000]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.csv", None, "none.csv: no such file. give a .parquet, .csv, .jsonl or .ndjson file"),
        ("t.xlsx", b"", "t.xlsx: no format is known by this name"),
        ("t.parquet.gz", b"", "t.parquet.gz: no format is known"),
        ("t.parquet", b"PAR1", "t.parquet: "),
    ],
)
def test_what_is_no_source_is_named(tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInputError) as raised:
        open_source(str(tmp_path / name))
    assert words in str(raised.value)


@pytest.mark.parametrize("name", ["", ".", "/", "..", ".parquet"])
def test_names_that_are_no_files_are_named(name):
    with pytest.raises(BadInputError, match=f"source: {re.escape(name)}: no such file"):
        open_source(name)


def test_a_capture_and_a_topic_need_no_mapping(capture):
    with pytest.raises(BadInputError, match="a capture needs none"):
        open_source(str(capture), mapping=Mapping())
    with pytest.raises(BadInputError, match="it has none"):
        open_source("t", servers="127.0.0.1:9", mapping=Mapping())


def test_a_cluster_that_is_not_there_is_unreachable():
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:9 does not answer"):
        open_source("t", servers="127.0.0.1:9")


@pytest.mark.parametrize("servers", ["127.0.0.1:x", "127.0.0.1:99999"])
def test_an_address_that_is_none_is_named(servers):
    with pytest.raises(BadInputError, match=f"--from {servers}: .*write HOST:PORT"):
        open_source("t", servers=servers)


# -- threads -------------------------------------------------------------------------------------------------


async def test_one_thread_reads_and_an_error_comes_in_its_turn():
    threads = set()

    def frames():
        for number in range(20):
            threads.add(threading.current_thread())
            yield frame(record(number))
        raise BadInputError("source", "row 21", "mend it")

    source = from_thread(frames())
    assert [(await anext(source))["timestamp"].item() for _ in range(20)] == list(range(20))
    with pytest.raises(BadInputError, match="row 21"):
        await anext(source)
    assert len(threads) == 1
    assert threading.main_thread() not in threads


async def test_a_source_that_is_closed_reads_no_further_and_closes_what_it_read():
    read, closed_in = count(), []

    def frames():
        try:
            while True:
                yield frame(record(next(read)))
        finally:
            closed_in.append(threading.current_thread())

    source = from_thread(frames())
    assert (await anext(source))["timestamp"].to_list() == [0]
    await source.aclose()
    assert len(closed_in) == 1
    assert closed_in[0] is not threading.main_thread()
    assert next(read) <= 10


async def test_a_source_that_is_closed_while_nothing_of_it_matches_ends_soon(capture):
    opened = open_source(str(capture))

    def without_end():
        while True:
            yield from opened.frames()

    changes = Changes(filters=Filters(keys=("nobody",)))
    source = from_thread(replayed(replace(opened, frames=without_end), changes, lambda: 0))
    first = asyncio.ensure_future(anext(source))
    await asyncio.sleep(0.1)
    assert not first.done()
    first.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await first


# -- topics that say nothing ---------------------------------------------------------------------------------

PLACE = TopicPartition("t", 0)


class SilentConsumer:
    """A consumer of a cluster that has gone: it says where partitions begin, and nothing more."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def assign(self, places: list[TopicPartition]) -> None: ...

    def seek(self, place: TopicPartition, offset: int) -> None: ...

    async def beginning_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 0)

    async def position(self, place: TopicPartition) -> int:
        return 0

    async def getmany(self, *places: TopicPartition, timeout_ms: int) -> dict[TopicPartition, list[pl.DataFrame]]:
        await asyncio.sleep(0.01)
        return {}


@pytest.fixture
def silent(monkeypatch):
    monkeypatch.setattr(topics, "consumer_for", lambda _: SilentConsumer())
    return topics.topic_source("nowhere:1", {PLACE: 5})


def test_a_cluster_that_falls_silent_is_unreachable(silent, monkeypatch):
    monkeypatch.setattr(topics, "SILENT_SECONDS", 0.1)
    with pytest.raises(UnreachableError, match=r"nowhere:1 has said nothing of t:0 for 0\.1 s"):
        next(silent)


async def test_a_silent_cluster_keeps_no_source_from_being_closed(silent):
    source = from_thread(silent)
    first = asyncio.ensure_future(anext(source))
    await asyncio.sleep(0.1)
    assert not first.done()
    first.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await first
