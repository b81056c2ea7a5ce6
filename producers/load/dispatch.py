"""Dispatch: records to the target, each when it is due.

In: a source, arrivals, a clock. Out: slices of records handed to the target; why it ended, and how many it handed over.
When a record is due depends on nothing that the target does: if the target takes no more for a while, what is late
keeps the time that it was due.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import polars as pl

from producers.load.clock import Clock
from producers.load.parts import Arrivals, Seconds, Source, Target

Reason = Literal["source ended", "profile ended", "limit", "interrupted"]
LOOK_SECONDS: Final = 0.1
"""How often a dispatch that waits looks whether it shall stop."""
TICK_SECONDS: Final = 0.001
"""Records that are due within so long go together: each hand-over has its price."""
LATE_SECONDS: Final = 1.0
"""For how long after the limit of time what was due before it may still go."""


@dataclass(frozen=True)
class Limits:
    """When a load ends, whatever its source and its profile say."""

    seconds: float = math.inf
    """Nothing is due from then on."""
    records: float = math.inf
    """No more than so many are sent."""
    slice_records: int = 20_000
    """No more than so many are handed over together."""


@dataclass(frozen=True)
class Ended:
    """The end of a dispatch."""

    reason: Reason
    records: int
    """Handed over."""


class Dispatch:
    """One pass from a source to a target. One use only."""

    def __init__(  # noqa: PLR0917  # one of each part of a load, in the order of the way
        self,
        arrivals: Arrivals,
        target: Target,
        clock: Clock,
        stop: asyncio.Event,
        limits: Limits | None = None,
        starved: Callable[[float, float], object] = lambda _seconds, _at: None,
    ) -> None:
        """Args: the parts of a load; who hears for how long, and until when, it has waited for its source."""
        self._arrivals, self._target, self._clock, self._stop = arrivals, target, clock, stop
        self._limits, self._starved = limits or Limits(), starved
        self.records = 0
        """Handed over so far."""

    async def run(self, source: Source) -> Ended:
        """Send records until the source, the profile or a limit ends, or `stop` is set.

        The clock is to have begun. Bad input raises what the source does; what was before it has been handed over.
        """
        while (frame := await self._following(source)) is not None:
            times = frame["timestamp"]
            due = self._arrivals.of((times.fill_null(0) if times.null_count() else times).to_numpy())
            profile_ended = len(due) < len(frame)
            within = min(int(np.searchsorted(due, self._limits.seconds)), self._left())
            limited = within < len(due)
            await self._send(frame.head(within), due[:within])
            if self._stop.is_set():
                return Ended("interrupted", self.records)
            if limited or self._is_over():
                return Ended("limit", self.records)
            if profile_ended:
                return Ended("profile ended", self.records)
        return Ended("source ended", self.records)

    async def _following(self, source: Source) -> pl.DataFrame | None:
        asked_at = self._clock.now()
        frame = await anext(source, None)
        there_at = self._clock.now()
        self._starved(there_at - asked_at, there_at)
        return frame

    def _left(self) -> int:
        """Return how many records may go yet; more than there are in any frame where there is no limit."""
        left = self._limits.records - self.records
        return int(left) if math.isfinite(left) else np.iinfo(np.int64).max

    def _is_over(self) -> bool:
        """Return whether even what is late may not go any more, or all may that there are."""
        return self._clock.now() >= self._limits.seconds + LATE_SECONDS or not self._left()

    async def _send(self, frame: pl.DataFrame, due: Seconds) -> None:
        sent = 0
        while sent < len(due) and not self._stop.is_set() and not self._is_over():
            now = self._clock.now()
            ready = min(int(np.searchsorted(due, now, side="right")), sent + self._limits.slice_records)
            if ready > sent:
                await self._target.send(frame.slice(sent, ready - sent), due[sent:ready])
                self.records += ready - sent
                sent = ready
            if sent < len(due):
                following = max(float(due[sent]), now + TICK_SECONDS)
                await self._clock.sleep_until(min(following, now + LOOK_SECONDS))
            else:
                await self._clock.sleep_until(0.0)


async def begun(source: Source) -> Source:
    """Return a source whose first frame is there: the clock is not to run while it is being opened."""
    first = await anext(source, None)
    return _behind(first, source)


async def _behind(first: pl.DataFrame | None, source: Source) -> AsyncIterator[pl.DataFrame]:
    if first is not None:
        yield first
        async for frame in source:
            yield frame
