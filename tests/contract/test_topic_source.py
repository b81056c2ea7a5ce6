"""A topic as a source of records, on both brokers: all of it, byte for byte, its partitions merged by time."""

from __future__ import annotations

import asyncio

import polars as pl
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from producers.kafka_topics import partition_counts
from producers.load.sources.opened import open_source
from producers.load.sources.ordering import in_order
from schemas.errors import BadInputError

pytestmark = pytest.mark.broker
TOPIC, EMPTY, PARTITIONS, RECORDS = "replayed", "replayed-empty", 3, 3000
BEGIN = 1_767_225_600_000


def content(number: int) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]:
    """Return key, value and headers of a record: null, empty, and no text at all among them."""
    key = [None, b"", b"\xff\x00", b"an-giang"][number % 4]
    value = [None, b"", bytes([number % 256, 255])][number % 3] if number % 7 and key is not None else b'{"n":1}'
    return key, value, [("h", b""), ("h", b"\x80")] if number % 5 == 0 else []


async def _fill(servers: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    await admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1), NewTopic(EMPTY, PARTITIONS, 1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=servers, linger_ms=5)
    await producer.start()
    sent = []
    for number in range(RECORDS):
        key, value, headers = content(number)
        # The last partition has nothing, and the first twice as much as the second.
        partition = int(number % 3 == 0)
        at = BEGIN + number * 10
        sent.append(await producer.send(TOPIC, value, key=key, partition=partition, timestamp_ms=at, headers=headers))
    await asyncio.gather(*sent)
    await producer.stop()


async def _add_one(servers: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=servers)
    await producer.start()
    await producer.send_and_wait(TOPIC, b"new", partition=2)
    await producer.stop()


def test_a_topic_is_read_from_its_beginning_to_its_end_as_it_was(broker: str) -> None:
    asyncio.run(_fill(broker))
    opened = open_source(TOPIC, servers=broker)
    asyncio.run(_add_one(broker))
    whole = pl.concat(in_order(opened.frames(), 0, opened.places))
    assert whole["timestamp"].to_list() == [BEGIN + number * 10 for number in range(RECORDS)]
    assert whole["partition"].to_list() == [int(number % 3 == 0) for number in range(RECORDS)]
    expected = [content(number) for number in range(RECORDS)]
    assert whole["key"].to_list() == [key for key, _, _ in expected]
    assert whole["value"].to_list() == [value for _, value, _ in expected]
    headers = [[(one["name"], one["value"]) for one in row] for row in whole["headers"].to_list()]
    assert headers == [rows for _, _, rows in expected]
    assert set(whole["topic"]) == {TOPIC}
    assert pl.concat(opened.frames()).equals(whole), "it can be read again, for a loop"
    assert list(open_source(EMPTY, servers=broker).frames()) == []


def test_a_topic_that_is_not_there_is_named_and_not_created(broker: str) -> None:
    with pytest.raises(BadInputError, match=r"has no topic 'no-such-topic'"):
        open_source("no-such-topic", servers=broker)
    assert "no-such-topic" not in asyncio.run(partition_counts(broker))
