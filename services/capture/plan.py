"""Which offsets of which partitions are recorded, asked of a broker.

In: topics, where recording begins and ends. Out: a `Reading` for each partition.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.errors import BadInputError
from services.capture.places import partitions_of
from services.capture.reading import Reading
from services.capture.span import Place
from streams.offsets import end_offsets, first_record


async def plan(
    consumer: AIOKafkaConsumer, servers: str, topics: Sequence[str], begin: Place, until: Place
) -> list[Reading]:
    """Return what is to be read, in order of topics and partitions.

    Raises:
        BadInputError: if a topic or a partition does not exist, or an offset is none that the broker has.
    """
    places = await partitions_of(servers, topics)
    for place in (begin, until):
        _check_partitions(place, places)
    first = await consumer.beginning_offsets(places)
    ends = await end_offsets(servers, places)
    by_time = dict(ends)
    filled = [place for place in places if ends[place] > first[place]]
    if begin.kind == "time" and filled:
        trusted = await _finds_by_timestamp(consumer, servers, filled[0])
        by_time |= await _by_time(consumer, filled, begin.at_ms) if trusted else first
    readings = []
    for place in places:
        start = _start(place, begin, first[place], ends[place], by_time)
        reading = Reading(place.topic, place.partition, start, _end(place, begin, until, ends[place]))
        reading.from_ms = begin.at_ms if begin.kind == "time" else None
        reading.until_ms = until.at_ms if until.kind == "time" else None
        reading.reached(start)
        readings.append(reading)
    return readings


def _check_partitions(place: Place, places: list[TopicPartition]) -> None:
    for topic, partition in place.offsets:
        if TopicPartition(topic, partition) not in places:
            numbers = [known.partition for known in places if known.topic == topic]
            found = f"{topic} has no partition {partition}"
            raise BadInputError("arguments", found, f"it has {numbers[0]} to {numbers[-1]}")


def _start(place: TopicPartition, begin: Place, first: int, end: int, by_time: dict[TopicPartition, int]) -> int:
    name = f"{place.topic}:{place.partition}"
    if begin.kind == "end":
        return end
    if begin.kind == "time":
        return by_time[place]
    asked = begin.offset_in(place.topic, place.partition)
    if begin.kind != "offsets" or asked is None:
        return first
    if asked < first:
        found = f"{name}: records before offset {first} are gone, and --from says {asked}"
        raise BadInputError("offsets", found, "the broker has deleted them (retention); begin where it does")
    if asked > end:
        raise BadInputError("offsets", f"{name} ends at offset {end}, --from says {asked}", "begin there, or before")
    return asked


def _end(place: TopicPartition, begin: Place, until: Place, end: int) -> int | None:
    """Return the offset before which a partition ends; None if only Ctrl-C, a time or a count ends it."""
    if until.kind == "offsets":
        return end if (asked := until.offset_in(place.topic, place.partition)) is None else asked
    if until.kind == "end" or (until.kind == "time" and begin.kind != "end"):
        return end
    return None


async def _finds_by_timestamp(consumer: AIOKafkaConsumer, servers: str, place: TopicPartition) -> bool:
    """Return whether a broker finds records by their timestamps, by what it says of the first one of a partition.

    Tansu 0.6 finds batches by when it was given them. Where a broker finds nothing, all is read.
    """
    found = (await consumer.offsets_for_times({place: 0}))[place]
    if found is None:
        return False
    record = await first_record(servers, place, int(found.offset))
    return bool(record.offset == found.offset and record.timestamp == found.timestamp)


async def _by_time(consumer: AIOKafkaConsumer, places: list[TopicPartition], at_ms: int) -> dict[TopicPartition, int]:
    """Return where the first record of a time is, of the partitions that have one."""
    found = await consumer.offsets_for_times(dict.fromkeys(places, at_ms))
    return {place: int(one.offset) for place, one in found.items() if one is not None}
