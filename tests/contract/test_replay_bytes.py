"""What was recorded and replayed, read by consumers that are not ours: keys, partitions, headers, times, bytes."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import time
import uuid
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from services.broker import free_port
from services.scrape import scrape
from services.supervisor import Child
from tests.raw_records import NASTY, Raw, make_topic, send_raw
from tests.system import on, run_quetma, usually_on
from tests.tools import require_tool

pytestmark = pytest.mark.broker
PARTITIONS = 2
NO_PORT = {"QUETMA_LOAD__METRICS_PORT": "0"}
DEADLINE_SECONDS = 30.0
T0 = 1_771_290_000_000

Seen = dict[int, list[tuple[Any, ...]]]


def read(servers: str, topic: str, count: int) -> Seen:
    """Read a topic with librdkafka: what it says of each record, by partition, in order."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "nobody", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
    found: Seen = defaultdict(list)
    deadline = time.monotonic() + DEADLINE_SECONDS
    try:
        while sum(map(len, found.values())) < count:
            assert time.monotonic() < deadline, f"{topic}: {sum(map(len, found.values()))} of {count}"
            for record in consumer.consume(count, 0.5):
                assert record.error() is None, record.error()
                said = (record.key(), record.value(), record.headers(), record.timestamp())
                found[record.partition()].append(said)
    finally:
        consumer.close()
    return found


def copied(servers: str, folder: Path, raws: dict[int, list[Raw]], capture: str, *options: str) -> tuple[str, str]:
    """Send records to a topic, record it, replay it to another; return both."""
    topic = f"raw-{uuid.uuid4().hex[:8]}"
    for name in (topic, f"{topic}-copy"):
        asyncio.run(make_topic(servers, name, PARTITIONS))
    asyncio.run(send_raw(servers, topic, raws))
    path = str(folder / capture)
    done = run_quetma("record", topic, "--out", path, "--broker", servers, "--quiet")
    assert done.returncode == 0, done.stderr
    done = run_quetma("replay", path, "--broker", servers, "--to-topic", f"{topic}-copy", "--json", *options, **NO_PORT)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)["counts"]
    assert counts["sent"] == counts["answered"] == sum(map(len, raws.values()))
    return topic, f"{topic}-copy"


@pytest.mark.parametrize("capture", ["a.parquet", "a.jsonl.zst"])
def test_a_replay_is_what_was_recorded_byte_for_byte(broker: str, tmp_path: Path, capture: str) -> None:
    raws = {0: sorted(NASTY, key=lambda raw: raw.timestamp), 1: sorted(NASTY, key=lambda raw: -len(raw.value or b""))}
    topic, copy = copied(broker, tmp_path, raws, capture, "--speed", "max", "--verbatim")
    original = read(broker, topic, 2 * len(NASTY))
    assert [key for key, *_ in original[0]] == [raw.key for raw in raws[0]]
    assert read(broker, copy, 2 * len(NASTY)) == original


# kcat 1.7.1 brings a librdkafka that cannot read the ApiVersions answer of Tansu 0.6; the newer one above can.
@on("kafka")
def test_kcat_says_the_same_of_both(broker: str, tmp_path: Path) -> None:
    (kcat,) = require_tool("kcat")
    named = Raw(b"k", b"\xff\n", (("a", b"\x01\xff"), ("a", b"2"), ("b", b""), ("c", None)), timestamp=T0)
    raws = {0: [*(raw for raw in NASTY if not raw.headers), named], 1: [named, named]}
    topics = copied(broker, tmp_path, raws, "a.parquet", "--speed", "max", "--verbatim")
    command = [kcat, "-C", "-b", broker, "-e", "-q", "-f", "%p %o %T %K %S %h|%k|%s;", "-p"]
    for partition in raws:
        said = [
            subprocess.run([*command, str(partition), "-t", topic], capture_output=True, timeout=60, check=True).stdout
            for topic in topics
        ]
        assert said[0] == said[1] != b""


@usually_on("embedded")
def test_a_replay_keeps_time_and_ctrl_c_ends_it_with_its_report(broker: str, tmp_path: Path) -> None:
    raws = {0: [Raw(b"%d" % number, b"v", timestamp=T0 + 20 * number) for number in range(201)]}
    _, copy = copied(broker, tmp_path, raws, "a.parquet", "--speed", "4")
    *_, (kind, first_at) = read(broker, copy, 201)[0][0]
    assert (kind, first_at) == (1, T0)

    words = ["replay", str(tmp_path / "a.parquet"), "--broker", broker, "--to-topic", copy, "--json"]
    report = report_of([*words, "--speed", "4"], tmp_path)
    assert report["ended"] == "source ended"
    assert 0.95 <= report["seconds"] < 3.0

    report = report_of([*words, "--speed", "0.5"], tmp_path, signal.SIGINT)
    assert report["ended"] == "interrupted"
    assert 0 < report["counts"]["sent"] == report["counts"]["answered"] < 201


def report_of(words: list[str], folder: Path, after_the_first: signal.Signals | None = None) -> dict[str, Any]:
    """Run a load; return its report. A signal is sent to it when its first records have gone."""
    port = free_port()
    child = Child("replay", words, {"QUETMA_LOAD__METRICS_PORT": str(port)}, folder)
    if after_the_first is not None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not asyncio.run(scrape(f"http://127.0.0.1:{port}/metrics")).total("quetma_load_sent_records_total"):
            assert time.monotonic() < deadline, child.log_end()
        child.send(after_the_first)
    assert asyncio.run(child.stopped(DEADLINE_SECONDS)) == 0, child.log_end()
    report: dict[str, Any] = json.loads(child.output().splitlines()[-1])
    return report
