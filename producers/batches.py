"""Record batches, filled many records at a time.

In: columns of encoded records. Out: an aiokafka batch. `BatchBuilder.append` takes one record by keywords and answers
with its metadata, which costs as much again as laying the record out: this fills the same batch without it. And it
compresses at level 1: of payments' text aiokafka's fixed level 3 makes the same size in half as much time again.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

import cramjam
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.util import calc_crc32c

from producers.blocks import Headers, RecordBlock

NO_HEADERS: Headers = []
"""One list for all records: most have none, and making a new one for each is a cost on the hot path."""
ZSTD_LEVEL: Final = 1
_LENGTH_AT, _CRC_AT, _ATTRIBUTES_AT, _PRODUCER_AT, _HEADER = 8, 17, 21, 43, 61
"""Where fields of a batch's header begin in Kafka's record format v2, and where it ends."""


class FilledBatch(BatchBuilder):  # type: ignore[misc]  # aiokafka has no types
    """A batch that is filled from a block, as much as it takes."""

    def __init__(self, batch_bytes: int) -> None:
        """Open a batch of at most so many bytes, uncompressed."""
        super().__init__(batch_bytes, DefaultRecordBatch.CODEC_NONE)
        self._sealed = bytearray()

    def fill(self, block: RecordBlock, rows: Sequence[int], more: dict[int, Headers]) -> int:
        """Append rows of a block to the empty batch until it is full, and close it; return how many it took.

        Args:
            block: encoded records.
            rows: which of them.
            more: headers beside a record's own, by position in ``rows``.
        """
        keys, values, timestamps, own = block.key, block.value, block.timestamp, block.headers
        append, count = self._builder.append, 0
        for row in rows:
            headers = NO_HEADERS if own is None else own[row]
            if count in more:
                headers = [*headers, *more[count]]
            if append(count, timestamps[row], keys[row], values[row], headers) is None:
                break
            count += 1
        self._relative_offset = count
        self.close()
        return count

    def seal(self) -> None:
        """Compress what was filled in. Needs no loop: any thread may do it."""
        plain = memoryview(self._builder.build())
        packed = cramjam.zstd.compress(plain[_HEADER:], level=ZSTD_LEVEL)
        self._sealed = bytearray(plain[:_HEADER])
        self._sealed += memoryview(packed)
        struct.pack_into(">i", self._sealed, _LENGTH_AT, len(self._sealed) - _LENGTH_AT - 4)
        struct.pack_into(">h", self._sealed, _ATTRIBUTES_AT, DefaultRecordBatch.CODEC_ZSTD)

    def size(self) -> int:
        """Return the bytes that go over the wire; of a batch that is not sealed, those that would uncompressed."""
        return len(self._sealed) or int(self._builder.size())

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        struct.pack_into(">qhi", self._sealed, _PRODUCER_AT, producer_id, producer_epoch, base_sequence)

    def _build(self) -> bytearray:
        """Return the sealed batch; its checksum comes last, since it covers what aiokafka sets on sending."""
        struct.pack_into(">I", self._sealed, _CRC_AT, calc_crc32c(memoryview(self._sealed)[_ATTRIBUTES_AT:]))
        return self._sealed
