"""How fast payments reach the broker: seconds in, the rate of ready records and of a whole production out.

The broker is a process of its own; its CPU time and memory are told apart from the publisher's.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from typing import Any

import uvloop
from prometheus_client import CollectorRegistry

from producers.blocks import PaymentBlock
from producers.encoding import PaymentEncoder
from producers.engine import ProvinceSimulation
from producers.plan import Plan
from producers.publisher import Publisher
from producers.session import Produced, Production
from producers.simulation.columns import IntArray
from producers.simulation.transmission import transmit
from schemas.metrics import Metrics
from schemas.settings import Settings, load_settings
from services.version import VERSION
from tests.benchmarks.measuring import Meter, Row, Stopwatch, broker_of, in_own_process, world_of

READY_BLOCKS = 4
"""Blocks encoded before the clock starts, and sent over and over."""
TARGET = 400_000


def run(seconds: float = 10.0, broker: str | None = None) -> Iterator[Row]:
    """Publish for about `seconds`, twice, each time to a fresh broker unless one is named."""
    for measure in (ready, simulated):
        with broker_of(broker) as one:
            yield in_own_process(measure, seconds=seconds, servers=one.servers, broker_pid=one.pid)


def ready(seconds: float, servers: str, broker_pid: int | None = None) -> Row:
    """Send blocks that were encoded before, until all is acknowledged."""
    return uvloop.run(_ready(seconds, load_settings(bootstrap_servers=servers), broker_pid))


async def _ready(seconds: float, settings: Settings, broker_pid: int | None) -> Row:
    blocks = _blocks(settings)
    metrics = Metrics("producer", CollectorRegistry(), VERSION)
    acked = 0

    def count(rows: IntArray) -> None:
        nonlocal acked
        acked += len(rows)

    broker = Meter(broker_pid) if broker_pid else None
    async with Publisher(settings.kafka, settings.producer, metrics) as publisher:
        if broker:
            broker.start()
        watch = Stopwatch()
        for block in cycle(blocks):
            await publisher.send(block.records, 0, len(block), count, probes=True)
            if watch.seconds >= seconds:
                break
        await publisher.flush()
        return watch.row("publish ready", "publisher", acked, target_events_per_second=TARGET, **_broker(broker))


def _blocks(settings: Settings) -> list[PaymentBlock]:
    world = world_of()
    encoder = PaymentEncoder(world, "bench-ready", settings.kafka.partitions)
    size = settings.producer.block_events
    faults = world.scenario.stream_faults
    sent = (
        (day, transmit(day.day, day.payments, day.sequence, world, faults)[0])
        for day in ProvinceSimulation(world, codes=False).days()
    )
    blocks = (block for day, sending in sent for block in encoder.blocks(day, sending, size))
    return list(islice(blocks, READY_BLOCKS))


def simulated(seconds: float, servers: str, broker_pid: int | None = None) -> Row:
    """Generate, encode and publish as `quetma produce --speed max` does, from the first payment on.

    The ledger and the codes that come into use on the way are included; what the run announces, and the codes that
    are there on its first day, are not.
    """
    broker = Meter(broker_pid) if broker_pid else None
    pace = FullSpeed(seconds=seconds, begun=broker.start if broker else None)
    produced = uvloop.run(produce(load_settings(bootstrap_servers=servers), pace))
    assert pace.watch is not None
    more = _broker(broker)
    return pace.watch.row("publish simulated", "producer", produced.acked, target_events_per_second=TARGET, **more)


class FullSpeed:
    """A pace without pauses, for a number of payments or of seconds from the first payment on.

    Implements `producers.pacing.Pace`. It sets `stop` when the time has come: a production's own, see `produce`.
    """

    speed = math.inf

    def __init__(
        self, *, events: int | None = None, seconds: float | None = None, begun: Callable[[], None] | None = None
    ) -> None:
        self._left, self._seconds, self._begun = events, seconds, begun
        self.watch: Stopwatch | None = None
        self.stop = asyncio.Event()

    def due(self, block: PaymentBlock, elapsed_seconds: float) -> int:
        """All rows, or as many as are left."""
        if self.watch is None:
            self.watch = Stopwatch()
            if self._begun is not None:
                self._begun()
        if self._left is None or self._left >= len(block):
            return len(block)
        self.stop.set()
        return self._left

    def passed(self, block: PaymentBlock) -> None:
        """Count the block."""
        if self._left is not None:
            self._left -= len(block)
        if self._seconds is not None and self.watch is not None and self.watch.seconds >= self._seconds:
            self.stop.set()

    def resume(self, at: int) -> None:
        """Nothing to note: each run has a name of its own."""

    def lag_seconds(self, block: PaymentBlock, sent: int, elapsed_seconds: float) -> float:
        """Never behind."""
        return 0.0


async def produce(settings: Settings, pace: FullSpeed) -> Produced:
    """Run a production, of a run that no other has the name of, until its pace stops it."""
    plan = Plan(world_of(), f"bench-{time.time_ns()}")
    metrics = Metrics("producer", CollectorRegistry(), VERSION)
    production = Production(plan, pace, settings, metrics, version=VERSION, partitions=settings.kafka.partitions)
    pace.stop = production.stop
    return await production.run()


def _broker(meter: Meter | None) -> dict[str, Any]:
    if meter is None:
        return {}
    meter.read()
    return {
        "broker_cpu_seconds": round(meter.cpu_seconds, 3),
        "peak_memory_mb": {"broker": meter.peak_memory_mb},
    }
