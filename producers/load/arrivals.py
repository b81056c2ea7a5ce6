"""When records are due: by their own times, by a profile of rates, or at once.

In: records' timestamps, a speed or a profile. Out: seconds since the load began. What is due at a pace does not
depend on what has been sent or answered.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

from producers.load.clock import Clock
from producers.load.parts import Seconds
from producers.load.profiles import Profile
from schemas.errors import BadInputError

Spacing = Literal["even", "poisson"]
MS = 1000.0
MIDDLE = 0.5
"""Evenly spaced records are due in the middle of their share of the time: rounding never moves one over a border."""


class SpeedArrivals:
    """Records at their own distances, ``speed`` times as fast; the first one is due at once.

    A record whose timestamp lies before another's that came before it is due with that one. Implements
    `producers.load.parts.Arrivals`.
    """

    def __init__(self, speed: float) -> None:
        if not 0 < speed < math.inf:
            raise BadInputError("pace", f"--speed {speed:g}", "give a number above 0, or max")
        self._speed = speed
        self._first: int | None = None
        self._latest = 0.0

    def of(self, timestamps: npt.NDArray[np.int64]) -> Seconds:
        """Return when records are due."""
        if not len(timestamps):
            return np.zeros(0)
        if self._first is None:
            self._first = int(timestamps[0])
        due = (timestamps - self._first) / (MS * self._speed)
        due = np.maximum.accumulate(np.maximum(due, self._latest))
        self._latest = float(due[-1])
        return due

    def asked(self, second: int) -> float | None:
        """Return None: the records say."""
        return None


class MaxArrivals:
    """Records as fast as the target takes them: each is due when it is there. Implements `Arrivals`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def of(self, timestamps: npt.NDArray[np.int64]) -> Seconds:
        """Return that all are due now."""
        return np.full(len(timestamps), self._clock.now())

    def asked(self, second: int) -> float | None:
        """Return None: no rate is asked for."""
        return None


class _Drawn:
    """How many Poisson arrivals there are in each second, until the last one that has been drawn."""

    def __init__(self) -> None:
        self._counts: list[int] = []
        self._until = 0.0

    def add(self, due: Seconds, *, ended: bool) -> None:
        """Take note of the next arrivals; none come behind them if it has ended."""
        if len(due):
            counts = np.bincount(due.astype(np.int64), minlength=len(self._counts))
            counts[: len(self._counts)] += np.array(self._counts, dtype=np.int64)
            self._counts = counts.tolist()
        self._until = math.inf if ended else float(due[-1])

    def within(self, second: int) -> tuple[int, float]:
        """Return how many were drawn of a second, and from when on they are not known."""
        count = self._counts[second] if second < len(self._counts) else 0
        return count, min(max(float(second), self._until), second + 1.0)


class RateArrivals:
    """Records at the rates of a profile, whatever their timestamps. Implements `producers.load.parts.Arrivals`.

    The number of records that are due by a time is the integral of the rate. Its inverse says when each one is:
    a straight line's integral is a parabola, so it is exact.
    """

    def __init__(self, profile: Profile, spacing: Spacing = "even", seed: int = 0) -> None:
        self.profile = profile
        self._random = None if spacing == "even" else np.random.default_rng(seed)
        self._before = 0.0
        """Records so far, or, of Poisson arrivals, their number where the rate were 1 all the time."""
        seconds = np.array([phase.seconds for phase in profile.phases])
        self._begin_rate = np.array([phase.begin for phase in profile.phases])
        self._slope = (np.array([phase.end for phase in profile.phases]) - self._begin_rate) / seconds
        self._begins_at = np.concatenate([[0.0], np.cumsum(seconds)])
        self._begins_with = np.concatenate([[0.0], np.cumsum([phase.records for phase in profile.phases])])
        self._drawn = _Drawn()

    def of(self, timestamps: npt.NDArray[np.int64]) -> Seconds:
        """Return when the next records are due; fewer where the profile ends."""
        number = len(timestamps)
        if self._random is None:
            counts = self._before + np.arange(number) + MIDDLE
            self._before += number
        else:
            counts = self._before + np.cumsum(self._random.standard_exponential(number))
            self._before = float(counts[-1]) if number else self._before
        due = self._when(counts[counts < self._begins_with[-1]])
        if self._random is not None and number:
            self._drawn.add(due, ended=len(due) < number)
        return due

    def asked(self, second: int) -> float | None:
        """Return the integral over a second; of Poisson arrivals, their number as far as they have been drawn.

        Of a hundred that a Poisson process is asked for, ninety may come: that is no failure of who sends them.
        """
        drawn, rest_from = self._drawn.within(second)
        return drawn + self._integral(second + 1.0) - self._integral(rest_from)

    def _when(self, counts: Seconds) -> Seconds:
        """Return at which time the integral is so large."""
        phase = np.searchsorted(self._begins_with, counts, side="right") - 1
        left, rate = counts - self._begins_with[phase], self._begin_rate[phase]
        root = np.sqrt(np.maximum(rate * rate + 2 * self._slope[phase] * left, 0.0))
        # Of both ways to write the root of a parabola this one loses no digits where the slope is small or none.
        sum_of = rate + root
        inside = np.divide(2 * left, sum_of, out=np.zeros(len(counts)), where=sum_of > 0)
        due = np.minimum(self._begins_at[phase] + inside, self._begins_at[phase + 1])
        return np.maximum.accumulate(due) if len(due) else due

    def _integral(self, seconds: float) -> float:
        """Return how many records are asked for up to a time."""
        last = len(self._slope) - 1
        phase = min(int(np.searchsorted(self._begins_at, seconds, side="right")) - 1, last)
        inside = min(seconds, float(self._begins_at[phase + 1])) - float(self._begins_at[phase])
        rate, slope = float(self._begin_rate[phase]), float(self._slope[phase])
        return float(self._begins_with[phase]) + (rate + slope * inside / 2) * inside
