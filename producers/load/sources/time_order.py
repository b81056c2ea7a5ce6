"""Partitions laid together in order of time, as far as each is in order.

In: frames of each partition as they are read. Out: frames of all. Partitions are read at different speeds; a capture
that had them as they came would have to be sorted by whoever replays it. Records of a partition stay in the order of
their offsets: one that is out of time comes when the one before it does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import polars as pl

_DUE = "_due"


@dataclass
class _Lane:
    newest: int | None = None
    """The greatest timestamp so far."""
    waiting: list[pl.DataFrame] = field(default_factory=list)

    @property
    def size(self) -> int:
        return sum(int(frame.estimated_size()) for frame in self.waiting)


class TimeOrder:
    """Holds what one partition has ahead of the others."""

    def __init__(self, partitions: int) -> None:
        self._lanes = [_Lane() for _ in range(partitions)]

    def put(self, lane: int, frame: pl.DataFrame) -> None:
        """Take the next records of a partition."""
        if frame.is_empty():
            return
        taken = self._lanes[lane]
        due = frame["timestamp"].cum_max()
        if taken.newest is not None:
            due = due.clip(lower_bound=taken.newest)
        taken.newest = int(due[-1])
        taken.waiting.append(frame.with_columns(due.alias(_DUE)))

    def take(self, open_: Collection[int]) -> pl.DataFrame | None:
        """Return what can come before nothing that is still to be read, in order.

        Args:
            open_: partitions that earlier records may still come from; others do not hold any back.
        """
        newest = [self._lanes[lane].newest for lane in open_]
        if None in newest:
            return None
        bound = min((time for time in newest if time is not None), default=None)
        parts = [part for lane in self._lanes for part in _due(lane, bound)]
        if not parts:
            return None
        taken = pl.concat(parts) if len(parts) > 1 else parts[0]
        if not taken[_DUE].is_sorted():
            taken = taken.sort(_DUE, maintain_order=True)
        return taken.drop(_DUE)

    def has(self, lane: int) -> bool:
        """Return whether anything of a partition waits for others."""
        return bool(self._lanes[lane].waiting)

    def bytes_of(self, lane: int) -> int:
        """Return how much of a partition waits for others."""
        return self._lanes[lane].size


def _due(lane: _Lane, bound: int | None) -> Iterator[pl.DataFrame]:
    """Take from a lane what is due, all if there is no bound."""
    while lane.waiting:
        frame = lane.waiting[0]
        rows = frame.height if bound is None else int(frame[_DUE].search_sorted(bound, side="right"))
        if rows:
            yield frame.head(rows)
        if rows < frame.height:
            lane.waiting[0] = frame.slice(rows)
            return
        lane.waiting.pop(0)
