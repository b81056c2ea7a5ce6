"""The pace: how many rows of a block are due now.

In: seconds since the start (of an injected clock, pauses left out) and a block. Out: a number of rows.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from producers.blocks import PaymentBlock
from schemas.errors import BadInputError

MS = 1000.0


class Pace(Protocol):
    """A rule for when payments are due."""

    @property
    def speed(self) -> float:
        """Simulated seconds per second asked for: 0 for none, infinity for as fast as it goes, NaN for a rate."""

    def due(self, block: PaymentBlock, elapsed_seconds: float) -> int:
        """Return how many rows of the block, from its first, are due by now."""

    def passed(self, block: PaymentBlock) -> None:
        """Take note that all of a block has been sent."""

    def resume(self, at: int) -> None:
        """Begin at a simulated time, UTC epoch milliseconds: what comes before has been sent."""

    def lag_seconds(self, block: PaymentBlock, sent: int, elapsed_seconds: float) -> float:
        """Return how long ago the first unsent row of the block was due, 0 if it is not due yet."""


class SpeedPace:
    """Simulated time runs ``speed`` times as fast as the clock.

    Args:
        speed: simulated seconds per second.
        start_at: simulated time at its begin, UTC epoch milliseconds.
        since: seconds that had elapsed at its begin.
    """

    def __init__(self, speed: float, start_at: float, since: float = 0.0) -> None:
        self.speed, self._start_at, self._since = speed, start_at, since

    def now(self, elapsed_seconds: float) -> float:
        """Return the simulated time that it is, UTC epoch milliseconds."""
        return self._start_at + (elapsed_seconds - self._since) * MS * self.speed

    def due(self, block: PaymentBlock, elapsed_seconds: float) -> int:
        """Rows whose time of sending has come."""
        return int(np.searchsorted(block.sent_at, self.now(elapsed_seconds), side="right"))

    def passed(self, block: PaymentBlock) -> None:
        """Nothing to note: event times say all."""

    def resume(self, at: int) -> None:
        """Let the clock start there."""
        self._start_at = at

    def lag_seconds(self, block: PaymentBlock, sent: int, elapsed_seconds: float) -> float:
        """Wall seconds since the time of sending of the row."""
        due_at = (block.sent_at[sent] - self._start_at) / MS / self.speed
        return max(0.0, elapsed_seconds - self._since - float(due_at))


class RatePace:
    """A constant number of events a second, whatever their event times."""

    speed = math.nan

    def __init__(self, events_per_second: float) -> None:
        self.events_per_second = self._rate = events_per_second
        self._before = 0

    def due(self, block: PaymentBlock, elapsed_seconds: float) -> int:
        """Rows up to rate × time."""
        return max(0, min(len(block), int(self._rate * elapsed_seconds) - self._before))

    def passed(self, block: PaymentBlock) -> None:
        """Count the block."""
        self._before += len(block)

    def resume(self, at: int) -> None:
        """Nothing to note: only what is sent counts."""

    def lag_seconds(self, block: PaymentBlock, sent: int, elapsed_seconds: float) -> float:
        """Seconds since the row's turn."""
        return max(0.0, elapsed_seconds - (self._before + sent + 1) / self._rate)


class NoPace:
    """As fast as it goes."""

    speed = math.inf

    def due(self, block: PaymentBlock, elapsed_seconds: float) -> int:
        """All rows, always."""
        return len(block)

    def passed(self, block: PaymentBlock) -> None:
        """Nothing to note."""

    def resume(self, at: int) -> None:
        """Nothing to note: everything is due."""

    def lag_seconds(self, block: PaymentBlock, sent: int, elapsed_seconds: float) -> float:
        """Never behind: nothing was promised."""
        return 0.0


def make_pace(*, speed: str | None, rate: float | None, default_speed: float, start_at: int) -> Pace:
    """Choose the pace that the options ask for.

    Args:
        speed: a number above 0, ``max``, or None for the default.
        rate: events a second, or None.
        default_speed: speed where nothing is said.
        start_at: simulated begin, UTC epoch milliseconds.
    """
    if speed is not None and rate is not None:
        raise BadInputError("pace", f"--speed {speed} and --rate {rate:g} together", "give one of them")
    if rate is not None:
        if not 0 < rate < float("inf"):
            raise BadInputError("pace", f"--rate {rate:g}", "give events a second, above 0")
        return RatePace(rate)
    if speed == "max":
        return NoPace()
    try:
        factor = float(speed) if speed is not None else default_speed
    except ValueError:
        factor = 0.0
    if not 0 < factor < float("inf"):
        raise BadInputError("pace", f"--speed {speed}", "give a number above 0, or max")
    return SpeedPace(factor, start_at)
