"""Partitions merged in order of time, while they are being read: none runs ahead of the others.

In: frames of records, by partition, in the order of each. Out: frames in which the time of no partition is beyond what
has been read of the others. A partition keeps its own order, even where its times fall. Pure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

import polars as pl

_UNTIL = "__until"


class Merge:
    """Merges partitions, as long as it is told what comes of each.

    Args:
        places: numbers of the partitions that there are to be read.
    """

    def __init__(self, places: Collection[int]) -> None:
        self._open = set(places)
        self._held: dict[int, deque[pl.DataFrame]] = {place: deque() for place in places}
        self._reached: dict[int, int] = {}
        """Latest time of what has been read of a partition."""

    def add(self, place: int, frame: pl.DataFrame) -> None:
        """Take what comes next of a partition; not empty."""
        until = frame["timestamp"].cum_max()
        if place in self._reached:
            until = until.clip(lower_bound=self._reached[place])
        self._reached[place] = until[-1]
        self._held[place].append(frame.with_columns(until.alias(_UNTIL)))

    def end(self, place: int) -> None:
        """Take note that a partition has no more."""
        self._open.discard(place)

    def wanted(self) -> list[int]:
        """Return the partitions of which more must be read before anything can be passed on."""
        return sorted(place for place in self._open if not self._held[place])

    def ready(self) -> pl.DataFrame | None:
        """Return what can be passed on, None if that is nothing yet."""
        if self.wanted():
            return None
        bound = min((self._reached[place] for place in self._open), default=None)
        parts = [part for place in sorted(self._held) for part in self._taken(place, bound)]
        if not parts:
            return None
        return pl.concat(parts).sort(_UNTIL, maintain_order=True).drop(_UNTIL)

    def _taken(self, place: int, bound: int | None) -> list[pl.DataFrame]:
        """Take the records of a partition whose time is not beyond a bound."""
        held = self._held[place]
        taken = []
        while held:
            frame = held.popleft()
            rows = len(frame) if bound is None else int(frame[_UNTIL].search_sorted(bound, side="right"))
            if rows:
                taken.append(frame.head(rows))
            if rows < len(frame):
                held.appendleft(frame.slice(rows))
                break
        return taken
