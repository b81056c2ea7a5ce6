"""How many cashless payments were to be expected: indirect standardisation by sector.

In: tallies by sector, of days and of a moment. Out: cashless payments observed, and expected had each sector kept the
share of the days before.
Pure. A commune's plain share swings by half in a healthy week, since bills, wages and market days come and go; the
ratio of observed to expected does not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

CASH = "cash"
BASELINE_DAYS = 7
"""Days of a baseline at most: a week has each weekday once."""
ENOUGH = 30
"""Settled payments of a sector from which on its share is a baseline."""

Counts = Mapping[str, tuple[int, int]]
"""Sector → settled payments, and the cashless ones among them."""
Shares = Mapping[str, float]


@dataclass(frozen=True)
class Standardised:
    """Cashless payments that were counted, and that were to be expected."""

    observed: float = 0.0
    expected: float = 0.0

    def __add__(self, other: Standardised) -> Standardised:
        return Standardised(self.observed + other.observed, self.expected + other.expected)

    @property
    def ratio(self) -> float:
        """Observed over expected; there must be some expected."""
        return self.observed / self.expected


def counts_of(by_sector: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Return the counts in an adoption record's ``by_sector``."""
    counts = {}
    for sector, tallies in by_sector.items():
        settled = sum(tally["settled"] for tally in tallies.values())
        cash = tallies[CASH]["settled"] if CASH in tallies else 0
        counts[sector] = (settled, settled - cash)
    return counts


def grown(now: Counts, before: Counts) -> dict[str, tuple[int, int]]:
    """Return what has been counted since."""
    nothing = (0, 0)
    return {
        sector: (settled - before.get(sector, nothing)[0], cashless - before.get(sector, nothing)[1])
        for sector, (settled, cashless) in now.items()
    }


def baseline(days: Iterable[Counts]) -> dict[str, float]:
    """Return the cashless share of each sector over some days; none of a sector with too few payments."""
    sums: dict[str, list[int]] = {}
    for counts in days:
        for sector, (settled, cashless) in counts.items():
            mine = sums.setdefault(sector, [0, 0])
            mine[0] += settled
            mine[1] += cashless
    return {sector: cashless / settled for sector, (settled, cashless) in sums.items() if settled >= ENOUGH}


def standardised(counts: Counts, shares: Shares) -> Standardised:
    """Return observed and expected of the sectors that have a baseline."""
    known = [(counts[sector], share) for sector, share in shares.items() if sector in counts]
    return Standardised(
        float(sum(cashless for (_, cashless), _ in known)), sum(settled * share for (settled, _), share in known)
    )


class LatestWindow:
    """The latest payments: as many as have made a number of cashless ones expected.

    Counted in payments, not in time, it means the same at any speed, at night and in a small commune.
    """

    def __init__(self, expected: float) -> None:
        """Args: how many cashless payments are to be expected in it."""
        self._size = expected
        self._parts: deque[Standardised] = deque()
        self._observed = self._expected = 0.0

    def add(self, part: Standardised) -> None:
        """Add the newest payments, and let go of the oldest that are not needed any more."""
        if part.expected <= 0:
            return
        self._parts.append(part)
        self._observed += part.observed
        self._expected += part.expected
        while self._expected - self._parts[0].expected >= self._size:
            first = self._parts.popleft()
            self._observed -= first.observed
            self._expected -= first.expected

    @property
    def ratio(self) -> float | None:
        """Observed over expected; None while there are too few payments."""
        return max(0.0, self._observed / self._expected) if self._expected >= self._size else None
