"""Whether memory stays flat: a number of payments in, resident memory of each process along the way out.

Producer, worker and exporter are real processes that run until the worker has folded so many. The embedded broker
keeps every record in memory: its growth is stated beside, and is no leak.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import uvloop

from schemas.errors import UnreachableError
from services.broker import free_port
from services.demo import MAX_LAG
from services.scrape import scrape
from services.supervisor import Child
from tests.benchmarks.measuring import MB, SCENARIO, Broker, Meter, Row, broker_of, row

LOOK_SECONDS = 1.0
START_SECONDS = 60.0
LEAST_RATE = 5_000
"""Events a second below which the benchmark gives up."""
MARKS = (0.1, 0.2, 0.5, 1.0)
"""Shares of all events at which memory is told."""
WARM = 0.2
"""Share of the events after which memory should be flat: caches are full, every cell has been seen."""
PROCESSES = {"producer": "produce", "worker": "stream", "exporter": "serve"}
COUNTED_BY = {
    "producer": "quetma_acked_payments_total",
    "worker": "quetma_processed_records_total",
    "exporter": "quetma_payments_total",
    "broker": "quetma_acked_payments_total",
}
"""Where each process's events are read."""


def run(events: int = 10_000_000, broker: str | None = None) -> Iterator[Row]:
    """Let `events` payments pass and yield a row for each process."""
    with broker_of(broker, without_payments=True) as one, tempfile.TemporaryDirectory(prefix="quetma-bench-") as folder:
        yield from uvloop.run(_measure(one, events, Path(folder)))


@dataclass
class Watched:
    """A process: its meter, and its memory by events."""

    meter: Meter
    events: list[int] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)

    def look(self, events: int) -> None:
        """Read it, when it has done so many events."""
        self.meter.read()
        self.events.append(events)
        self.memory_mb.append(self.meter.memory_mb)

    def at(self, events: float) -> float:
        """Return its memory when it had done so many events, between two looks by interpolation."""
        for (low, before), (high, after) in pairwise(zip(self.events, self.memory_mb, strict=True)):
            if high >= events:
                return before + (after - before) * max(0.0, events - low) / max(1, high - low)
        return self.memory_mb[-1]

    def bytes_per_event(self, after: float) -> float | None:
        """Return the slope of memory over events from so many events on, by least squares."""
        looks = zip(self.events, self.memory_mb, strict=True)
        points = [(events, memory * MB) for events, memory in looks if events >= after]
        if len({events for events, _ in points}) < 2:
            return None
        return round(statistics.linear_regression(*zip(*points, strict=True)).slope, 3)


async def _measure(broker: Broker, events: int, folder: Path) -> list[Row]:
    ports = {name: free_port() for name in PROCESSES}
    environment = {
        **broker.environment,
        "QUETMA_PRODUCER__METRICS_PORT": str(ports["producer"]),
        "QUETMA_STREAM__METRICS_PORT": str(ports["worker"]),
        "QUETMA_SERVE__PORT": str(ports["exporter"]),
        "QUETMA_PRODUCER__MAX_LAG": str(MAX_LAG),
    }
    arguments = {"produce": [SCENARIO, "--speed", "max", "--run", f"bench-{time.time_ns()}"]}
    async with AsyncExitStack() as stack:
        children: dict[str, Child] = {}
        for name in ("worker", "exporter", "producer"):
            command = PROCESSES[name]
            words = [command, *arguments.get(command, []), "--quiet"]
            children[name] = Child(command, words, environment, folder)
            stack.push_async_callback(_end, children[name])
        watched = {name: Watched(Meter(child.pid)) for name, child in children.items()}
        if broker.pid is not None:
            watched["broker"] = Watched(Meter(broker.pid))
        seconds = await _watch(children, watched, ports, events)
    return [_row(name, one, events, seconds) for name, one in watched.items()]


async def _end(child: Child) -> None:
    child.ask_to_stop()
    await child.stopped()


async def _watch(children: dict[str, Child], watched: dict[str, Watched], ports: dict[str, int], events: int) -> float:
    """Look every second until the worker and the exporter are through; return the seconds since the first payment."""
    begun = None
    deadline = time.monotonic() + START_SECONDS + events / LEAST_RATE
    while True:
        scraped = dict(zip(ports, await asyncio.gather(*map(_scrape, ports.values())), strict=True))
        done = {name: int(scraped.get(name, scraped["producer"]).total(COUNTED_BY[name])) for name in watched}
        if begun is None and done["worker"]:
            begun = time.monotonic()
            for one in watched.values():
                one.meter.start()
        if begun is not None:
            for name, one in watched.items():
                one.look(done[name])
            if min(done.values()) >= events:
                return time.monotonic() - begun
        for child in children.values():
            if child.exit_code is not None:
                found = f"{child.name} ended with exit code {child.exit_code}"
                raise UnreachableError("bench", found, child.log_end())
        if time.monotonic() > deadline:
            logs = "\n".join(child.log_end() for child in children.values())
            raise UnreachableError("bench", f"{min(done.values()):,} of {events:,} events in time", logs)
        await asyncio.sleep(LOOK_SECONDS)


async def _scrape(port: int) -> Any:
    return await scrape(f"http://127.0.0.1:{port}/metrics")


def _row(name: str, one: Watched, events: int, seconds: float) -> Row:
    return row(
        f"memory {name}",
        events=one.events[-1],
        seconds=seconds,
        cpu_seconds=one.meter.cpu_seconds,
        peak_memory_mb={name: one.meter.peak_memory_mb},
        memory_mb={f"{round(events * mark)}": round(one.at(events * mark), 1) for mark in MARKS},
        bytes_per_event=one.bytes_per_event(events * WARM),
    )
