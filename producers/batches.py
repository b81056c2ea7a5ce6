"""Record batches, sealed: laid out many records at a time, compressed, ready to be sent.

In: rows of a `RecordBlock`. Out: `SealedBatch`es, which aiokafka's producer takes in place of its own.
Its `BatchBuilder.append` takes one record at a time, and Python's lock for as long: the thread that simulates waited
for it. Compression is at level 1: of payments' text aiokafka's fixed level 3 makes hardly smaller batches.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from threading import local
from typing import Final

import numpy as np
import zstandard
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.util import calc_crc32c

from producers.blocks import RecordBlock
from producers.record_format import MAX_OVERHEAD, Headers, framed, lay_out, text_sizes
from producers.simulation.columns import IntArray

ZSTD_LEVEL: Final = 1
_NOBODY: Final = -1
"""Producer of a batch whose sender keeps no sequence."""
_MAGIC: Final = 2
_HEADER: Final = struct.Struct(">qiibIhiqqqhii")
"""Base offset, length, leader epoch, magic, checksum, attributes, last offset, first and greatest time, producer's id,
epoch and sequence, records: Kafka's record format v2."""
_LENGTH_COUNTS_FROM, _CHECKSUM_AT, _CHECKED_FROM, _PRODUCER_AT = 12, 17, 21, 43


class _Compressors(local):
    """One for each thread, kept: to make one anew for each batch takes longer than to compress some records."""

    def __init__(self) -> None:
        self.zstd = zstandard.ZstdCompressor(level=ZSTD_LEVEL)


_compressors = _Compressors()


class SealedBatch:
    """A batch as it goes over the wire. It has what aiokafka asks of a `BatchBuilder` that is closed."""

    def __init__(self, records: memoryview | bytes, times: IntArray) -> None:
        """Compress records that are laid out.

        Args:
            records: their bytes.
            times: their event times, UTC epoch milliseconds, shape (records,).
        """
        packed = _compressors.zstd.compress(records)
        self._count = len(times)
        self.sent = 0
        """How many times it went out, or was about to."""
        length = _HEADER.size + len(packed) - _LENGTH_COUNTS_FROM
        attributes, last = DefaultRecordBatch.CODEC_ZSTD, self._count - 1
        first_at, greatest_at = int(times[0]), int(times.max())
        stated = (0, length, -1, _MAGIC, 0, attributes, last, first_at, greatest_at, _NOBODY, _NOBODY, _NOBODY)
        self._buffer = bytearray(_HEADER.pack(*stated, self._count))
        self._buffer += packed

    def record_count(self) -> int:
        """Return the number of records."""
        return self._count

    def size(self) -> int:
        """Return the bytes that go over the wire."""
        return len(self._buffer)

    def closed(self) -> bool:
        """Say that nothing can be added."""
        return True

    def close(self) -> None:
        """Do nothing: it is closed."""

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        struct.pack_into(">qhi", self._buffer, _PRODUCER_AT, producer_id, producer_epoch, base_sequence)

    def _build(self) -> bytearray:
        """Return the batch; its checksum comes last, since it covers what aiokafka sets on sending."""
        self.sent += 1
        checksum = calc_crc32c(memoryview(self._buffer)[_CHECKED_FROM:])
        struct.pack_into(">I", self._buffer, _CHECKSUM_AT, checksum)
        return self._buffer


@dataclass(frozen=True)
class Part:
    """Rows of a block that go into one batch."""

    rows: IntArray
    """In order of sending."""
    batch: SealedBatch


def sealed(block: RecordBlock, low: int, high: int, more: Mapping[int, Headers], limit: int) -> dict[int, list[Part]]:
    """Return the rows ``low`` up to ``high`` of a block in batches, by partition. Needs no loop: any thread may do it.

    Args:
        block: encoded records.
        low: first row.
        high: row behind the last.
        more: headers beside a record's own, by row.
        limit: bytes of a batch at most, uncompressed; a record that is larger goes alone.
    """
    by_partition = block.between(low, high)
    if not by_partition:
        return {}
    rows = np.concatenate([*by_partition.values()])
    key, value, at = block.key[rows], block.value[rows], block.timestamp[rows]
    headers = _headers(block, rows, more)
    sizes = text_sizes(key) + text_sizes(value) + MAX_OVERHEAD
    for row, text in headers.items():
        sizes[row] += len(text)
    cuts = list(cuts_of(sizes, [len(part) for part in by_partition.values()], limit))
    begin = np.repeat(cuts, np.diff([*cuts, len(rows)]))
    buffer, end = lay_out(key, value, at - at[begin], np.arange(len(rows)) - begin, headers)
    laid, ends = memoryview(buffer.data), np.concatenate([[0], end])
    parts: dict[int, list[Part]] = {partition: [] for partition in by_partition}
    for first, last in zip(cuts, [*cuts[1:], len(rows)], strict=True):
        batch = SealedBatch(laid[ends[first] : ends[last]], at[first:last])
        parts[int(block.partition[rows[first]])].append(Part(rows[first:last], batch))
    return parts


def _headers(block: RecordBlock, rows: IntArray, more: Mapping[int, Headers]) -> dict[int, bytes]:
    """Return the headers of the records that have any, by position in ``rows``."""
    if block.headers is not None:
        own = block.headers
        return {place: framed([*own[row], *more.get(row, ())]) for place, row in enumerate(rows.tolist())}
    places = np.flatnonzero(np.isin(rows, list(more)))
    return {place: framed(more[int(rows[place])]) for place in places.tolist()}


def cuts_of(sizes: IntArray, lengths: list[int], limit: int) -> Iterator[int]:
    """Yield where batches begin: as large as they may be, none with records of two partitions."""
    behind = np.cumsum(sizes)
    begin = 0
    for length in lengths:
        stop = begin + length
        while begin < stop:
            yield begin
            full = int(np.searchsorted(behind, behind[begin] - sizes[begin] + limit - _HEADER.size, side="right"))
            begin = min(max(full, begin + 1), stop)
