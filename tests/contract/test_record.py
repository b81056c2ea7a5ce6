"""`quetma record` on a broker: every byte, every way to say from where and up to where, and every way to end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition
from polars.testing import assert_frame_equal

from producers.load.framed import consumer_for
from producers.load.frames import CREATE_TIME, LOG_APPEND_TIME
from producers.load.sources.captures import capture_source
from schemas.errors import BadInputError
from services.capture.files import finish_capture, new_capture
from services.capture.reading import Reading
from services.capture.recorder import Limits, Recorder
from services.capture.recording import Order
from services.capture.span import parse_place
from tests.raw_records import NASTY, Raw, frame_of_raw, make_topic, now_ms, send_raw
from tests.system import on, usually_on
from tests.tools import require_tool

pytestmark = pytest.mark.broker
T0 = 1_771_290_000_000
STEP_MS = 1000


def new_topic(servers: str, raws: Mapping[int, Sequence[Raw]], partitions: int = 2, **config: str) -> str:
    topic = f"raw-{uuid.uuid4().hex[:8]}"
    asyncio.run(make_topic(servers, topic, partitions, **config))
    if raws:
        asyncio.run(send_raw(servers, topic, raws))
    return topic


def record(
    servers: str, topics: list[str], out: Path, begin: str = "beginning", until: str = "end", **more: Any
) -> Any:
    places = parse_place(begin, "--from", topics), parse_place(until, "--until", topics)

    async def run() -> Any:
        async with asyncio.timeout(30):
            return await Order(servers, topics, out, *places, **more).carried_out(asyncio.Event(), lambda *_: None)

    return asyncio.run(run())


def read(path: Path) -> pl.DataFrame:
    return pl.concat(capture_source(path))


def part(frame: pl.DataFrame, topic: str, partition: int) -> pl.DataFrame:
    return frame.filter(pl.col("topic") == topic, pl.col("partition") == partition)


# -- every byte ----------------------------------------------------------------------------------------------


def test_records_are_kept_byte_for_byte(broker, broker_kind, tmp_path):
    topic = new_topic(broker, {0: NASTY, 1: NASTY[::-1]})
    stamped, before = "", now_ms()
    if broker_kind == "kafka":  # Tansu 0.6 has no broker's time: it keeps the sender's
        stamped = new_topic(broker, {0: NASTY}, message_timestamp_type="LogAppendTime")
    topics = [name for name in (topic, stamped) if name]
    for name in ("a.parquet", "a.jsonl.zst"):
        summary = record(broker, topics, tmp_path / name)
        frame = read(tmp_path / name)
        for partition, raws in ((0, NASTY), (1, NASTY[::-1])):
            expected = frame_of_raw(raws, topic, partition, CREATE_TIME)
            assert_frame_equal(part(frame, topic, partition), expected)
        assert summary["records"] == frame.height == len(NASTY) * (3 if stamped else 2)
        row = {"topic": topic, "partition": 0, "records": len(NASTY), "first_offset": 0}
        assert summary["partitions"][0] == {**row, "last_offset": len(NASTY) - 1}
        headers = [(len(name.encode()), len(value or b"")) for raw in NASTY for name, value in raw.headers]
        size = sum(len(raw.key or b"") + len(raw.value or b"") for raw in NASTY) + sum(map(sum, headers))
        assert summary["bytes"] == size * (3 if stamped else 2)
        if stamped:
            found = part(frame, stamped, 0)
            assert found["timestamp"].is_between(before, now_ms()).all()
            expected = frame_of_raw(NASTY, stamped, 0, LOG_APPEND_TIME)
            assert_frame_equal(found.drop("timestamp"), expected.drop("timestamp"))


# Not on the embedded broker: kcat 1.7.1's librdkafka cannot read the ApiVersions answer of Tansu 0.6.
@on("kafka")
def test_kcat_sees_what_is_recorded(broker, tmp_path):
    (kcat,) = require_tool("kcat")
    plain = [raw for raw in NASTY if not raw.headers]
    # kcat ends a header's value at its first zero byte
    named = [Raw(b"k", b"\xff\n", (("a", b"\x01\xff"), ("a", b"2"), ("b", b""), ("c", None)))]
    topic = new_topic(broker, {0: [*plain, *named]}, partitions=1)
    record(broker, [topic], tmp_path / "a.parquet")
    command = [kcat, "-C", "-b", broker, "-t", topic, "-e", "-q", "-f", "%t %p %o %T %K %S %h|%k|%s;"]
    seen = subprocess.run(command, capture_output=True, timeout=60, check=True).stdout
    assert b"".join(map(as_kcat, read(tmp_path / "a.parquet").rows(named=True))) == seen


def as_kcat(row: dict[str, Any]) -> bytes:
    """Write a row of a capture in the format that kcat was asked for."""
    sizes = [-1 if row[name] is None else len(row[name]) for name in ("key", "value")]
    headers = [
        header["name"].encode() + b"=" + (b"NULL" if header["value"] is None else header["value"])
        for header in row["headers"]
    ]
    place = f"{row['topic']} {row['partition']} {row['offset']} {row['timestamp']} {sizes[0]} {sizes[1]} ".encode()
    return place + b",".join(headers) + b"|" + (row["key"] or b"") + b"|" + (row["value"] or b"") + b";"


# -- from and until ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def steps(broker: str) -> str:
    """A topic in three partitions: the n-th of 60 records is of second n, in partition n % 2; the third is empty."""
    raws = [Raw(b"%d" % number, b"v", timestamp=T0 + number * STEP_MS) for number in range(60)]
    return new_topic(broker, {0: raws[::2], 1: raws[1::2]}, partitions=3)


def iso(number: float) -> str:
    return f"{T0 + round(number * STEP_MS)}ms"


@pytest.mark.parametrize(
    ("begin", "until", "count", "expected"),
    [
        ("beginning", "end", None, range(60)),
        (iso(7), "end", None, range(7, 60)),
        (iso(6.5), iso(50), None, range(7, 50)),
        (iso(-1), iso(99), None, range(60)),
        (iso(99), "end", None, range(0)),
        ("end", "1s", None, range(0)),
        ("0", "end", 11, range(11)),
        ("{}:0=2,{}:1=0", "{}:0=2,{}:1=2,{}:2=0", None, [1, 3]),
        ("{}:0=29,{}:1=28", "end", None, [57, 58, 59]),
        ("beginning", "{}:0=0,{}:1=3", None, [1, 3, 5]),
    ],
)
def test_what_was_asked_for_is_recorded_in_order_of_time(broker, steps, tmp_path, begin, until, count, expected):  # noqa: PLR0917
    begin, until = begin.replace("{}", steps), until.replace("{}", steps)
    summary = record(broker, [steps], tmp_path / "a.parquet", begin, until, count=count)
    frame = pl.concat([frame_of_raw([]), *capture_source(tmp_path / "a.parquet")])
    assert [int(key) for key in frame["key"]] == list(expected)
    assert summary["ended"] == ("count" if count else "time" if until == "1s" else "end")


@pytest.mark.parametrize(
    ("begin", "told"),
    [
        ("31", "ends at offset 30, --from says 31"),
        ("{}:7=0", "has no partition 7. it has 0 to 2"),
    ],
)
def test_offsets_that_are_not_there_are_named(broker, steps, tmp_path, begin, told):
    with pytest.raises(BadInputError, match=told):
        record(broker, [steps], tmp_path / "a.parquet", begin.replace("{}", steps))
    assert list(tmp_path.iterdir()) == []


def test_a_topic_that_does_not_exist_is_named_and_not_made(broker, tmp_path):
    name = f"missing-{uuid.uuid4().hex[:8]}"
    for _ in range(2):  # the second time it would be there if the first had made it
        with pytest.raises(BadInputError, match=f"{name}: no such topic. there are "):
            record(broker, [name], tmp_path / "a.parquet")
    assert list(tmp_path.iterdir()) == []


@on("kafka")
def test_records_that_retention_took_are_an_error(broker, tmp_path):
    topic = new_topic(broker, {0: [Raw(b"%d" % number, b"") for number in range(10)]}, partitions=1)

    async def delete() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=broker)
        await admin.start()
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(6)})
        await admin.close()

    asyncio.run(delete())
    with pytest.raises(BadInputError, match="records before offset 6 are gone, and --from says 5"):
        record(broker, [topic], tmp_path / "a.parquet", "5")
    assert record(broker, [topic], tmp_path / "b.parquet")["partitions"][0]["first_offset"] == 6

    async def late() -> None:  # as if they had gone after recording began
        consumer = consumer_for(broker)
        await consumer.start()
        try:
            with new_capture(tmp_path / "c.parquet") as capture:
                reading = Reading(topic, 0, start=2, end=10)
                await Recorder(consumer, [reading], capture, Limits(), lambda _: None).run(asyncio.Event())
        finally:
            await consumer.stop()

    with pytest.raises(BadInputError, match=f"no records any more of {topic}:0 from offset 2"):
        asyncio.run(late())


# -- the ends of a process -----------------------------------------------------------------------------------


@usually_on("embedded")
def test_ctrl_c_finishes_and_kill_leaves_what_is_a_second_old(broker, tmp_path):
    topic = new_topic(broker, None, partitions=2)
    stopped, *killed = paths = [tmp_path / name for name in ("stopped.parquet", "killed.parquet", "killed.jsonl.zst")]
    processes = [started(broker, topic, path) for path in paths]
    try:
        sent = asyncio.run(sent_times(broker, topic, seconds=2.5))
        killed_at = time.monotonic()
        for process in processes[1:]:
            process.kill()
        processes[0].send_signal(signal.SIGINT)
        summary = json.loads(processes[0].communicate(timeout=30)[0])
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert processes[0].returncode == 0
    assert (summary["ended"], summary["records"]) == ("stopped", len(sent))
    assert sorted(keys_of(stopped)) == list(range(len(sent)))
    due = {number for number, at in enumerate(sent) if at < killed_at - 1.0}
    assert len(due) > 20
    for path in killed:
        assert not path.exists()
        records, keys = finish_capture(path), keys_of(path)
        assert records == len(keys)
        assert due <= set(keys)
        for partition in (0, 1):
            kept = [key for key in keys if key % 2 == partition]
            assert kept == list(range(partition, partition + 2 * len(kept), 2))


async def sent_times(servers: str, topic: str, seconds: float) -> list[float]:
    """Send a record to one partition and another in turn for a while; return when each was acknowledged."""
    times: list[float] = []
    producer = AIOKafkaProducer(bootstrap_servers=servers, enable_idempotence=False)
    await producer.start()
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        number = len(times)
        await producer.send_and_wait(topic, b"x" * 100, b"%d" % number, partition=number % 2, timestamp_ms=T0 + number)
        times.append(time.monotonic())
        await asyncio.sleep(0.01)
    await producer.stop()
    return times


def started(broker: str, topic: str, path: Path) -> subprocess.Popen[str]:
    """Start a live recording, and wait until it records."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("QUETMA_")}
    command = [sys.executable, "-m", "services.cli", "record", topic, "--out", str(path), "--from", "live", "--json"]
    process = subprocess.Popen(
        [*command, "--broker", broker], env=clean, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 20
    while not path.with_name(path.name + ".partial").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def keys_of(path: Path) -> list[int]:
    return [int(key) for frame in capture_source(path) for key in frame["key"]]
