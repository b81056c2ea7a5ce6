"""Whole topics, read once.

In: topics of a broker. Out: every record from the beginning to the ends as they were when reading began.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from schemas.errors import BadInputError
from streams.offsets import end_offsets, fetched_ends

TOPIC_TRIES, TOPIC_WAIT_SECONDS = 20, 0.25


async def read_all(bootstrap_servers: str, topics: Iterable[str]) -> AsyncIterator[Any]:
    """Yield the records (aiokafka ConsumerRecord) of topics, in order within each partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers.split(","), auto_offset_reset="earliest")
    await consumer.start()
    try:
        places = await partitions_of(bootstrap_servers, topics)
        ends = await fetched_ends(consumer, places)
        await consumer.seek_to_beginning(*places)
        open_ = {place for place in places if ends[place] > await consumer.position(place)}
        while open_:
            for place, records in (await consumer.getmany(*open_, timeout_ms=200)).items():
                for record in records:
                    if record.offset < ends[place]:
                        yield record
            open_ = {place for place in open_ if await consumer.position(place) < ends[place]}
    finally:
        await consumer.stop()


async def ends_of(bootstrap_servers: str, topic: str) -> dict[tuple[str, int], int]:
    """Return the offset behind the last record of each partition of a topic, by (topic, partition)."""
    ends = await end_offsets(bootstrap_servers, await partitions_of(bootstrap_servers, [topic]))
    return {(place.topic, place.partition): end for place, end in ends.items()}


async def partitions_of(bootstrap_servers: str, topics: Iterable[str]) -> list[TopicPartition]:
    """Return all partitions of topics.

    Raises:
        BadInputError: if one does not exist; brokers may take a moment to tell of a new one.
    """
    wanted = sorted(set(topics))
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers.split(","))
    await admin.start()
    try:
        for _ in range(TOPIC_TRIES):
            existing = set(await admin.list_topics())
            if existing.issuperset(wanted):
                described = await admin.describe_topics(wanted)
                return [
                    TopicPartition(topic["topic"], number)
                    for topic in described
                    for number in sorted(one["partition"] for one in topic["partitions"])
                ]
            await asyncio.sleep(TOPIC_WAIT_SECONDS)
    finally:
        await admin.close()
    missing = ", ".join(sorted(set(wanted) - existing))
    raise BadInputError("topics", f"{missing} missing on the broker", "run `quetma topics create` first")
