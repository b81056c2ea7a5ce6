"""The recorder by itself, with a consumer that is played: what it does when the broker or the disk fails."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, OffsetOutOfRangeError

from producers.load.sources.captures import capture_source
from schemas.errors import BadInputError, UnreachableError
from services.capture import recorder, recording
from services.capture.durable import partial_of
from services.capture.files import Capture, finish_capture
from services.capture.reading import Reading
from services.capture.recording import Order
from services.capture.span import Place
from tests.raw_records import Raw, frame_of_raw

PLACE = TopicPartition("t", 0)


class PlayedConsumer:
    """Answers each fetch with the next of its frames, or errors; then it has nothing more to say."""

    def __init__(self, answers: Sequence[pl.DataFrame | Exception]) -> None:
        self._answers, self._position = list(answers), 0

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def assign(self, places: list[TopicPartition]) -> None: ...

    def seek(self, place: TopicPartition, offset: int) -> None:
        self._position = offset

    def paused(self) -> list[TopicPartition]:
        return []

    def pause(self, *places: TopicPartition) -> None: ...

    def resume(self, *places: TopicPartition) -> None: ...

    def highwater(self, place: TopicPartition) -> int | None:
        return self._position

    def last_poll_timestamp(self, place: TopicPartition) -> int | None:
        return None

    async def position(self, place: TopicPartition) -> int:
        return self._position

    async def getmany(self, *places: TopicPartition, **_: Any) -> dict[TopicPartition, list[pl.DataFrame]]:
        await asyncio.sleep(0.001)
        if not self._answers:
            return {}
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        self._position = int(answer["offset"][-1]) + 1
        return {PLACE: [answer]}


def played(monkeypatch: pytest.MonkeyPatch, answers: Sequence[pl.DataFrame | Exception], end: int | None) -> None:
    async def planned(*_: Any) -> list[Reading]:
        return [Reading("t", 0, 0, end)]

    monkeypatch.setattr(recording, "consumer_for", lambda _: PlayedConsumer(answers))
    monkeypatch.setattr(recording, "plan", planned)


def order_of(path: Path) -> Order:
    return Order("nowhere:1", ["t"], path, Place("beginning"), Place("end"))


def carried_out(path: Path) -> Any:
    return asyncio.run(order_of(path).carried_out(asyncio.Event(), lambda *_: None))


def records(first: int, count: int) -> pl.DataFrame:
    frame = frame_of_raw([Raw(b"%d" % number, b"") for number in range(first, first + count)])
    return frame.with_columns(pl.col("offset") + first)


@pytest.fixture(params=["a.parquet", "a.jsonl.zst"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / request.param


def test_records_beyond_the_end_are_left_out(path, monkeypatch):
    played(monkeypatch, [records(0, 5), records(5, 5)], end=7)
    summary = carried_out(path)
    assert (summary["records"], summary["ended"]) == (7, "end")
    assert summary["file_bytes"] == path.stat().st_size
    assert [offset for frame in capture_source(path) for offset in frame["offset"]] == list(range(7))


def test_what_came_before_an_error_is_kept_and_the_error_says_so(path, monkeypatch):
    played(monkeypatch, [records(0, 5), OffsetOutOfRangeError({PLACE: 5})], end=10)
    told = "no records any more of t:0 from offset 5.*retention.*5 records are kept: quetma record --finish"
    with pytest.raises(BadInputError, match=told):
        carried_out(path)
    assert not path.exists()
    assert finish_capture(path) == 5


def test_an_error_before_the_first_record_leaves_nothing(path, monkeypatch):
    played(monkeypatch, [OffsetOutOfRangeError({PLACE: 0})], end=10)
    with pytest.raises(BadInputError, match="from offset 0"):
        carried_out(path)
    assert list(path.parent.iterdir()) == []


def test_a_silent_broker_is_an_error(path, monkeypatch):
    monkeypatch.setattr(recorder, "SILENT_SECONDS", 0.2)
    played(monkeypatch, [records(0, 5)], end=10)
    with pytest.raises(UnreachableError, match=r"silent for 0.2 s.*5 records are kept"):
        carried_out(path)
    assert partial_of(path).exists()


def test_a_full_disk_is_an_error_that_names_what_can_be_done(path, monkeypatch):
    append = Capture.append
    monkeypatch.setattr(recorder, "FLUSH_BYTES", 1)

    def full(capture: Capture, frame: pl.DataFrame) -> None:
        if frame["offset"][0] >= 5:
            raise BadInputError("record", "No space left on device", "make room")
        append(capture, frame)

    monkeypatch.setattr(Capture, "append", full)
    played(monkeypatch, [records(0, 5), records(5, 5)], end=10)
    with pytest.raises(BadInputError, match=r"No space left on device\. make room\. 5 records are kept"):
        carried_out(path)
    assert finish_capture(path) == 5


def test_nothing_is_kept_behind_what_could_not_be_written(path, monkeypatch):
    append = Capture.append
    monkeypatch.setattr(recorder, "FLUSH_BYTES", 1)

    def full_for_a_moment(capture: Capture, frame: pl.DataFrame) -> None:
        if frame["offset"][0] == 5:
            raise BadInputError("record", "No space left on device", "make room")
        append(capture, frame)

    monkeypatch.setattr(Capture, "append", full_for_a_moment)
    played(monkeypatch, [records(0, 5), records(5, 5), records(10, 5)], end=15)
    with pytest.raises(BadInputError, match=r"5 records are kept"):
        carried_out(path)
    assert finish_capture(path) == 5


def test_ctrl_c_before_anything_is_recorded_ends_it_and_leaves_nothing(path, monkeypatch):
    async def for_ever(*_: Any) -> list[Reading]:
        await asyncio.Event().wait()
        raise AssertionError

    async def interrupted() -> Any:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(0.05, stop.set)
        async with asyncio.timeout(5):
            return await order_of(path).carried_out(stop, lambda *_: None)

    played(monkeypatch, [], end=None)
    monkeypatch.setattr(recording, "plan", for_ever)
    assert asyncio.run(interrupted()) is None
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("error", [TimeoutError(), KafkaConnectionError("gone")])
def test_a_broker_that_answers_no_more_is_unreachable(path, monkeypatch, error):
    async def failing(*_: Any) -> list[Reading]:
        raise error

    played(monkeypatch, [], end=None)
    monkeypatch.setattr(recording, "plan", failing)
    with pytest.raises(UnreachableError, match="nowhere:1 does not say what there is of t"):
        carried_out(path)
