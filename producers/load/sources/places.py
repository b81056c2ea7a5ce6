"""Where a record was found, in words: what every error about one begins with.

In: a frame of records, a row. Out: text.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class Places:
    """Names the places of one source."""

    name: str
    """File or topic, as errors call it."""
    in_topics: bool
    """Whether its records have offsets in partitions; else they have numbers of rows."""

    def of(self, frame: pl.DataFrame, row: int) -> str:
        """Return where the record of a row was found; rows are told from 1."""
        topic, partition, offset = frame.select("topic", "partition", "offset").row(row)
        if self.in_topics:
            return f"{self.name}: {topic}-{partition} offset {offset}"
        return f"{self.name}: row {offset + 1}"


def time_text(at: int) -> str:
    """Return a time, UTC epoch milliseconds, as people read it, and the number if no calendar has it."""
    try:
        return dt.datetime.fromtimestamp(at / 1000, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return f"{at} ms"
