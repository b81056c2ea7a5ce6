"""Where partitions end and what is at their ends, on any broker.

In: partitions. Out: their end offsets, by a fetch; the records up to there.
Tansu 0.6 answers ListOffsets (latest) with one past the base offset of the last batch; a fetch's high watermark is
right on every broker. Recovery that stopped at the former would lose most of a batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

FETCH_WAIT_MS = 50
TIMEOUT_SECONDS = 10.0
FETCH_BYTES = 1 << 16


async def end_offsets(bootstrap_servers: str, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    """Return the offset behind the last record of each partition.

    Raises:
        TimeoutError: if the broker does not say within 10 s.
    """
    places = [TopicPartition(place.topic, place.partition) for place in partitions]
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers.split(","), fetch_max_wait_ms=FETCH_WAIT_MS)
    await consumer.start()
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await fetched_ends(consumer, places)
    finally:
        await stopped(consumer)


async def stopped(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer; aiokafka lets the cancellation of its own fetching escape, which is not ours."""
    try:
        await consumer.stop()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise


async def fetched_ends(consumer: AIOKafkaConsumer, places: list[TopicPartition]) -> dict[TopicPartition, int]:
    """Assign partitions to a consumer and ask for their ends by fetching from near them."""
    if not places:
        return {}
    consumer.assign(places)
    for place, end in (await consumer.end_offsets(places)).items():
        consumer.seek(place, max(end, 0))
    while True:
        await consumer.getmany(timeout_ms=FETCH_WAIT_MS)
        ends = {place: consumer.highwater(place) for place in places}
        if all(end is not None for end in ends.values()):
            return ends


async def first_record(bootstrap_servers: str, place: TopicPartition, at_least: int) -> Any:
    """Return the first record of a partition from an offset on, aiokafka's; there must be one.

    Raises:
        TimeoutError: if none comes within 10 s.
    """
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers.split(","),
        fetch_max_wait_ms=FETCH_WAIT_MS,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    await consumer.start()
    try:
        consumer.assign([place])
        consumer.seek(place, at_least)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await consumer.getone(place)
    finally:
        await stopped(consumer)


async def read_to_end(
    bootstrap_servers: str, place: TopicPartition, begin: int, learn: Callable[[int, bytes, bytes | None], None]
) -> int:
    """Tell offsets, keys and values from an offset on, up to where the partition ends when all before has been read.

    The end moves with what others write meanwhile, so that no record is missed for a newer one of its key.

    Returns:
        That end.

    Raises:
        TimeoutError: if the broker says nothing for 10 s, as over a connection that stalls.
    """
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers.split(","), fetch_max_wait_ms=FETCH_WAIT_MS, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        consumer.assign([place])
        consumer.seek(place, begin)
        while True:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                records = await _more(consumer, place)
            for record in records:
                if record.key is not None:
                    learn(record.offset, record.key, record.value)
            end = consumer.highwater(place)
            if end is not None and await consumer.position(place) >= end:
                return int(end)
    finally:
        await stopped(consumer)


async def _more(consumer: AIOKafkaConsumer, place: TopicPartition) -> Sequence[Any]:
    """Return the next records of a partition; none if it has been asked and has none."""
    while True:
        records: Sequence[Any] = (await consumer.getmany(place, timeout_ms=FETCH_WAIT_MS)).get(place, ())
        end = consumer.highwater(place)
        if records or (end is not None and await consumer.position(place) >= end):
            return records
