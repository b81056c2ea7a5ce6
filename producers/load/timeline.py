"""What happened in each second of a load.

In: numbers of records, as they are sent, answered and failed, in order of time. Out: one `Second` for each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from producers.load.cpu import CpuTimes, cpu_times, shares_of
from producers.load.durations import Durations
from producers.load.parts import Seconds
from schemas.load_report import Second

LEAST_SECONDS: Final = 0.25
"""Of a second of which CPU is told."""


class _Column(list[int]):
    """Counts by second, which grows as it is written."""

    def add(self, second: int, count: int) -> None:
        """Add to a second."""
        if second >= len(self):
            self.extend([0] * (second + 1 - len(self)))
        self[second] += count

    def at(self, second: int) -> int:
        """Return the count of a second."""
        return self[second] if second < len(self) else 0


class _Turn:
    """What is known when a second is over."""

    def __init__(self, quantiles: list[float | None], shares: list[float | None]) -> None:
        self.p99_pacing, self.p50_ack, self.p99_ack = quantiles
        self.cpu, self.loop, self.waited = shares


class Timeline:
    """Counts by second; quantiles and CPU are taken at the first event of the next."""

    def __init__(self, pacing: Durations, ack: Durations, cpu: Callable[[], CpuTimes] = cpu_times) -> None:
        """Args: durations of the load, which are told before the timeline is; the clock of CPU time."""
        self.due, self.sent, self.answered, self.failed = _Column(), _Column(), _Column(), _Column()
        self._pacing, self._ack, self._cpu = pacing, ack, cpu
        self._turns: dict[int, _Turn] = {}
        self._starved: dict[int, float] = {}
        self._now, self._turned_at, self._before = 0, 0.0, cpu()
        self.latest = 0.0
        """Seconds since the load began at which something happened last."""

    def fall_due(self, due: Seconds) -> None:
        """Count records by the second in which they were due."""
        first, last = int(due[0]), int(due[-1])
        if first == last:
            self.due.add(first, len(due))
            return
        for second, count in enumerate(np.bincount(np.maximum(due, 0).astype(np.int64))):
            if count:
                self.due.add(second, int(count))

    def starve(self, seconds: float, at: float) -> None:
        """Count a wait for the source: what of it was in the second in which it ended."""
        self._starved[int(at)] = self._starved.get(int(at), 0.0) + min(seconds, at - int(at))

    def reach(self, at: float) -> None:
        """Let time go on; call it before anything of that time is told."""
        if int(at) > self._now:
            self.turn(at)
        self.latest = max(self.latest, at)

    def turn(self, at: float) -> None:
        """Close the second that runs."""
        span, used = at - self._turned_at, self._cpu()
        if span <= 0 and self._now in self._turns:
            return  # it is closed
        quantiles = [*self._pacing.since_mark([99]), *self._ack.since_mark([50, 99])]
        # What is left of a load behind its last whole second is work without waiting: no share of a second.
        shares = shares_of(self._before, used, span if span >= LEAST_SECONDS else 0.0)
        self._turns[self._now] = _Turn(quantiles, shares)
        self._now, self._turned_at, self._before = int(at), at, used

    def rows(self, asked: Callable[[int], float | None], until: float = 0.0) -> Iterator[Second]:
        """Yield all seconds until a time, or until something happened last: also those in which nothing could be sent.

        Args:
            asked: how many records were asked for in a second.
            until: seconds since the load began.
        """
        nothing = _Turn([None] * 3, [None] * 3)
        for second in range(max(math.ceil(until), *map(len, (self.due, self.sent, self.answered, self.failed)))):
            turn = self._turns.get(second, nothing)
            yield Second(
                second=second,
                asked=asked(second),
                sent=self.sent.at(second),
                answered=self.answered.at(second),
                failed=self.failed.at(second),
                p99_pacing_ms=turn.p99_pacing,
                p50_ack_ms=turn.p50_ack,
                p99_ack_ms=turn.p99_ack,
                cpu=turn.cpu,
                loop_cpu=turn.loop,
                loop_waited=turn.waited,
                source_waited=self._starved.get(second, 0.0),
            )
