"""Partitions read to their ends, on any broker.

In: partitions, and offsets to begin at. Out: the records from there on, and ends near enough to begin at later.
Tansu 0.6 answers ListOffsets (latest) with less than the end; what a fetch says of it is right on every broker.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.errors import UnreachableError

FETCH_WAIT_MS = 100
POLL_MS = 200


async def read_to_end(servers: str, begins: Mapping[TopicPartition, int]) -> AsyncIterator[Any]:
    """Yield the records (aiokafka ConsumerRecord) of partitions from offsets on, in order within each.

    What was there when reading began is read. Where records before an offset are gone, it begins with the first.

    Raises:
        UnreachableError: if the broker does not answer.
    """
    async with consumer_of(servers, begins) as consumer:
        for place, offset in begins.items():
            consumer.seek(place, offset)
        open_ = set(begins)
        while open_:
            for records in (await consumer.getmany(*open_, timeout_ms=POLL_MS)).values():
                for record in records:
                    yield record
            open_ = {place for place in open_ if not await _is_read(consumer, place)}


async def ends_at_most(servers: str, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    """Return, by partition, an offset that is its end or shortly before it.

    Raises:
        UnreachableError: if the broker does not answer.
    """
    listed = list(places)
    async with consumer_of(servers, listed) as consumer:
        return {place: max(0, end) for place, end in (await consumer.end_offsets(listed)).items()}


async def _is_read(consumer: AIOKafkaConsumer, place: TopicPartition) -> bool:
    end = consumer.highwater(place)
    return end is not None and await consumer.position(place) >= end


@asynccontextmanager
async def consumer_of(
    servers: str, places: Iterable[TopicPartition], wait_ms: int = FETCH_WAIT_MS
) -> AsyncIterator[AIOKafkaConsumer]:
    """Give a consumer of partitions, without a group; a fetch waits so long where there is nothing new.

    Raises:
        UnreachableError: if the broker does not answer.
    """
    consumer = AIOKafkaConsumer(
        bootstrap_servers=servers.split(","), fetch_max_wait_ms=wait_ms, auto_offset_reset="earliest"
    )
    try:
        await consumer.start()
        consumer.assign(list(places))
        yield consumer
    except KafkaError as error:
        raise UnreachableError("produce", f"{servers} does not answer: {error}", "start it") from None
    finally:
        await consumer.stop()
