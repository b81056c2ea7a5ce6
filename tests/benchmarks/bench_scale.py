"""Whether twice as many payments take twice as long: rates at 10⁶, 10⁷, … payments written by two processes."""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmarks.bench_simulate import write
from tests.benchmarks.measuring import Row, in_own_process

FIRST, STEP = 1_000_000, 10


def run(events: int = 10_000_000) -> Iterator[Row]:
    """Write 10⁶ payments, ten times as many, and so on up to `events`; 10⁸ need 2 GB of disk for a few minutes."""
    size = min(FIRST, events)
    while size <= events:
        yield in_own_process(write, events=size, format_="parquet", jobs=2)
        size *= STEP
