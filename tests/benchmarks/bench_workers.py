"""Whether two workers are twice one: the same number of payments on a broker for one worker, then for two.

Workers are processes of their own, read through their /metrics. A rate is taken while every one of them is at work:
from the first look at which all have their partitions to the last at which all have folded something since the one
before. So neither a rebalance counts nor the end, when one is through before the other.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import uvloop

from schemas.errors import UnreachableError
from services.broker import free_port
from services.scrape import scrape
from services.supervisor import Child
from services.verify import verify
from tests.benchmarks.bench_publish import FullSpeed, produce
from tests.benchmarks.measuring import Broker, Meter, Row, broker_of, row

TARGET_TIMES = 1.6
LOOK_SECONDS = 0.25
LIMIT_SECONDS = 300.0
EXACT_SECONDS = 20.0


@dataclass(frozen=True)
class _Look:
    """All workers at one moment."""

    at: float
    processed: tuple[int, ...]
    """By worker: records in the state of its partitions, -1 if it has none yet."""
    cpu_seconds: float


def run(events: int = 4_000_000, broker: str | None = None) -> Iterator[Row]:
    """Let one worker fold so many payments, then two as many."""
    with broker_of(broker, without_payments=True) as one, tempfile.TemporaryDirectory(prefix="quetma-bench-") as folder:
        single = uvloop.run(_measure(one, 1, events, Path(folder)))
        yield single
        pair = uvloop.run(_measure(one, 2, events, Path(folder)))
        times = round(pair["events_per_second"] / single["events_per_second"], 2)
        yield pair | {"times_one": times, "target_times": TARGET_TIMES}


async def _measure(broker: Broker, workers: int, events: int, folder: Path) -> Row:
    produced = await produce(broker.settings, FullSpeed(events=events))
    ports = [free_port() for _ in range(workers)]
    async with AsyncExitStack() as stack:
        children = []
        for number, port in enumerate(ports, 1):
            environment = {**broker.environment, "QUETMA_STREAM__METRICS_PORT": str(port)}
            child = Child(f"stream-{number}", ["stream", "--quiet"], environment, folder)
            stack.push_async_callback(_end, child)
            children.append(child)
        meters = [Meter(child.pid) for child in children]
        first, last = await _watch(children, meters, ports)
        verdict = await verify(broker.servers, produced.run, wait_seconds=EXACT_SECONDS)
    return row(
        f"{workers} worker{'s' * (workers > 1)}",
        events=sum(last.processed) - sum(first.processed),
        seconds=last.at - first.at,
        cpu_seconds=last.cpu_seconds - first.cpu_seconds,
        peak_memory_mb={child.name: meter.peak_memory_mb for child, meter in zip(children, meters, strict=True)},
        exact=verdict.exact,
    )


async def _watch(children: list[Child], meters: list[Meter], ports: list[int]) -> tuple[_Look, _Look]:
    """Return the first and the last look at which all were at work."""
    deadline = time.monotonic() + LIMIT_SECONDS
    looks: list[_Look] = []
    while True:
        look = await _look(meters, ports)
        moved = bool(looks) and all(
            now > before for now, before in zip(look.processed, looks[-1].processed, strict=True)
        )
        if min(look.processed) >= 0 and (moved or not looks):
            looks.append(look)
        elif len(looks) > 2 / LOOK_SECONDS:  # some are through
            return looks[1], looks[-1]
        else:
            looks.clear()  # partitions are still dealt out
        for child in children:
            if child.exit_code is not None or time.monotonic() > deadline:
                raise UnreachableError("bench", "the workers did not get to work", child.log_end())
        await asyncio.sleep(LOOK_SECONDS)


async def _look(meters: list[Meter], ports: list[int]) -> _Look:
    processed = []
    for port in ports:
        samples = await scrape(f"http://127.0.0.1:{port}/metrics")
        has = samples.total("quetma_recovery_seconds") > 0 and samples.series("quetma_processed_records_total")
        processed.append(int(samples.total("quetma_processed_records_total")) if has else -1)
    for meter in meters:
        meter.read()
    return _Look(time.perf_counter(), tuple(processed), sum(meter.cpu_seconds for meter in meters))


async def _end(child: Child) -> None:
    child.ask_to_stop()
    await child.stopped()
