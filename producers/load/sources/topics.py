"""A topic of a cluster as a source: from its beginning to its ends as they were, its partitions merged by time.

In: a cluster, the name of a topic. Out: frames as in `producers.load.frames.RECORDS`. What there is in memory is
bounded: of each partition what one fetch brings.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Any, Final

import polars as pl
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from producers.load.frames import RECORDS
from producers.load.sources.merging import Merge
from producers.topic_tails import consumer_of
from schemas.errors import BadInputError, UnreachableError

ROWS: Final = 8192
POLL_MS: Final = 200
_NO_ERROR: Final = 0

Ends = dict[TopicPartition, int]
"""Offset behind the last record of each partition."""


async def partition_counts(servers: str) -> dict[str, int]:
    """Return all topics of a cluster and how many partitions each has.

    Asking for a topic by its name would make some brokers create it.

    Raises:
        UnreachableError: if the cluster does not answer.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=servers.split(","))
    try:
        await admin.start()
        described = await admin.describe_topics(await admin.list_topics())
    except (KafkaError, OSError) as error:
        raise UnreachableError("topics", f"{servers} does not answer: {error}", "start it, or name another") from None
    finally:
        await admin.close()
    return {
        one["topic"]: len(one["partitions"])
        for one in described
        if one["error_code"] == _NO_ERROR and one["partitions"]
    }


def topic_ends(servers: str, topic: str) -> Ends:
    """Return where the partitions of a topic end now. Use it outside a running event loop.

    Raises:
        BadInputError: if there is no such topic.
        UnreachableError: if the cluster does not answer.
    """
    return asyncio.run(_ends(servers, topic))


def topic_source(servers: str, ends: Ends) -> Iterator[pl.DataFrame]:
    """Yield the records of partitions from their beginnings to the ends given.

    It has an event loop of its own: read it in a thread in which none runs.

    Raises:
        UnreachableError: if the cluster does not answer.
    """
    with asyncio.Runner() as runner:
        frames = _frames(servers, ends)
        try:
            while (frame := runner.run(_following(frames))) is not None:
                yield frame
        finally:
            runner.run(frames.aclose())


async def _following(frames: AsyncIterator[pl.DataFrame]) -> pl.DataFrame | None:
    return await anext(frames, None)


async def _ends(servers: str, topic: str) -> Ends:
    counts = await partition_counts(servers)
    if topic not in counts:
        known = ", ".join(sorted(counts)) or "none"
        raise BadInputError("source", f"{servers} has no topic {topic!r}", f"its topics are {known}")
    places = [TopicPartition(topic, number) for number in range(counts[topic])]
    async with consumer_of(servers, places) as consumer:
        for place in places:  # a fetch at an end brings nothing; its answer says where the end is
            consumer.seek(place, max(0, (await consumer.end_offsets([place]))[place]))
        ends: Ends = {}
        while len(ends) < len(places):
            await consumer.getmany(timeout_ms=POLL_MS)
            ends = {place: end for place in places if (end := consumer.highwater(place)) is not None}
        return ends


async def _frames(servers: str, ends: Ends) -> Any:
    merge = Merge([place.partition for place in ends])
    by_number = {place.partition: place for place in ends}
    async with consumer_of(servers, ends) as consumer:
        await consumer.seek_to_beginning(*ends)
        await _end_those_read(consumer, ends, merge)
        while True:
            wanted = [by_number[number] for number in merge.wanted()]
            if wanted:
                await _fetch(consumer, ends, merge, wanted)
            elif (frame := merge.ready()) is not None:
                for part in frame.iter_slices(ROWS):
                    yield part
            else:
                return


async def _fetch(
    consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int], merge: Merge, wanted: list[Any]
) -> None:
    for place, found in (await consumer.getmany(*wanted, timeout_ms=POLL_MS)).items():
        records = [record for record in found if record.offset < ends[place]]
        if records:
            merge.add(place.partition, frame_of(records))
    await _end_those_read(consumer, {place: ends[place] for place in wanted}, merge)


async def _end_those_read(consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int], merge: Merge) -> None:
    for place, end in ends.items():
        if await consumer.position(place) >= end:
            merge.end(place.partition)


def frame_of(records: Iterable[Any]) -> pl.DataFrame:
    """Return records (aiokafka ConsumerRecord) as a frame."""
    rows = [
        (
            record.topic,
            record.partition,
            record.offset,
            record.timestamp,
            record.timestamp_type,
            record.key,
            record.value,
            [{"name": name, "value": value} for name, value in record.headers],
        )
        for record in records
    ]
    return pl.DataFrame(
        {
            name: pl.Series(name, column, dtype=kind)
            for (name, kind), column in zip(RECORDS.items(), zip(*rows, strict=True), strict=True)
        }
    )
