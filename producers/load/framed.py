"""Fetched records as frames, without an object for each, byte for byte what is on the topic.

In: record batches, as the broker sent them. Out: a consumer whose `getmany` gives frames of some thousand records each.
aiokafka makes an object of eleven fields of each record, which takes longer than all that is done to it here. It has no
setting for it, so its class of fetched records gets a subclass, which does as before for every other consumer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import polars as pl
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException, KafkaError, OffsetOutOfRangeError

from producers.load.frames import CREATE_TIME, RECORDS
from producers.load.header_lists import header_lists
from schemas.errors import BadInputError, QuetmaError, UnreachableError

MANY: Final = 5_000
BYTES: Final = 4 << 20
"""What fills a frame; a batch is not divided, and may have more."""
FETCH_BYTES: Final = 16 << 20
PARTITION_FETCH_BYTES: Final = 1 << 20
POLL_MS: Final = 100
NO_TIME: Final = -1
"""Timestamp of a record that has none, as Kafka writes it; formats before 0.10 had no place for one."""


class _FrameConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka has no types
    async def stop(self) -> None:
        """Stop; aiokafka lets the cancellation of its own fetching escape, which is not ours."""
        try:
            await super().stop()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise


def consumer_for(servers: str) -> AIOKafkaConsumer:
    """Return a consumer of no group, that says so when records are gone.

    Its partitions' records come as lists of frames; ``max_records`` counts frames.
    """
    if not issubclass(fetcher.PartitionRecords, _Framed):
        fetcher.PartitionRecords = type("FramedRecords", (_Framed, fetcher.PartitionRecords), {})
    return _FrameConsumer(
        key_deserializer=_as_frames,
        bootstrap_servers=servers.split(","),
        auto_offset_reset="none",
        enable_auto_commit=False,
        fetch_max_bytes=FETCH_BYTES,
        max_partition_fetch_bytes=PARTITION_FETCH_BYTES,
        fetch_max_wait_ms=POLL_MS,
    )


@contextmanager
def fetching(stage: str) -> Iterator[None]:
    """Say in our words why records cannot be read.

    Raises:
        BadInputError: if they are gone, or damaged.
        UnreachableError: if the broker answers with anything else.
    """
    try:
        yield
    except OffsetOutOfRangeError as error:
        raise _gone(stage, error) from None
    except (CorruptRecordException, UnicodeDecodeError) as error:
        raise BadInputError(stage, f"a record cannot be read: {error}", "is the broker's log damaged?") from None
    except KafkaError as error:
        raise UnreachableError(stage, f"the broker answers {error!r}", "see its log") from None


def _gone(stage: str, error: OffsetOutOfRangeError) -> QuetmaError:
    lost = "; ".join(f"{place.topic}:{place.partition} from offset {offset}" for place, offset in error.args[0].items())
    fix = "they were deleted before they were read (retention), or the topic was made anew; what came before is kept"
    return BadInputError(stage, f"the broker has no records any more of {lost}", fix)


def frame_of(topic: str, partition: int, records: Sequence[Any]) -> pl.DataFrame:
    """Return the frame of records of one partition, as aiokafka unpacks them, in their order."""
    times = [record.timestamp for record in records]
    types = [record.timestamp_type for record in records]
    if None in times:
        times = [NO_TIME if time is None else time for time in times]
        types = [CREATE_TIME if type_ is None else type_ for type_ in types]
    columns = {
        "topic": pl.Series([topic], dtype=pl.String).new_from_index(0, len(records)),
        "partition": pl.Series([partition], dtype=pl.Int32).new_from_index(0, len(records)),
        "offset": [record.offset for record in records],
        "timestamp": times,
        "timestamp_type": types,
        "key": [record.key for record in records],
        "value": [record.value for record in records],
        "headers": header_lists([record.headers for record in records]),
    }
    return pl.DataFrame(columns, schema=RECORDS)


def _as_frames(key: bytes | None) -> bytes | None:
    """Mark a consumer of frames; aiokafka hands a consumer's deserializers to its fetched records."""
    return key


class _Framed:
    """In front of aiokafka's records of a partition."""

    next_fetch_offset: int
    _tp: Any
    _records: Any
    _check_crcs: bool
    _key_deserializer: Any

    def _unpack_records(self) -> Iterator[Any]:
        if self._key_deserializer is _as_frames:
            return self._frames()
        return super()._unpack_records()  # type: ignore[misc,no-any-return]  # of the class behind

    def _frames(self) -> Iterator[pl.DataFrame]:
        """Yield frames; `next_fetch_offset` lies behind the last one that was taken, as aiokafka wants it."""
        records, size, behind = list[Any](), 0, self.next_fetch_offset
        for batch in self._batches():
            first, behind = behind, batch.next_offset
            if not batch.is_control_batch:
                fresh = [record for record in batch if record.offset >= first]
                size += sum([len(record.value or b"") for record in fresh])
                records += fresh
            if len(records) >= MANY or size >= BYTES:
                self.next_fetch_offset = behind
                yield frame_of(self._tp.topic, self._tp.partition, records)
                records, size = [], 0
        self.next_fetch_offset = behind
        if records:
            yield frame_of(self._tp.topic, self._tp.partition, records)

    def _batches(self) -> Iterator[Any]:
        while self._records.has_next():
            batch = self._records.next_batch()
            if self._check_crcs and not batch.validate_crc():
                raise CorruptRecordException(f"invalid checksum in {self._tp} behind offset {self.next_fetch_offset}")
            yield batch
