"""Records laid out in Kafka's format v2, many at a time.

In: columns of keys, values and numbers, the headers of a few records. Out: the bytes of all records, one behind the
other, and where each ends. Nothing is done record by record: texts are joined with room left for what is no text,
and each byte of that room is filled in for all records at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from producers.digits import index
from producers.simulation.columns import IntArray

Headers = list[tuple[str, bytes]]
Bytes = npt.NDArray[np.uint8]
MAX_OVERHEAD: Final = 25
"""Bytes that a record has at most beside key, value and headers."""
_ATTRIBUTES: Final = 1


def lay_out(
    key: pl.Series, value: pl.Series, time_delta: IntArray, offset_delta: IntArray, headers: Mapping[int, bytes]
) -> tuple[Bytes, IntArray]:
    """Return the records' bytes, and the place behind the last byte of each record, shape (n,).

    Args:
        key: texts, shape (n,).
        value: texts.
        time_delta: milliseconds since the time of the batch's first record; any sign.
        offset_delta: places since the batch's first record.
        headers: as `framed` makes them, by row, of those that have any.
    """
    key_size, value_size, tail_size = text_sizes(key), text_sizes(value), np.ones(len(key), dtype=np.int64)
    for row, text in headers.items():
        tail_size[row] = len(text)
    time, offset, key_count, value_count = map(_Varints.of, (time_delta, offset_delta, key_size, value_size))
    before_key = _ATTRIBUTES + time.width + offset.width + key_count.width
    body = before_key + key_size + value_count.width + value_size + tail_size
    body_count = _Varints.of(body)
    texts = (_room(body_count.width + before_key), key, _room(value_count.width), value, _room(tail_size))
    buffer = np.frombuffer(bytearray(_joined(texts)), dtype=np.uint8)
    end = np.cumsum(body_count.width + body)
    at = end - body
    body_count.write(buffer, at - body_count.width)
    at += _ATTRIBUTES
    for numbers in (time, offset, key_count):
        numbers.write(buffer, at)
        at += numbers.width
    value_count.write(buffer, at + key_size)
    for row, text in headers.items():
        buffer[end[row] - len(text) : end[row]] = np.frombuffer(text, dtype=np.uint8)
    return buffer, end


def framed(headers: Headers) -> bytes:
    """Return the headers of a record as they stand behind its value."""
    parts = [_varint(len(headers))]
    for name, value in headers:
        text = name.encode()
        parts += [_varint(len(text)), text, _varint(len(value)), value]
    return b"".join(parts)


def text_sizes(texts: pl.Series) -> IntArray:
    """Return the bytes of each text, shape (n,)."""
    return np.asarray(texts.str.len_bytes().to_numpy(), dtype=np.int64)


@dataclass(frozen=True)
class _Varints:
    """Whole numbers in zigzag form, and the bytes that each takes, 7 bits in each."""

    zigzag: IntArray
    width: IntArray

    @classmethod
    def of(cls, numbers: IntArray) -> _Varints:
        zigzag = (numbers << 1) ^ (numbers >> 63)
        width, rest = np.ones(len(zigzag), dtype=np.int64), zigzag >> 7
        while rest.any():
            width += rest > 0
            rest >>= 7
        return cls(zigzag, width)

    def write(self, buffer: Bytes, at: IntArray) -> None:
        """Write each number at its place."""
        more = self.width > 1
        buffer[at] = (self.zigzag & 0x7F) | (more.view(np.int8) << 7)
        if more.all():
            _Varints(self.zigzag >> 7, self.width - 1).write(buffer, at + 1)
        elif more.any():
            row = np.flatnonzero(more)
            _Varints(self.zigzag[row] >> 7, self.width[row] - 1).write(buffer, at[row] + 1)


@lru_cache(maxsize=4096)
def _varint(number: int) -> bytes:
    numbers = _Varints.of(np.array([number]))
    buffer = np.zeros(numbers.width[0], dtype=np.uint8)
    numbers.write(buffer, np.zeros(1, dtype=np.int64))
    return buffer.tobytes()


def _room(sizes: IntArray) -> pl.Series | pl.Expr:
    """Return texts of zero bytes, of the sizes given."""
    largest = int(sizes.max(initial=0))
    return pl.lit("\0" * largest) if (sizes == largest).all() else _rooms(largest)[index(sizes)]


@lru_cache(maxsize=64)
def _rooms(largest: int) -> pl.Series:
    return pl.Series(["\0" * size for size in range(largest + 1)])


def _joined(texts: tuple[pl.Series | pl.Expr, ...]) -> bytes:
    joined: bytes = pl.select(pl.concat_str(texts).str.join("").cast(pl.Binary)).item()
    return joined
