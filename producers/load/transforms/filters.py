"""Which records of a source are sent: by time, key, commune, sector, topic.

In: frames of records. Out: those of them that match all that was asked for. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from producers.load.transforms.json_fields import cut, texts, unquoted
from schemas.topics import CELLS


@dataclass(frozen=True)
class Filters:
    """What records must match. What is empty, or None, says nothing; of several values one is enough."""

    from_time: int | None = None
    """Timestamps from here on, UTC epoch milliseconds."""
    to_time: int | None = None
    """Timestamps before this."""
    keys: tuple[str, ...] = ()
    communes: tuple[str, ...] = ()
    """Of our payments: a payment's key is its commune."""
    sectors: tuple[str, ...] = ()
    """The field `sector` of a value. A value that is no JSON object matches none."""
    topics: tuple[str, ...] = ()

    def of(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the records that match.

        A run's announcements of its cells need only match the topics: without them no worker takes its payments.
        """
        if self.topics:
            frame = frame.filter(pl.col("topic").is_in(self.topics))
        matching = self._plainly(frame)
        if self.sectors and len(frame):
            sector = unquoted(cut(texts(frame["value"]), "sector")["token"])
            matching &= sector.is_in(self.sectors).fill_null(value=False)
        if matching.all():
            return frame
        return frame.filter(matching | (frame["topic"] == CELLS).fill_null(value=False))

    def _plainly(self, frame: pl.DataFrame) -> pl.Series:
        """Return which records match in time and key."""
        matching = pl.repeat(value=True, n=len(frame), eager=True, dtype=pl.Boolean)
        at, key = frame["timestamp"], frame["key"]
        if self.from_time is not None:
            matching &= at >= self.from_time
        if self.to_time is not None:
            matching &= at < self.to_time
        for wanted in (self.keys, self.communes):
            if wanted:
                matching &= key.is_in([one.encode() for one in wanted]).fill_null(value=False)
        return matching
