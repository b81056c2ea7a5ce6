"""How fast a province pays: seconds in, the rate at which simulated days become columns of payments out."""

from __future__ import annotations

from collections.abc import Iterator

from producers.engine import ProvinceSimulation
from tests.benchmarks.measuring import Row, Stopwatch, in_own_process, world_of


def run(seconds: float = 5.0) -> Iterator[Row]:
    """Simulate days for about `seconds`."""
    yield in_own_process(generate, seconds=seconds)


def generate(seconds: float) -> Row:
    """Adopt, draw, pay, sort and number, day after day; the first day, which fills caches, is not counted."""
    days = ProvinceSimulation(world_of()).days()
    next(days)
    events = count = 0
    watch = Stopwatch()
    for day in days:
        events += len(day.payments)
        count += 1
        if watch.seconds >= seconds:
            break
    return watch.row("generate", "generator", events, days=count)
