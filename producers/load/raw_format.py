"""Raw records laid out and sealed in batches: bytes as they are, or none.

In: frames as in `producers.load.frames`. Out: `SealedBatch`es.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import polars as pl

from producers.batches import SealedBatch
from producers.digits import index
from producers.record_format import MAX_OVERHEAD, Pieces, framed, lay_out, lay_out_few
from producers.simulation.columns import IntArray

FEW: Final = 150
"""Up to so many records, laying them out one by one takes less time than by columns."""
MANY: Final = 1000
"""From so many records on, what Polars does by columns pays for what each of its calls takes."""
NO_TIME: Final = -1
"""What Kafka writes where a record has no timestamp."""


@dataclass
class RawColumns:
    """Records of one partition, in columns."""

    keys: Pieces = field(default_factory=list)
    values: Pieces = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    headers: dict[int, bytes] = field(default_factory=dict)
    """As they stand behind a record's value, by row, of records that have any."""

    def __len__(self) -> int:
        return len(self.values)

    @property
    def size(self) -> int:
        """About how many bytes they take."""
        parts = (self.keys, self.values, self.headers.values())
        return sum(len(piece) for part in parts for piece in part if piece) + MAX_OVERHEAD * len(self)

    def extend(self, more: RawColumns) -> None:
        """Take more records behind these."""
        behind = len(self)
        self.keys += more.keys
        self.values += more.values
        self.times += more.times
        self.headers.update({behind + row: text for row, text in more.headers.items()})

    def sealed(self) -> SealedBatch:
        """Return them as a batch. Needs no loop: any thread may do it."""
        times = np.array(self.times, dtype=np.int64)
        since = times - times[0]
        if len(self) <= FEW:
            return SealedBatch(lay_out_few(self.keys, self.values, since.tolist(), self.headers), times)
        buffer, _ = lay_out(self.keys, self.values, since, np.arange(len(self)), self.headers)
        return SealedBatch(memoryview(buffer.data), times)


def columns_of(records: pl.DataFrame, rows: IntArray | None = None) -> RawColumns:
    """Return the records of a frame, or some of them."""
    names = ("key", "value", "timestamp", "headers")
    place = None if rows is None else index(rows)
    key, value, times, headers = (records[name] if place is None else records[name][place] for name in names)
    return RawColumns(
        key.to_list(),
        value.to_list(),
        (times.fill_null(NO_TIME) if times.null_count() else times).to_list(),
        _headers(headers),
    )


def joined(columns: Iterable[RawColumns]) -> RawColumns:
    """Return records one behind the other."""
    together = RawColumns()
    for one in columns:
        together.extend(one)
    return together


def sizes_of(records: pl.DataFrame) -> IntArray:
    """Return about how many bytes each record takes."""
    asked = records.select(  # all in one query
        (pl.col("key").bin.size().fill_null(0) + pl.col("value").bin.size().fill_null(0)).cast(pl.Int64).alias("size"),
        pl.col("headers").list.len().fill_null(0).cast(pl.Int64).alias("headers"),
    )
    total, counts = asked["size"].to_numpy() + MAX_OVERHEAD, asked["headers"].to_numpy()
    rows = np.flatnonzero(counts)
    if len(rows):
        each = records["headers"][index(rows)].explode().struct
        parts = each.field("name").str.len_bytes() + each.field("value").bin.size().fill_null(0)
        total[rows] += np.add.reduceat(parts.to_numpy().astype(np.int64), np.cumsum(counts[rows]) - counts[rows])
    return total


def _headers(column: pl.Series) -> dict[int, bytes]:
    """Return framed headers by row."""
    if len(column) <= MANY:  # asking for their numbers takes longer than looking at them
        listed = column.to_list()
        rows = [row for row, headers in enumerate(listed) if headers]
        found = [listed[row] for row in rows]
    else:
        rows = np.flatnonzero(column.list.len().fill_null(0).to_numpy()).tolist()
        found = column[rows].to_list() if rows else []
    return {
        row: framed([(header["name"], header["value"]) for header in headers])
        for row, headers in zip(rows, found, strict=True)
    }
