"""How long a worker is away that is started again: a province's state on a broker in, seconds out.

A producer goes on meanwhile. A worker is back at work when it has every partition and has folded a payment that it
had not folded before; measured from the start of its process, Python's own start included.
"""

from __future__ import annotations

import asyncio
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import uvloop
from aiokafka import TopicPartition

from schemas.errors import UnreachableError
from schemas.topics import STATE_CHANGELOG
from services.broker import free_port
from services.scrape import scrape
from services.supervisor import Child
from streams.offsets import read_to_end
from tests.benchmarks.bench_publish import FullSpeed, produce
from tests.benchmarks.measuring import SCENARIO, Broker, Meter, Row, broker_of, row

TARGET_SECONDS = 5.0
RATE = "2000"
"""Payments a second that go on meanwhile."""
LOOK_SECONDS = 0.05
LIMIT_SECONDS = 120.0
WAYS = (
    ("stopped", signal.SIGTERM, {}),
    ("killed", signal.SIGKILL, {}),
    ("killed, with a name", signal.SIGKILL, {"QUETMA_STREAM__INSTANCE": "bench"}),
)


def run(events: int = 2_000_000, broker: str | None = None) -> Iterator[Row]:
    """Let a worker fold so many payments, then end it and start it again, in each way; yield a row for each."""
    with broker_of(broker, without_payments=True) as one, tempfile.TemporaryDirectory(prefix="quetma-bench-") as folder:
        yield from uvloop.run(_measure(one, events, Path(folder)))


async def _measure(broker: Broker, events: int, folder: Path) -> list[Row]:
    produced = await produce(broker.settings, FullSpeed(events=events))
    ports = {"stream": free_port(), "produce": free_port()}
    environment = {
        **broker.environment,
        "QUETMA_STREAM__METRICS_PORT": str(ports["stream"]),
        "QUETMA_PRODUCER__METRICS_PORT": str(ports["produce"]),
    }
    url = f"http://127.0.0.1:{ports['stream']}/metrics"
    rows, before = list[Row](), produced.acked
    async with AsyncExitStack() as stack:
        words = ["produce", SCENARIO, "--rate", RATE, "--run", f"bench-{time.time_ns()}", "--quiet"]
        producer = Child("produce", words, environment, folder)
        stack.push_async_callback(_end, producer)
        for name, ending, more in WAYS:
            worker = Child("stream", ["stream", "--quiet"], {**environment, **more}, folder)
            stack.push_async_callback(_end, worker)
            before = await _at_work(worker, url, before)
            before = max(before, int(await _seen(url, "quetma_processed_records_total")))
            worker.send(ending)
            await worker.stopped()
            begun = time.perf_counter()
            worker.restart()
            before = await _at_work(worker, url, before)
            seconds = time.perf_counter() - begun
            meter = Meter(worker.pid)
            told = await _state(broker) | {"own_recovery_seconds": await _seen(url, "quetma_recovery_seconds")}
            rows.append(_row(name, before, seconds, meter, told))
            await _end(worker)
    return rows


async def _at_work(worker: Child, url: str, before: int) -> int:
    """Wait until a worker has all partitions, and more payments than before; return how many."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while True:
        processed = int(await _seen(url, "quetma_processed_records_total"))
        if processed > before:
            return processed
        if worker.exit_code is not None or time.monotonic() > deadline:
            raise UnreachableError("bench", "the worker did not come back to work", worker.log_end())
        await asyncio.sleep(LOOK_SECONDS)


async def _seen(url: str, metric: str) -> float:
    return round((await scrape(url)).total(metric), 3)


async def _end(child: Child) -> None:
    child.ask_to_stop()
    await child.stopped()


async def _state(broker: Broker) -> dict[str, Any]:
    """Return how much there is to read again."""
    records = size = 0

    def learn(_offset: int, key: bytes, value: bytes | None) -> None:
        nonlocal records, size
        records, size = records + 1, size + len(key) + len(value or b"")

    for number in range(broker.settings.kafka.partitions):
        await read_to_end(broker.servers, TopicPartition(STATE_CHANGELOG, number), 0, learn)
    return {"changelog_records": records, "changelog_bytes": size}


def _row(name: str, events: int, seconds: float, worker: Meter, more: dict[str, Any]) -> Row:
    return row(
        f"recovery {name}",
        events=events,
        seconds=seconds,
        cpu_seconds=worker.cpu_seconds,
        peak_memory_mb={"worker": worker.peak_memory_mb},
        target_seconds=TARGET_SECONDS,
        **more,
    )
