"""Records as aiokafka's parser makes them, without the object that aiokafka puts around each.

In: fetched record batches of the chunked topics. Out: raw records: offset, timestamp, key, value, headers.
The object has eleven fields, of which the fold reads three; making it took a fifth of a worker's time. aiokafka has
no setting for it, so its class of fetched records is replaced by one that makes none for these topics.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException

from schemas.topics import PAYMENTS

CHUNKED_TOPICS: Final = frozenset({PAYMENTS})
"""Topics that are handed on in chunks."""


class RawRecords(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka has no types
    """The records of a fetched partition."""

    next_fetch_offset: int

    def __iter__(self) -> Iterator[Any]:
        """Return the generator itself: a step less for each record."""
        return self._records_iterator if self._records_iterator is not None else iter(())

    def _unpack_records(self) -> Iterator[Any]:
        return self._raw() if self._tp.topic in CHUNKED_TOPICS else super()._unpack_records()

    def _raw(self) -> Iterator[Any]:
        """Yield records; `next_fetch_offset` lies behind the last one that was taken, as aiokafka wants it."""
        while self._records.has_next():
            batch = self._records.next_batch()
            if self._check_crcs and not batch.validate_crc():
                raise CorruptRecordException(f"invalid checksum in {self._tp} at offset {batch.base_offset}")
            if not batch.is_control_batch:
                for record in batch:
                    offset = record.offset
                    if offset >= self.next_fetch_offset:  # a batch may begin before what was asked for
                        self.next_fetch_offset = offset + 1
                        yield record
            self.next_fetch_offset = batch.next_offset


def install() -> None:
    """Let consumers of this process make raw records of the chunked topics."""
    fetcher.PartitionRecords = RawRecords
