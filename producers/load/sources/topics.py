"""A topic of a cluster as a source: from its beginning to its ends as they were, its partitions merged by time.

In: a cluster, the name of a topic. Out: frames as in `producers.load.frames.RECORDS`. What there is in memory is
bounded: of each partition what one fetch brings.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import polars as pl
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from producers.kafka_topics import partition_counts
from producers.load.framed import POLL_MS, consumer_for, fetching
from producers.load.sources.threads import check_wanted
from producers.load.sources.time_order import TimeOrder
from schemas.errors import BadInputError, UnreachableError

ROWS: Final = 8192
STAGE: Final = "source"
SILENT_SECONDS: Final = 60.0
"""For how long a cluster may say nothing of partitions of which there is more to be read."""

Ends = dict[TopicPartition, int]
"""Offset behind the last record of each partition."""


def topic_ends(servers: str, topic: str) -> Ends:
    """Return where the partitions of a topic end now. Use it outside a running event loop.

    Raises:
        BadInputError: if there is no such topic, or what is said of the cluster is no address.
        UnreachableError: if the cluster does not answer.
    """
    try:
        return asyncio.run(_ends(servers, topic))
    except (ValueError, OverflowError) as error:  # of the client, where a port is none
        raise BadInputError(STAGE, f"--from {servers}: {error}", "write HOST:PORT, several with commas") from None


def topic_source(servers: str, ends: Ends) -> Iterator[pl.DataFrame]:
    """Yield the records of partitions from their beginnings to the ends given.

    It has an event loop of its own: read it in a thread in which none runs.

    Raises:
        BadInputError: if records are gone before they are read, or damaged.
        UnreachableError: if the cluster does not answer, or says nothing for a minute.
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


@asynccontextmanager
async def _consumer(servers: str, places: Collection[TopicPartition]) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = consumer_for(servers)
    try:
        await consumer.start()
        consumer.assign(list(places))
        yield consumer
    except KafkaError as error:
        raise UnreachableError(STAGE, f"{servers} does not answer: {error}", "start it, or name another") from None
    finally:
        await consumer.stop()


async def _ends(servers: str, topic: str) -> Ends:
    counts = await partition_counts(servers)
    if topic not in counts:
        known = ", ".join(sorted(counts)) or "none"
        raise BadInputError(STAGE, f"{servers} has no topic {topic!r}", f"its topics are {known}")
    places = [TopicPartition(topic, number) for number in range(counts[topic])]
    async with _consumer(servers, places) as consumer:
        # A fetch at an end brings nothing; its answer says where the end is. What `end_offsets` says may be before it.
        for place, end in (await consumer.end_offsets(places)).items():
            consumer.seek(place, max(0, end))
        begun, ends = time.monotonic(), Ends()
        while len(ends) < len(places):
            _check_silence(servers, begun, [place for place in places if place not in ends])
            await consumer.getmany(timeout_ms=POLL_MS)
            ends = {place: end for place in places if (end := consumer.highwater(place)) is not None}
        return ends


async def _frames(servers: str, ends: Ends) -> Any:
    order, places = TimeOrder(len(ends)), list(ends)
    async with _consumer(servers, places) as consumer:
        begins = await consumer.beginning_offsets(places)
        for place, begin in begins.items():
            consumer.seek(place, begin)
        open_ = {lane for lane, place in enumerate(places) if begins[place] < ends[place]}
        while True:
            wanted = [lane for lane in sorted(open_) if not order.has(lane)]
            if wanted:
                found = await _fetched(consumer, servers, [places[lane] for lane in wanted])
                for lane in wanted:
                    for frame in found.get(places[lane], ()):
                        order.put(lane, frame.filter(pl.col("offset") < ends[places[lane]]))
                    if await consumer.position(places[lane]) >= ends[places[lane]]:
                        open_.discard(lane)
            elif (ready := order.take(open_)) is not None:
                for part in ready.iter_slices(ROWS):
                    yield part
            else:
                return


async def _fetched(
    consumer: AIOKafkaConsumer, servers: str, wanted: list[TopicPartition]
) -> dict[TopicPartition, list[pl.DataFrame]]:
    """Return what comes next of some of these partitions, all of which have more.

    Raises:
        UnreachableError: if nothing comes for long.
    """
    begun, positions = time.monotonic(), [await consumer.position(place) for place in wanted]
    while True:
        check_wanted()
        _check_silence(servers, begun, wanted)
        with fetching(STAGE):
            found: dict[TopicPartition, list[pl.DataFrame]] = await consumer.getmany(*wanted, timeout_ms=POLL_MS)
        if found or positions != [await consumer.position(place) for place in wanted]:
            return found


def _check_silence(servers: str, begun: float, wanted: list[TopicPartition]) -> None:
    if time.monotonic() - begun > SILENT_SECONDS:
        named = ", ".join(f"{place.topic}:{place.partition}" for place in wanted)
        raise UnreachableError(STAGE, f"{servers} has said nothing of {named} for {SILENT_SECONDS:g} s", "is it up?")
