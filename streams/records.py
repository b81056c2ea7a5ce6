"""Chunks: whole record batches of a partition, as the broker sent them, still packed.

In: fetched batches of the chunked topics. Out: `Chunk`s, which make their records while they are folded.
aiokafka makes an object of eleven fields for each record, of which the fold reads three; that took a fifth of a
worker's time, and a list of them is out of the processor's cache before it is read. It has no setting for it, so its
class of fetched records is replaced by one that hands on the batches of these topics.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, dropwhile
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch

from schemas.errors import BadInputError
from schemas.topics import PAYMENTS
from streams.fold import Record
from streams.offsets import first_record

CHUNKED_TOPICS: Final = frozenset({PAYMENTS})
"""Topics that are handed on in chunks."""


@dataclass(frozen=True)
class Chunk:
    """Record batches of one partition, in order of offset: the value of one event. They can be read once."""

    partition: int
    first: int
    """Offset of the first record, or before it where records of a batch have been removed."""
    batches: tuple[Any, ...]

    @property
    def last(self) -> int:
        """Offset of the last record, or behind it where records of a batch have been removed."""
        return int(self.batches[-1].next_offset) - 1

    def since(self, offset: int) -> Iterator[Record]:
        """Return the records from an offset on."""
        return dropwhile(lambda record: record.offset < offset, chain.from_iterable(self.batches))


class Chunks(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka has no types
    """What was fetched of a partition: chunks if its topic is chunked, records if not."""

    most_records = 0
    """How many records fill a chunk. A batch is not divided, and may have more. Set by `install`."""
    next_fetch_offset: int

    def _unpack_records(self) -> Iterator[Any]:
        return self._chunks() if self._tp.topic in CHUNKED_TOPICS else super()._unpack_records()

    def _chunks(self) -> Iterator[Chunk]:
        """Yield chunks; `next_fetch_offset` lies behind the last one that was taken, as aiokafka wants it."""
        first, batches, records = self.next_fetch_offset, list[Any](), 0
        for batch in self._batches():
            if not batches:
                first = max(batch.base_offset, self.next_fetch_offset)  # a batch may begin before what was asked for
            batches.append(batch)
            records += batch.last_offset_delta + 1
            if records >= self.most_records:
                self.next_fetch_offset = batch.next_offset
                yield Chunk(self._tp.partition, first, tuple(batches))
                batches, records = [], 0
        if batches:
            self.next_fetch_offset = batches[-1].next_offset
            yield Chunk(self._tp.partition, first, tuple(batches))

    def _batches(self) -> Iterator[Any]:
        """Yield the batches that have records of people, checked."""
        while self._records.has_next():
            batch = self._records.next_batch()
            if not isinstance(batch, DefaultRecordBatch):
                found = f"{self._tp.topic}-{self._tp.partition} has records in the format of Kafka before 0.11"
                raise BadInputError("stream", found, "write them with a client that is newer")
            if self._check_crcs and not batch.validate_crc():
                raise CorruptRecordException(f"invalid checksum in {self._tp} at offset {batch.base_offset}")
            if batch.is_control_batch:
                self.next_fetch_offset = batch.next_offset
            else:
                yield batch


async def first_offset(bootstrap_servers: str, place: TopicPartition, at_least: int) -> int:
    """Return the offset of the first record of a partition from ``at_least`` on; see `first_record`."""
    found = await first_record(bootstrap_servers, place, at_least)
    if isinstance(found, Chunk):  # so consumers of this process read this topic, whoever they are
        return next((record.offset for record in found.since(at_least)), found.last + 1)
    return int(found.offset)


def install(most_records: int) -> None:
    """Let consumers of this process hand the chunked topics on in chunks of so many records."""
    Chunks.most_records = most_records
    fetcher.PartitionRecords = Chunks
