"""Whole topics, read once.

In: topics of a broker. Out: every record from the beginning to the ends as they were when reading began.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.offsets import fetched_ends


async def read_all(bootstrap_servers: str, topics: Iterable[str]) -> AsyncIterator[Any]:
    """Yield the records (aiokafka ConsumerRecord) of topics, in order within each partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers.split(","), auto_offset_reset="earliest")
    await consumer.start()
    try:
        places = await partitions_of(consumer, topics)
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


async def partitions_of(consumer: AIOKafkaConsumer, topics: Iterable[str]) -> list[TopicPartition]:
    """Return all partitions of topics; those that do not exist have none."""
    wanted = set(topics)
    existing = wanted & await consumer.topics()
    return [
        TopicPartition(topic, number)
        for topic in sorted(existing)
        for number in sorted(consumer.partitions_for_topic(topic) or ())
    ]
