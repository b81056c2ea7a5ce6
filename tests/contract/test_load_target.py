"""The Kafka target on both brokers: what is read back is what was sent, byte for byte, in order, where it belongs."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

import polars as pl
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import NewTopic

from producers.kafka_topics import Admin, partition_counts
from producers.load.arrivals import RateArrivals
from producers.load.clock import RealClock
from producers.load.key_partitions import partitions_of
from producers.load.profiles import built_in
from producers.load.targets.kafka import KafkaTarget, KafkaTargetSettings
from schemas.errors import BadInputError
from services.load_run import run_load
from tests.load_parts import Heard, frames, records

pytestmark = pytest.mark.broker
TOPIC, PARTITIONS, COUNT = "load-target", 3, 3000
SECONDS = 0.5


def stream() -> pl.DataFrame:
    """Records with everything that Kafka knows; some without a partition of their own."""
    numbers = range(COUNT)
    return records(
        COUNT,
        timestamps=[1_763_312_400_000 + 7 * (number % 100) for number in numbers],
        partitions=[None if number % 5 == 0 else number % PARTITIONS for number in numbers],
        keys=[None if number % 7 == 0 and number % 5 else b"\xff\x00%d" % (number % 50) for number in numbers],
        values=[None if number % 11 == 0 else b"" if number % 13 == 0 else b"\xfe%d" % number for number in numbers],
        headers=[
            [("n", str(number).encode()), ("twice", b"1"), ("twice", b"\xff2"), ("none", None)] if number % 3 else []
            for number in numbers
        ],
    )


async def read(servers: str) -> dict[int, list[Any]]:
    found = defaultdict(list)
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(TOPIC, number) for number in range(PARTITIONS)])
    async with consumer, asyncio.timeout(30):
        while sum(map(len, found.values())) < COUNT:
            for place, some in (await consumer.getmany(timeout_ms=500)).items():
                found[place.partition] += [(one.key, one.value, one.timestamp, list(one.headers)) for one in some]
    return found


async def test_records_come_as_they_were_sent(broker):
    async with Admin(broker) as admin:
        await admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])
    frame, heard = stream(), Heard()
    with RealClock() as clock:
        async with KafkaTarget(KafkaTargetSettings(broker, TOPIC, batch_bytes=8192), heard, clock) as target:
            arrivals = RateArrivals(built_in("steady", COUNT / SECONDS, SECONDS))
            await run_load(frames(frame), arrivals, target, heard, clock, asyncio.Event())
    assert len(heard.sent_due) == len(heard.answered_due) == COUNT
    assert heard.failures == {}
    expected = defaultdict(list)
    for row in frame.iter_rows(named=True):
        place = row["partition"]
        place = int(partitions_of([row["key"]], PARTITIONS)[0]) if place is None else place
        headers = [(header["name"], header["value"]) for header in row["headers"]]
        expected[place].append((row["key"], row["value"], row["timestamp"], headers))
    assert await read(broker) == expected


async def test_no_topic_is_made_by_asking_for_it(broker):
    with RealClock() as clock, pytest.raises(BadInputError, match="load-nowhere does not exist"):
        await KafkaTarget(KafkaTargetSettings(broker, "load-nowhere"), Heard(), clock).__aenter__()
    assert await partition_counts(broker, ["load-nowhere"]) == {}
