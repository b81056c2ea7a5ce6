"""One production: a scenario, paced, into Kafka, counted in the ledger.

In: a world, a pace, a publisher. Out: records on the topics, and a `Produced` summary.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from producers.ahead import Ahead
from producers.blocks import PaymentBlock, RecordBlock
from producers.encoding import PaymentEncoder, cell_records
from producers.engine import ProvinceSimulation
from producers.lag import StreamLag
from producers.ledger import Ledger
from producers.pacing import Pace
from producers.publisher import Publisher
from producers.qr_codes import CodeEncoder
from producers.simulation.calendar import Day
from producers.simulation.columns import IntArray
from producers.simulation.transmission import DUPLICATE, LATE, MALFORMED, OUT_OF_ORDER, transmit
from producers.simulation.world import World
from schemas.events import SCHEMA_VERSION, RunStarted, encode
from schemas.metrics import Metrics
from schemas.scenario.hashing import scenario_hash
from schemas.settings import Settings
from schemas.topics import CELLS, LEDGER

LEDGER_SECONDS = 2.0
"""Time between two writings of the ledger."""
LAG_CHECK_SECONDS = 0.2


@dataclass(frozen=True)
class Produced:
    """What a production did."""

    run: str
    scenario: str
    seed: int
    produced: int
    """Payments handed to the client."""
    acked: int
    """Payments that the broker acknowledged, all in the ledger."""
    seconds: float
    held_back_seconds: float
    end_offsets: dict[tuple[str, int], int]
    """Offset behind the last acknowledged record of each (topic, partition)."""


@dataclass(frozen=True)
class Plan:
    """What to produce."""

    world: World
    run: str
    days: int | None = None
    """Simulated days; without end if None."""
    seconds: float | None = None
    """Wall time; without end if None."""


class Production:
    """Runs a plan until its end or until `stop` is set. One use only."""

    def __init__(
        self, plan: Plan, pace: Pace, settings: Settings, metrics: Metrics, *, version: str, partitions: int
    ) -> None:
        self._plan = plan
        self._pace = pace
        self._settings = settings
        self._metrics = metrics
        self._version = version
        self._payments = PaymentEncoder(plan.world, plan.run, partitions, cloud_events=settings.producer.headers)
        self._codes = CodeEncoder(plan.world, plan.run, partitions)
        self._ledger = Ledger(plan.world, plan.run)
        self._produced = self._acked = 0
        self._held = 0.0
        self._lag_checked = 0.0
        self.stop = asyncio.Event()

    async def run(self) -> Produced:
        """Produce; returns when everything sent is acknowledged and in the ledger."""
        begun = time.monotonic()
        gc.freeze()  # the world stays: looking at it again and again for garbage took a tenth of the loop's time
        async with AsyncExitStack() as stack:
            publisher = await stack.enter_async_context(
                Publisher(self._settings.kafka, self._settings.producer, self._metrics)
            )
            await self._announce(publisher)
            lag = await self._lag(stack)
            produced = asyncio.Event()
            keeper = asyncio.create_task(self._keep_ledger(publisher, produced))
            try:
                await self._produce(publisher, lag)
                await publisher.flush()
            finally:
                produced.set()
                await keeper
            await self._write_ledger(publisher)
            await publisher.flush()
        plan = self._plan
        return Produced(
            run=plan.run,
            scenario=plan.world.scenario.name,
            seed=plan.world.seed,
            produced=self._produced,
            acked=self._acked,
            seconds=time.monotonic() - begun,
            held_back_seconds=self._held,
            end_offsets=dict(publisher.end_offsets),
        )

    async def _lag(self, stack: AsyncExitStack) -> StreamLag | None:
        if self._settings.producer.max_lag is None:
            return None
        servers = self._settings.kafka.bootstrap_servers
        assert servers is not None
        return await stack.enter_async_context(StreamLag(servers))

    async def _announce(self, publisher: Publisher) -> None:
        """Tell of the run and its cells, and wait: no payment may come before its cell."""
        world = self._plan.world
        now = time.time_ns() // 1_000_000
        started = RunStarted(
            schema_version=SCHEMA_VERSION,
            run=self._plan.run,
            scenario=world.scenario.name,
            province=world.scenario.province.id,
            seed=world.seed,
            started_at=now,
            version=self._version,
            scenario_hash=scenario_hash(world.scenario),
        )
        cells = [(f"{cell.run}|{cell.cell}", encode(cell)) for cell in cell_records(world, self._plan.run)]
        await self._send(publisher, _block(CELLS, cells, now))
        await self._send(publisher, _block(LEDGER, [(self._plan.run, encode(started))], now))
        await publisher.flush()

    async def _produce(self, publisher: Publisher, lag: StreamLag | None) -> None:
        work = self._work()
        begun: float | None = None
        with ThreadPoolExecutor(1, thread_name_prefix="simulate") as pool:
            ahead = Ahead(pool, work)
            while (blocks := await ahead.following()) is not None:
                before, block = blocks
                for more in before:
                    await self._send(publisher, more)
                if begun is None:  # the clock starts when there is something to pay, its codes known
                    await publisher.flush()
                    begun = time.monotonic()
                await self._send_paced(publisher, block, lag, begun)
                if self._ended(begun):
                    break
            await ahead.end()

    def _work(self) -> Iterator[tuple[list[RecordBlock], PaymentBlock]]:
        """Yield encoded blocks, with the codes and the truth that go before them. Runs in a thread of its own."""
        world, before = self._plan.world, list[RecordBlock]()
        for day in ProvinceSimulation(world).days(self._plan.days):
            sending, payments = transmit(day.day, day.payments, day.sequence, world, world.scenario.stream_faults)
            labelled = replace(day, payments=payments)
            before += [*(self._codes.block(issued) for issued in day.codes), self._payments.truth(labelled)]
            for block in self._payments.blocks(labelled, sending, self._settings.producer.block_events):
                yield before, block
                before = []

    async def _send_paced(self, publisher: Publisher, block: PaymentBlock, lag: StreamLag | None, begun: float) -> None:
        sent = 0
        while sent < len(block) and not self._ended(begun):
            await self._hold_back(publisher, lag)
            elapsed = time.monotonic() - begun - self._held
            due = self._pace.due(block, elapsed)
            if due > sent:
                await publisher.send(block.records, sent, due, self._counting(block), probes=True)
                payments = int(block.is_payment[sent:due].sum())
                self._metrics.counter("quetma_produced_payments").inc(payments)
                self._produced += payments
                sent = due
                reached = block.sent_at[sent - 1] / 1000
                self._metrics.gauge("quetma_produced_time_seconds").set(reached)
            if sent < len(block):
                behind = self._pace.lag_seconds(block, sent, elapsed)
                self._metrics.gauge("quetma_pacing_lag_seconds").set(behind)
                await asyncio.sleep(self._settings.producer.tick_seconds)
        if sent == len(block):
            self._pace.passed(block)

    def _ended(self, begun: float) -> bool:
        limit = self._plan.seconds
        return self.stop.is_set() or (limit is not None and time.monotonic() - begun >= limit)

    async def _hold_back(self, publisher: Publisher, lag: StreamLag | None) -> None:
        now = time.monotonic()
        if lag is None or now - self._lag_checked < LAG_CHECK_SECONDS:
            return
        limit = self._settings.producer.max_lag
        assert limit is not None
        await lag.wait_below(limit, publisher.end_offsets, self.stop)
        self._lag_checked = time.monotonic()
        waited = self._lag_checked - now
        self._held += waited
        self._metrics.counter("quetma_held_back_seconds").inc(waited)

    def _counting(self, block: PaymentBlock) -> Callable[[IntArray], None]:
        def count(rows: IntArray) -> None:
            payments = rows[block.is_payment[rows]]
            self._ledger.count(block, payments)
            faults = np.bincount(block.fault[rows], minlength=MALFORMED + 1).tolist()
            self._ledger.count_faults(
                duplicates=faults[DUPLICATE],
                malformed=faults[MALFORMED],
                late=faults[LATE],
                out_of_order=faults[OUT_OF_ORDER],
            )
            self._acked += len(payments)
            self._metrics.counter("quetma_acked_payments").inc(len(payments))

        return count

    async def _keep_ledger(self, publisher: Publisher, produced: asyncio.Event) -> None:
        while not produced.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(produced.wait(), LEDGER_SECONDS)
            await self._write_ledger(publisher)

    async def _write_ledger(self, publisher: Publisher) -> None:
        entries = list(self._ledger.changed_entries())
        if (faults := self._ledger.changed_faults()) is not None:
            entries.append((f"{faults.run}|faults|{faults.shard}", encode(faults)))
        if entries:
            await self._send(publisher, _block(LEDGER, entries, time.time_ns() // 1_000_000))

    async def _send(self, publisher: Publisher, block: RecordBlock) -> None:
        await publisher.send(block, 0, len(block), _ignore)


def _block(topic: str, records: Sequence[tuple[str, bytes]], at: int) -> RecordBlock:
    """Return a block of records, given as key and value, for a topic of one partition."""
    return RecordBlock(
        topic=topic,
        partition=np.zeros(len(records), dtype=np.int64),
        key=pl.Series([key for key, _ in records], dtype=pl.String),
        value=pl.Series([value for _, value in records], dtype=pl.Binary).cast(pl.String),
        timestamp=np.full(len(records), at),
    )


def _ignore(_rows: IntArray) -> None:
    """Nothing is counted of announcements, codes and the ledger itself."""


def default_run(world: World) -> str:
    """Return the name of a run where none is given: the same scenario and seed give the same payments and ids."""
    return f"{world.scenario.name}-s{world.seed}"


def first_midnight_at(world: World) -> int:
    """Return the beginning of simulated time, UTC epoch milliseconds."""
    return Day.of(world.scenario.start).midnight_at
