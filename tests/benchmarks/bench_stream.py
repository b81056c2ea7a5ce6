"""How fast one stream worker is: payments on a broker in, the rate of a real worker and of its pure fold out.

The worker is a process of its own, read through its /metrics and the kernel, with everything on: checks,
duplicates, windows, adoption, changelog, commits. Whether its aggregates are exact is part of the row.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import uvloop
from aiokafka import TopicPartition

from producers.encoding import PaymentEncoder, cell_records
from producers.engine import ProvinceSimulation
from producers.simulation.transmission import transmit
from schemas.errors import UnreachableError
from schemas.events import Cell
from schemas.settings import Settings
from schemas.topics import ADOPTION_COMMUNE, ADOPTION_MARKET, STATE_CHANGELOG
from services.broker import free_port
from services.scrape import Samples, scrape
from services.supervisor import Child
from services.verify import verify
from streams.fold import PartitionFold, PartitionState, Record
from streams.offsets import end_offsets
from tests.benchmarks.bench_publish import FullSpeed, produce
from tests.benchmarks.measuring import Broker, Meter, Row, Stopwatch, broker_of, in_own_process, row, world_of

TARGET = 300_000
LOOK_SECONDS = 0.5
STARTING_LOOK_SECONDS = 0.02
START_SECONDS = 60.0
LEAST_RATE = 2_000
"""Events a second below which the benchmark gives up."""
EXACT_SECONDS = 20.0
"""How long the aggregates may stand still before they count as final."""
FOLD_RECORDS = 200_000


def run(events: int = 3_000_000, seconds: float = 5.0, broker: str | None = None) -> Iterator[Row]:
    """Put `events` payments on a broker, let one worker fold them; then the yardstick, and the fold alone.

    These two run for about `seconds` each, the fold over no more payments than those.
    """
    with broker_of(broker, without_payments=True) as one, tempfile.TemporaryDirectory(prefix="quetma-bench-") as folder:
        ours = uvloop.run(_worker(one, events, Path(folder)))
        stock = stock_agent(one, seconds)
    yield ours | {"times_stock": round(ours["events_per_second"] / stock["events_per_second"], 1)}
    yield stock
    yield in_own_process(fold, seconds=seconds, records=min(FOLD_RECORDS, events))


def stock_agent(broker: Broker, seconds: float) -> Row:
    """Let `tests.benchmarks.stock_worker` process payments that are on a broker."""
    command = [sys.executable, "-m", "tests.benchmarks.stock_worker", broker.servers, str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + START_SECONDS, check=False)
    if done.returncode:
        raise UnreachableError("bench", f"the stock agent ended with exit code {done.returncode}", done.stderr[-2000:])
    return row("stock agent", **json.loads(done.stdout[done.stdout.index("{") :]))


@dataclass(frozen=True)
class _Look:
    """A worker at one moment."""

    at: float
    samples: Samples
    cpu_seconds: float
    broker_cpu_seconds: float

    @property
    def processed(self) -> int:
        return int(self.samples.total("quetma_processed_records_total"))

    @property
    def recovered(self) -> bool:
        return self.samples.total("quetma_recovery_seconds") > 0


async def _worker(broker: Broker, events: int, folder: Path) -> Row:
    """Measure from the last look at which nothing was processed to the first at which all is."""
    produced = await produce(broker.settings, FullSpeed(events=events))
    port = free_port()
    environment = {**broker.environment, "QUETMA_STREAM__METRICS_PORT": str(port)}
    child = Child("stream", ["stream", "--quiet"], environment, folder)
    try:
        worker, own = Meter(child.pid), Meter(broker.pid) if broker.pid else None
        first, last = await _watch(child, worker, own, f"http://127.0.0.1:{port}/metrics", produced.acked)
        verdict = await verify(broker.servers, produced.run, wait_seconds=EXACT_SECONDS)
    finally:
        child.ask_to_stop()
        await child.stopped()
    folded, chunks, records = (
        last.samples.total(f"quetma_chunk_{name}") - first.samples.total(f"quetma_chunk_{name}")
        for name in ("seconds_sum", "seconds_count", "records_sum")
    )
    peaks = {"worker": worker.peak_memory_mb, **({"broker": own.peak_memory_mb} if own else {})}
    return row(
        "stream",
        events=last.processed - first.processed,
        seconds=last.at - first.at,
        cpu_seconds=last.cpu_seconds - first.cpu_seconds,
        peak_memory_mb=peaks,
        target_events_per_second=TARGET,
        exact=verdict.exact,
        fold_share=round(folded / (last.at - first.at), 3),
        records_per_chunk=round(records / max(chunks, 1)),
        broker_cpu_seconds=round(last.broker_cpu_seconds - first.broker_cpu_seconds, 3),
        **await _written(broker),
    )


async def _watch(child: Child, worker: Meter, broker: Meter | None, url: str, events: int) -> tuple[_Look, _Look]:
    """Return how the worker was when it began and when it was through."""

    async def look() -> _Look:
        samples = await scrape(url)
        if child.exit_code is not None:
            raise UnreachableError("bench", f"the worker ended with exit code {child.exit_code}", child.log_end())
        if time.monotonic() > deadline:
            raise UnreachableError("bench", "the worker did not get through in time", child.log_end())
        for meter in (worker, broker):
            if meter is not None:
                meter.read()
        return _Look(time.perf_counter(), samples, worker.cpu_seconds, broker.cpu_seconds if broker else 0.0)

    deadline = time.monotonic() + START_SECONDS
    before = begin = await look()
    while not begin.recovered:
        await asyncio.sleep(STARTING_LOOK_SECONDS)
        before, begin = begin, await look()
    # One that was at work already when it was first seen ready is measured from the look before.
    first = before if begin.processed else begin
    deadline = time.monotonic() + START_SECONDS + events / LEAST_RATE
    last = begin
    while last.processed < events:
        await asyncio.sleep(LOOK_SECONDS)
        last = await look()
    return first, last


async def _written(broker: Broker) -> dict[str, int]:
    """Return how many records the worker wrote: adoption and state."""
    partitions = range(broker.settings.kafka.partitions)
    topics = {"adoption_records": (ADOPTION_MARKET, ADOPTION_COMMUNE), "state_records": (STATE_CHANGELOG,)}
    places = {name: [TopicPartition(one, p) for one in of for p in partitions] for name, of in topics.items()}
    return {name: sum((await end_offsets(broker.servers, of)).values()) for name, of in places.items()}


@dataclass(frozen=True, slots=True)
class _Record:
    """What the fold reads of a Kafka record."""

    offset: int
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass
class _Announced:
    """All cells of a run. Implements `streams.fold.Registry`."""

    cells: dict[tuple[str, str], Cell] = field(default_factory=dict)

    def get(self, run: str, cell: str) -> Cell | None:
        return self.cells.get((run, cell))


def fold(seconds: float, records: int = FOLD_RECORDS) -> Row:
    """Fold one partition's records in chunks, without Kafka, Faust and writing: the most that a worker could do."""
    settings = Settings()
    size, lateness = settings.stream.fetch_records, settings.stream.allowed_lateness_seconds * 1000
    registry, listed = _partition_of_records(settings, records)
    chunks = [listed[low : low + size] for low in range(0, len(listed), size)]
    events = 0
    watch = Stopwatch()
    while watch.seconds < seconds:
        one = PartitionFold(PartitionState(partition=0), [], lateness)
        for chunk in chunks:
            events += one.apply(chunk, registry, registry_is_fresh=True).consumed
            if watch.seconds >= seconds:
                break
    return watch.row("fold", "fold", events, records_per_chunk=min(size, len(listed)))


def _partition_of_records(settings: Settings, count: int) -> tuple[_Announced, list[Record]]:
    world = world_of()
    announced = _Announced({(cell.run, cell.cell): cell for cell in cell_records(world, "bench")})
    encoder = PaymentEncoder(world, "bench", settings.kafka.partitions)
    days, faults = ProvinceSimulation(world).days(), world.scenario.stream_faults
    sent = ((day, transmit(day.day, day.payments, day.sequence, world, faults)[0]) for day in days)
    values = (
        block.records.value[int(place)].encode()
        for day, sending in sent
        for block in encoder.blocks(day, sending, settings.producer.block_events)
        for place in block.records.rows_by_partition.get(0, ())
    )
    listed: list[Any] = [_Record(offset, value) for offset, value in enumerate(islice(values, count))]
    return announced, listed
