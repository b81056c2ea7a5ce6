"""What is taken of a partition: from where, up to where.

In: frames of its records as they are read. Out: the rows that belong to the capture. Nothing is asked of a broker.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl


@dataclass
class Reading:
    """A partition that is read."""

    topic: str
    partition: int
    start: int
    """Offset that reading begins at."""
    end: int | None = None
    """Offset before which it ends."""
    from_ms: int | None = None
    """Time of which the first record must be, or of a later one; those after it are taken whatever theirs is."""
    until_ms: int | None = None
    """Time before which it ends, by the first record that reaches it."""
    done: bool = False
    records: int = 0
    first: int | None = None
    last: int | None = None

    def take(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of those read next that belong to the capture."""
        if self.from_ms is not None:
            frame = frame.slice(_first_at(frame, self.from_ms))
            self.from_ms = None if frame.height else self.from_ms
        if self.end is not None:
            frame = frame.head(int(frame["offset"].search_sorted(self.end, side="left")))
        if self.until_ms is not None and (rows := _first_at(frame, self.until_ms)) < frame.height:
            self.done, frame = True, frame.head(rows)
        return frame

    def reached(self, position: int) -> None:
        """Hear up to which offset the partition has been read, records or not: some offsets have none."""
        self.done = self.done or (self.end is not None and position >= self.end)

    def count(self, frame: pl.DataFrame) -> None:
        """Count rows that are in the capture."""
        if frame.height:
            self.first = int(frame["offset"][0]) if self.first is None else self.first
            self.last = int(frame["offset"][-1])
            self.records += frame.height


def _first_at(frame: pl.DataFrame, at_ms: int) -> int:
    """Return the place of the first record at or after a time; the number of records if there is none."""
    found = (frame["timestamp"] >= at_ms).arg_true()
    return int(found[0]) if len(found) else frame.height
