"""What the fleet says of itself: how far the stream is, and whether it moves again after a fault.

In: scrapes. Out: a `Sight`, renewed several times a second; waits with a limit.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from services.chaos.fleet import Fleet
from services.scrape import Samples

LOOK_SECONDS = 0.25
PROCESSED = "quetma_processed_records_total"
EXPORTED = "quetma_payments_total"


@dataclass(frozen=True)
class Sight:
    """The fleet at one moment."""

    positions: dict[str, float] = field(default_factory=dict)
    """Partition → records counted in its state, by the worker that is furthest."""
    silent: frozenset[str] = frozenset({"all"})
    """Members that shall run and do not answer."""
    exported: int = 0
    """Payments that the exporter shows."""


def sight_of(scrapes: Mapping[str, Samples]) -> Sight:
    """Return what scrapes say, by the members' names."""
    positions: dict[str, float] = {}
    for samples in scrapes.values():
        for labels, count in samples.series(PROCESSED):
            partition = labels["partition"]
            positions[partition] = max(count, positions.get(partition, 0.0))
    silent = frozenset(name for name, samples in scrapes.items() if not samples)
    return Sight(positions, silent, int(scrapes.get("exporter", Samples()).total(EXPORTED)))


class Watch:
    """Looks at the fleet for ever."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.sight = Sight()
        self.furthest: dict[str, float] = {}
        """Partition → the highest position that was ever seen."""

    async def run(self) -> None:
        """Look, and look again."""
        while True:
            self.sight = sight_of(await self._fleet.look())
            for partition, position in self.sight.positions.items():
                self.furthest[partition] = max(position, self.furthest.get(partition, 0.0))
            await asyncio.sleep(LOOK_SECONDS)

    async def flows(self, limit_seconds: float) -> bool:
        """Wait until all members answer and every partition is further than any worker has ever been with it."""
        before = dict(self.furthest)

        def moved() -> bool:
            now = self.sight.positions
            return not self.sight.silent and bool(now) and all(now.get(one, 0.0) > far for one, far in before.items())

        return await self.until(moved, limit_seconds)

    async def until(self, condition: Callable[[], bool], limit_seconds: float) -> bool:
        """Wait until a condition holds; return whether it does."""
        deadline = time.monotonic() + limit_seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(LOOK_SECONDS)
        return True
