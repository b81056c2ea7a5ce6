"""How fast a run goes, measured: simulated seconds per second.

In: times of the newest payments, and when they were seen. Out: the speed over the last seconds.
Pure.
"""

from __future__ import annotations

from collections import deque
from typing import Final

WINDOW_SECONDS: Final = 15.0
LEAST_SECONDS: Final = 2.0


class SpeedGauge:
    """Keeps what was seen in the last seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def see(self, now: float, occurred_at: int) -> None:
        """Note a payment's time, seen at ``now``; the furthest of a moment counts, and late ones do not."""
        if self._seen and occurred_at <= self._seen[-1][1]:
            return
        self._seen.append((now, occurred_at))
        while now - self._seen[0][0] > WINDOW_SECONDS:
            self._seen.popleft()

    def speed(self, now: float) -> float | None:
        """Return the speed, none where nothing has come for a while or there is not enough to tell."""
        if not self._seen or now - self._seen[-1][0] > WINDOW_SECONDS:
            return None
        (begun, first), (ended, last) = self._seen[0], self._seen[-1]
        if ended - begun < LEAST_SECONDS:
            return None
        return float(f"{(last - first) / 1000 / (ended - begun):.2g}")
