"""Which communes have stopped paying: a share of theirs would stand still, and look as if it held.

In: hours in which a commune has paid. Out: whether a time is so long ago that the commune is stale.
Pure. Time is simulated, and that of the commune's own partition: a partition whose worker is behind makes none stale.
"""

from __future__ import annotations

STALE_HOURS = 24
"""Simulated hours without a payment, while others of the partition pay, that make a commune stale."""
STALE_MS = STALE_HOURS * 3_600_000

Place = tuple[str, str]
"""A run and a commune."""


class Freshness:
    """When each commune has paid last."""

    def __init__(self) -> None:
        self._last: dict[Place, int] = {}
        self._partition: dict[Place, int] = {}
        self._newest: dict[tuple[str, int], int] = {}

    def paid(self, run: str, commune: str, partition: int, hour_at: int) -> None:
        """Take note of payments of a commune in an hour.

        Args:
            run: its run.
            commune: the commune.
            partition: where its payments are.
            hour_at: begin of the hour, UTC epoch milliseconds.
        """
        place = (run, commune)
        self._last[place] = max(hour_at, self._last.get(place, 0))
        self._partition[place] = partition
        self._newest[run, partition] = max(hour_at, self._newest.get((run, partition), 0))

    def last_payment_at(self, run: str, commune: str) -> int | None:
        """Return the begin of the newest hour in which a commune has paid; None if it never has."""
        return self._last.get((run, commune))

    def is_stale(self, run: str, commune: str, at: int | None = None) -> bool:
        """Return whether a commune's newest hour, or a time of its, is long ago by its partition's clock."""
        place = (run, commune)
        if place not in self._last:
            return False
        newest = self._newest[run, self._partition[place]]
        return newest - (self._last[place] if at is None else at) >= STALE_MS

    def stale_communes(self, run: str) -> int:
        """Return how many communes of a run are stale."""
        return sum(self.is_stale(*place) for place in self._last if place[0] == run)
