"""One production: a scenario, paced, into Kafka, counted in the ledger.

In: a plan, a pace, a broker. Out: records on the topics, and a `Produced` summary.
A run that was begun by a process before is gone on with: see `producers.checkpoints`.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass

import numpy as np
import polars as pl

from producers.ahead import Ahead
from producers.blocks import PaymentBlock, RecordBlock
from producers.checkpoints import Beginning, beginning_of
from producers.encoding import cell_records
from producers.lag import StreamLag
from producers.ledger import Ledger
from producers.outbox import CaughtUp, OnTopic, Opening, Outbox
from producers.pacing import Pace
from producers.plan import Plan
from producers.progress import FAULTS, Progress
from producers.publisher import Publisher
from producers.simulation.calendar import UTC_OFFSET_MS, Day
from producers.simulation.columns import IntArray
from producers.simulation.transmission import MALFORMED
from producers.simulation.world import World
from schemas.errors import UnreachableError
from schemas.events import SCHEMA_VERSION, Checkpoint, RunStarted, encode
from schemas.metrics import Metrics
from schemas.scenario.hashing import scenario_hash
from schemas.settings import Settings
from schemas.topics import CELLS, LEDGER, PAYMENTS

LEDGER_SECONDS = 2.0
"""Time between two writings of the ledger."""
LAG_CHECK_SECONDS = 0.2


@dataclass(frozen=True)
class Produced:
    """What there is of a run, or of its shard, at the end of a production."""

    run: str
    scenario: str
    seed: int
    produced: int
    """Payments handed to the client."""
    acked: int
    """Payments that the broker acknowledged, all in the ledger."""
    seconds: float
    held_back_seconds: float
    behind: int
    """Payments among them that were on the topic before: this production sent the others."""
    end_offsets: dict[tuple[str, int], int]
    """Offset behind the last acknowledged record of each (topic, partition)."""


class Production:
    """Runs a plan until its end or until `stop` is set. One use only."""

    def __init__(
        self,
        plan: Plan,
        pace: Pace,
        settings: Settings,
        metrics: Metrics,
        *,
        version: str,
        partitions: int,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        """Prepare.

        Args:
            plan: what to produce.
            pace: when.
            settings: of the broker, and of how to send.
            metrics: of this process.
            version: Quetma's.
            partitions: of the payments topic.
            tell: is told where a run is gone on with.
        """
        self._plan = plan
        self._pace = pace
        self._settings = settings
        self._metrics = metrics
        self._version = version
        self._partitions = partitions
        self._tell = tell or _ignore
        producer = settings.producer
        self._outbox = Outbox(plan, partitions, producer.block_events, cloud_events=producer.headers)
        self._ledger = Ledger(plan.world, plan.run)
        self._progress: Progress
        self._caught_up = False
        self._produced = self._acked = self._behind = 0
        self._held = 0.0
        self._lag_checked = 0.0
        self.stop = asyncio.Event()

    async def run(self) -> Produced:
        """Produce; returns when everything sent is acknowledged and in the ledger.

        Raises:
            BadInputError: if the broker has another run of this name.
            UnreachableError: if the broker does not answer, or refuses a batch.
        """
        begun = time.monotonic()
        gc.freeze()  # the world stays: looking at it again and again for garbage took a tenth of the loop's time
        beginning = await self._begin()
        async with AsyncExitStack() as stack:
            publisher = await stack.enter_async_context(
                Publisher(self._settings.kafka, self._settings.producer, self._metrics)
            )
            await self._announce(publisher, beginning)
            lag = await self._lag(stack)
            produced = asyncio.Event()
            keeper = asyncio.create_task(self._keep_ledger(publisher, produced))
            try:
                await self._produce(publisher, lag, beginning)
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
            produced=self._behind + self._produced,
            acked=self._behind + self._acked,
            seconds=time.monotonic() - begun,
            held_back_seconds=self._held,
            behind=self._behind,
            end_offsets=dict(publisher.end_offsets),
        )

    async def _begin(self) -> Beginning:
        servers = self._settings.kafka.bootstrap_servers
        if not servers:
            raise UnreachableError("produce", "no broker is set", "set --broker HOST:PORT")
        beginning = await beginning_of(self._plan, self._started(), servers, self._partitions)
        checkpoint = beginning.checkpoint
        self._progress = Progress(checkpoint)
        self._ledger.count_faults(**{name: getattr(checkpoint, name) for name in FAULTS})
        self._behind = sum(checkpoint.payments)
        return beginning

    def _started(self) -> RunStarted:
        world = self._plan.world
        return RunStarted(
            schema_version=SCHEMA_VERSION,
            run=self._plan.run,
            scenario=world.scenario.name,
            province=world.scenario.province.id,
            seed=world.seed,
            started_at=_now(),
            version=self._version,
            scenario_hash=scenario_hash(world.scenario),
        )

    async def _lag(self, stack: AsyncExitStack) -> StreamLag | None:
        if self._settings.producer.max_lag is None:
            return None
        servers = self._settings.kafka.bootstrap_servers
        assert servers is not None
        return await stack.enter_async_context(StreamLag(servers))

    async def _announce(self, publisher: Publisher, beginning: Beginning) -> None:
        """Tell of the run and its cells, and wait: no payment may come before its cell, nor before the checkpoint."""
        run, now = self._plan.run, _now()
        cells = [(f"{cell.run}|{cell.cell}", encode(cell)) for cell in cell_records(self._plan.world, run)]
        begins = [] if beginning.resumes else [_keyed(beginning.checkpoint)]
        await self._send(publisher, _block(CELLS, cells, now))
        await self._send(publisher, _block(LEDGER, [(run, encode(self._started())), *begins], now))
        await publisher.flush()

    async def _produce(self, publisher: Publisher, lag: StreamLag | None, beginning: Beginning) -> None:
        begun: float | None = None
        with ThreadPoolExecutor(1, thread_name_prefix="simulate") as pool:
            ahead = Ahead(pool, self._outbox.items(beginning))
            while (item := await ahead.following()) is not None:
                match item:
                    case Opening():
                        await self._open(publisher, item)
                    case OnTopic(block):
                        self._find(block)
                    case CaughtUp():
                        self._caught_up = True
                    case PaymentBlock():
                        if begun is None:  # the clock starts when there is something to pay, its codes known
                            await publisher.flush()
                            begun = time.monotonic()
                            self._go_on(item, beginning)
                        await self._send_paced(publisher, item, lag, begun)
                        if self._ended(begun):
                            break
            await ahead.end()
        if begun is None and beginning.resumes:
            self._tell(f"run {self._plan.run} is complete: {self._behind:,} payments are there, nothing is sent")

    async def _open(self, publisher: Publisher, opening: Opening) -> None:
        """Begin a day: send what goes before its payments."""

        def count(rows: IntArray) -> None:
            self._progress.acknowledged(opening.day, len(rows))

        self._progress.open(opening.day, opening.records, opening.payments)
        for block in opening.before:
            await publisher.send(block, 0, len(block), count)

    def _find(self, block: PaymentBlock) -> None:
        """Count what the broker has from a process before."""
        self._count(block, np.arange(len(block)))
        self._behind += int(block.is_payment.sum())

    def _go_on(self, first: PaymentBlock, beginning: Beginning) -> None:
        """Begin with the first block that is sent."""
        if beginning.resumes and self._behind:
            at = int(first.sent_at[0])
            self._pace.resume(at)
            self._tell(f"resumes run {self._plan.run} on {_local(at)} behind {self._behind:,} payments")

    async def _send_paced(self, publisher: Publisher, block: PaymentBlock, lag: StreamLag | None, begun: float) -> None:
        sent = 0
        while sent < len(block) and not self._ended(begun):
            await self._hold_back(publisher, lag)
            elapsed = time.monotonic() - begun - self._held
            due = self._pace.due(block, elapsed)
            if due > sent:
                await publisher.send(block.records, sent, due, self._counting(publisher, block), probes=True)
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

    def _counting(self, publisher: Publisher, block: PaymentBlock) -> Callable[[IntArray], None]:
        def count(rows: IntArray) -> None:
            self._count(block, rows)
            partition = int(block.records.partition[rows[0]])
            self._progress.behind(block.day, partition, publisher.end_offsets[PAYMENTS, partition])
            payments = int(block.is_payment[rows].sum())
            self._acked += payments
            self._metrics.counter("quetma_acked_payments").inc(payments)

        return count

    def _count(self, block: PaymentBlock, rows: IntArray) -> None:
        """Enter rows of a block that the broker has into the ledger."""
        self._ledger.count(block, rows[block.is_payment[rows]])
        faults = np.bincount(block.fault[rows], minlength=MALFORMED + 1)
        self._ledger.count_faults(**{name: int(faults[kind]) for name, kind in FAULTS.items()})
        self._progress.acknowledged(block.day, len(rows))
        self._progress.faulty(block.day, faults)

    async def _keep_ledger(self, publisher: Publisher, produced: asyncio.Event) -> None:
        while not produced.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(produced.wait(), LEDGER_SECONDS)
            await self._write_ledger(publisher)

    async def _write_ledger(self, publisher: Publisher) -> None:
        """Write what changed, and the checkpoint behind the days that are complete.

        Not before all is found that was there: a process before has told more of the days that are open.
        """
        if not self._caught_up:
            return
        entries = list(self._ledger.changed_entries())
        if (faults := self._ledger.changed_faults()) is not None:
            entries.append((f"{faults.run}|faults|{faults.shard}", encode(faults)))
        if closed := self._progress.closed():
            entries.append(_keyed(self._progress.checkpoint))
        for day in closed:
            self._ledger.forget(day)
        if entries:
            await self._send(publisher, _block(LEDGER, entries, _now()))

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


def _keyed(checkpoint: Checkpoint) -> tuple[str, bytes]:
    return f"{checkpoint.run}|checkpoint|{checkpoint.shard}", encode(checkpoint)


def _local(at: int) -> str:
    """Return a simulated time as people there read it."""
    return dt.datetime.fromtimestamp((at + UTC_OFFSET_MS) / 1000, dt.UTC).strftime("%Y-%m-%d %H:%M")


def _now() -> int:
    return time.time_ns() // 1_000_000


def _ignore(_: object) -> None:
    """Nothing is counted of announcements and the ledger itself, and nobody listens."""


def first_midnight_at(world: World) -> int:
    """Return the beginning of simulated time, UTC epoch milliseconds."""
    return Day.of(world.scenario.start).midnight_at
