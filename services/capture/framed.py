"""Fetched records as frames, without an object for each.

In: record batches, as the broker sent them. Out: a consumer whose `getmany` gives frames of some thousand records each.
aiokafka makes an object of eleven fields of each record, which takes longer than all that is done to it here. It has no
setting for it, so its class of fetched records gets a subclass, which does as before for every other consumer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import polars as pl
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException

from services.capture.columns import frame_of

RECORDS: Final = 5_000
BYTES: Final = 4 << 20
"""What fills a frame; a batch is not divided, and may have more."""


def consumer_of_frames(**options: Any) -> AIOKafkaConsumer:
    """Return a consumer whose partitions' records come as lists of frames; ``max_records`` counts frames."""
    if not issubclass(fetcher.PartitionRecords, _Framed):
        fetcher.PartitionRecords = type("FramedRecords", (_Framed, fetcher.PartitionRecords), {})
    return AIOKafkaConsumer(key_deserializer=_as_frames, **options)


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
            if len(records) >= RECORDS or size >= BYTES:
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
