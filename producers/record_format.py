"""Records laid out in Kafka's format v2, many at a time.

In: columns of keys, values and numbers, the headers of a few records. Out: the bytes of all records, one behind the
other, and where each ends. Nothing is done record by record: texts are joined with room left for what is no text,
and each byte of that room is filled in for all records at once. Bytes that may be no text are joined by Python.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from producers.digits import index
from producers.simulation.columns import IntArray

Headers = list[tuple[str, bytes]]
Pieces = list[bytes | None]
"""A column of keys or values that may be no text, or nothing, which is told apart from empty."""
Bytes = npt.NDArray[np.uint8]
MAX_OVERHEAD: Final = 25
"""Bytes that a record has at most beside key, value and headers."""
_ATTRIBUTES: Final = 1
_NULL: Final = -1


def lay_out(
    key: pl.Series | Pieces,
    value: pl.Series | Pieces,
    time_delta: IntArray,
    offset_delta: IntArray,
    headers: Mapping[int, bytes],
) -> tuple[Bytes, IntArray]:
    """Return the records' bytes, and the place behind the last byte of each record, shape (n,).

    Args:
        key: texts, or pieces of bytes, shape (n,).
        value: the same; pieces if the keys are.
        time_delta: milliseconds since the time of the batch's first record; any sign.
        offset_delta: places since the batch's first record.
        headers: as `framed` makes them, by row, of those that have any.
    """
    key_stated, value_stated, tail_size = _stated(key), _stated(value), np.ones(len(key), dtype=np.int64)
    for row, text in headers.items():
        tail_size[row] = len(text)
    key_size, value_size = np.maximum(key_stated, 0), np.maximum(value_stated, 0)
    time, offset, key_count, value_count = map(_Varints.of, (time_delta, offset_delta, key_stated, value_stated))
    before_key = _ATTRIBUTES + time.width + offset.width + key_count.width
    body = before_key + key_size + value_count.width + value_size + tail_size
    body_count = _Varints.of(body)
    joined = _joined((body_count.width + before_key, key, value_count.width, value, tail_size))
    buffer = np.frombuffer(joined, dtype=np.uint8)
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


def lay_out_few(key: Pieces, value: Pieces, time_delta: Sequence[int], headers: Mapping[int, bytes]) -> bytes:
    """Return the same bytes, record by record: for some dozens of records this takes less time than columns do."""
    parts = list[bytes]()
    for row, (one, other, time) in enumerate(zip(key, value, time_delta, strict=True)):
        stated = (varint(time), varint(row), *_with_size(one), *_with_size(other))
        body = b"".join((b"\0", *stated, headers.get(row, b"\0")))
        parts += (varint(len(body)), body)
    return b"".join(parts)


def framed(headers: Sequence[tuple[str, bytes | None]]) -> bytes:
    """Return the headers of a record as they stand behind its value."""
    parts = [varint(len(headers))]
    for name, value in headers:
        parts += (*_with_size(name.encode()), *_with_size(value))
    return b"".join(parts)


@lru_cache(maxsize=1 << 16)
def varint(number: int) -> bytes:
    """Return a whole number as records have it: zigzag, 7 bits to a byte."""
    rest, written = (number << 1) ^ (number >> 63), bytearray()
    while rest >> 7:
        written.append(rest & 0x7F | 0x80)
        rest >>= 7
    written.append(rest)
    return bytes(written)


def _with_size(piece: bytes | None) -> tuple[bytes, bytes]:
    return (varint(_NULL), b"") if piece is None else (varint(len(piece)), piece)


def _stated(column: pl.Series | Pieces) -> IntArray:
    """Return the sizes that records state: -1 where there is nothing."""
    if isinstance(column, pl.Series):
        return text_sizes(column)
    sizes = (_NULL if piece is None else len(piece) for piece in column)
    return np.fromiter(sizes, dtype=np.int64, count=len(column))


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


def _room(sizes: IntArray) -> pl.Series | pl.Expr:
    """Return texts of zero bytes, of the sizes given."""
    largest = int(sizes.max(initial=0))
    return pl.lit("\0" * largest) if (sizes == largest).all() else _rooms(largest)[index(sizes)]


@lru_cache(maxsize=64)
def _rooms(largest: int) -> pl.Series:
    return pl.Series(["\0" * size for size in range(largest + 1)])


def _joined(parts: tuple[IntArray, pl.Series | Pieces, IntArray, pl.Series | Pieces, IntArray]) -> bytearray:
    """Return columns of texts or pieces in one, row by row, with room of the sizes given between them."""
    if any(isinstance(part, list) for part in parts):
        return _joined_pieces(parts)
    texts = [_room(part) if isinstance(part, np.ndarray) else part for part in parts]
    return bytearray(pl.select(pl.concat_str(texts).str.join("").cast(pl.Binary)).item())


def _joined_pieces(parts: tuple[IntArray | pl.Series | Pieces, ...]) -> bytearray:
    pieces: list[bytes] = [b""] * (len(parts) * len(parts[0]))
    for place, part in enumerate(parts):
        if isinstance(part, np.ndarray):
            rooms = _zeros(int(part.max(initial=0)))
            pieces[place :: len(parts)] = [rooms[size] for size in part.tolist()]
        else:
            pieces[place :: len(parts)] = [piece or b"" for piece in part]
    return bytearray().join(pieces)


@lru_cache(maxsize=64)
def _zeros(largest: int) -> list[bytes]:
    return [bytes(size) for size in range(largest + 1)]
