"""A target whose records are of the moment in which they are sent: `--timestamps now`.

In: records that are due. Out: the same with the time that it is, at another target.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

from producers.load.parts import Seconds, Target
from producers.load.sources.places import Places
from producers.load.transforms.timestamps import moved


class StampedTarget:
    """Implements `producers.load.parts.Target` before another one.

    Args:
        target: where records go.
        fields: of their values; they move by as much as the timestamp does.
        wall_clock: UTC epoch milliseconds.
        places: names the record that an error is about.
    """

    def __init__(self, target: Target, fields: Sequence[str], wall_clock: Callable[[], int], places: Places) -> None:
        self._target, self._fields, self._wall_clock, self._places = target, fields, wall_clock, places

    async def send(self, records: pl.DataFrame, due: Seconds) -> None:
        """Stamp records and hand them over."""
        by = pl.repeat(self._wall_clock(), len(records), dtype=pl.Int64, eager=True) - records["timestamp"]
        await self._target.send(moved(records, by, self._fields, self._places), due)

    async def drain(self, seconds: float) -> None:
        """Wait for the other one."""
        await self._target.drain(seconds)
