"""A source as it is to be sent: filtered, in order, again and again, moved in time.

In: a source that can be read several times. Out: frames of records. Pure but for the clock that it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

import polars as pl

from producers.load.sources.opened import Opened
from producers.load.sources.ordering import in_order
from producers.load.sources.threads import while_wanted
from producers.load.transforms.filters import Filters
from producers.load.transforms.fresh_ids import renamed
from producers.load.transforms.partitions import Partitions, placed
from producers.load.transforms.timestamps import Timestamps, moved
from schemas.topics import CELLS


@dataclass(frozen=True)
class Changes:
    """What is to become of a source."""

    filters: Filters = field(default_factory=Filters)
    buffer: int | None = None
    """Records held back to sort what is out of order; None: order does not matter, and the source's own is kept."""
    loops: int | None = 1
    """How many times it is sent; None: without end."""
    verbatim: bool = False
    """Whether loops repeat the very same keys, values and headers. Else each is a run of its own."""
    timestamps: Timestamps = "keep"
    fields: tuple[str, ...] = ()
    """Of values: they move with the timestamps."""
    partitions: Partitions = "keep"


def replayed(source: Opened, changes: Changes, wall_clock: Callable[[], int]) -> Iterator[pl.DataFrame]:
    """Yield what is to be sent. A loop follows the one before by the time from the source's first record to its last.

    Args:
        source: what to read, once a loop.
        changes: what to make of it. Timestamps `now` are for the target to set, when it sends; see
            `producers.load.targets.stamped`.
        wall_clock: UTC epoch milliseconds; asked once, when the first record comes, which a shift moves to then.

    Raises:
        BadInputError: names the record that is wrong.
    """
    span = _Span()
    offset: int | None = None if changes.timestamps == "shift" else 0
    for number in count(1) if changes.loops is None else range(1, changes.loops + 1):
        behind = span.milliseconds * (number - 1)
        begun = span.records
        for frame in _once(source, changes):
            if offset is None:
                offset = wall_clock() - frame["timestamp"][0]
            if number == 1:
                span.see(frame)
            else:
                span.records += len(frame)
            ready = frame if changes.verbatim else renamed(frame, number, source.places)
            by = behind + offset
            ready = moved(ready, by, changes.fields, source.places) if by else ready
            yield placed(ready, changes.partitions)
        if span.records == begun:
            return  # nothing matches: another time would bring nothing either


class _Span:
    """From when to when the records of a source are."""

    def __init__(self) -> None:
        self.records = 0
        self._first: int | None = None
        self._last: int | None = None

    def see(self, frame: pl.DataFrame) -> None:
        first, last = frame.select(pl.min("timestamp").alias("first"), pl.max("timestamp").alias("last")).row(0)
        self._first = first if self._first is None else min(first, self._first)
        self._last = last if self._last is None else max(last, self._last)
        self.records += len(frame)

    @property
    def milliseconds(self) -> int:
        return 0 if self._first is None or self._last is None else self._last - self._first


def _once(source: Opened, changes: Changes) -> Iterator[pl.DataFrame]:
    """Yield the records of one loop; announcements of cells first, at the time of what follows.

    They are sent by the clock on the wall, and payments by that of the simulation: in order of time, cells would often
    come last, and workers set aside payments of cells that they do not know.
    """
    cells = changes.filters.of(source.cells())
    rest = (changes.filters.of(frame) for frame in while_wanted(source.frames()))
    rest = (frame.filter(pl.col("topic").ne_missing(CELLS)) if len(cells) else frame for frame in rest)
    records: Iterator[pl.DataFrame] = (frame for frame in rest if len(frame))
    if changes.buffer is not None:
        records = in_order(records, changes.buffer, source.places)
    for frame in records:
        if len(cells):
            yield cells.with_columns(pl.lit(frame["timestamp"][0], dtype=pl.Int64).alias("timestamp"))
            cells = cells.clear()
        yield frame
    if len(cells):
        yield cells
