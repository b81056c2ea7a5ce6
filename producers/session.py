"""One production: a scenario, paced, into Kafka, counted in the ledger.

In: a plan, a pace, a broker, orders to the run. Out: records on the topics, and a `Produced` summary.
A run that was begun by a process before is gone on with: see `producers.checkpoints`.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, closing, suppress
from dataclasses import dataclass

from producers.ahead import Ahead, Tomorrow
from producers.announcements import block_of, ignore, keyed, started, wall_clock
from producers.blocks import PaymentBlock, RecordBlock
from producers.books import Books
from producers.checkpoints import Beginning, beginning_of
from producers.encoding import cell_records
from producers.lag import StreamLag
from producers.live_pace import LivePace
from producers.model_metrics import ModelMetrics
from producers.order_reader import OrderReader
from producers.orders import Orders
from producers.outbox import CaughtUp, OnTopic, Opening, Outbox
from producers.pacing import Pace
from producers.plan import Plan
from producers.publisher import Publisher
from producers.sending import PacedSending
from producers.simulation.calendar import UTC_OFFSET_MS, Day
from producers.simulation.world import World
from schemas.errors import UnreachableError
from schemas.events import SCHEMA_VERSION, encode
from schemas.metrics import Metrics
from schemas.orders import InterventionApplied, RunPosition, key_of
from schemas.settings import Settings
from schemas.topics import CELLS, INTERVENTIONS, LEDGER

log = logging.getLogger("quetma.orders")

LEDGER_SECONDS = 2.0
"""Time between two writings of the ledger."""


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
            pace: when, until orders say otherwise.
            settings: of the broker, and of how to send.
            metrics: of this process.
            version: Quetma's.
            partitions: of the payments topic.
            tell: is told where a run is gone on with, and what becomes of orders.
        """
        self._plan, self._pace = plan, LivePace(pace)
        self._settings, self._metrics = settings, metrics
        self._version, self._partitions = version, partitions
        self._tell = tell or ignore
        self._orders = Orders(plan, wall_clock)
        self._tomorrow = Tomorrow()
        self._books: Books
        self._model = ModelMetrics(plan.world)
        metrics.registry.register(self._model)
        self.stop = asyncio.Event()

    async def run(self) -> Produced:
        """Produce; returns when everything sent is acknowledged and in the ledger.

        Raises:
            BadInputError: if the broker has another run of this name.
            UnreachableError: if the broker does not answer, or refuses a batch.
        """
        begun = time.monotonic()
        gc.freeze()  # the world stays: looking at it again and again for garbage took a tenth of the loop's time
        servers = self._settings.kafka.bootstrap_servers
        if not servers:
            raise UnreachableError("produce", "no broker is set", "set --broker HOST:PORT")
        beginning = await beginning_of(self._plan, started(self._plan, self._version), servers, self._partitions)
        reader = OrderReader(servers, self._orders)
        await reader.catch_up()
        self._books = Books(self._plan, self._metrics, beginning)
        sending = PacedSending(
            self._pace,
            self._orders,
            self._settings.producer,
            self._metrics,
            seconds=self._plan.seconds,
            stop=self.stop,
        )
        following = asyncio.create_task(reader.follow())
        following.add_done_callback(_say_why)
        try:
            publisher = await self._produce_all(beginning, sending)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        return self._summary(sending, publisher, time.monotonic() - begun)

    def _summary(self, sending: PacedSending, publisher: Publisher, seconds: float) -> Produced:
        plan, books = self._plan, self._books
        return Produced(
            run=plan.run,
            scenario=plan.world.scenario.name,
            seed=plan.world.seed,
            produced=books.behind + books.produced,
            acked=books.behind + books.acked,
            seconds=seconds,
            held_back_seconds=sending.held,
            behind=books.behind,
            end_offsets=dict(publisher.end_offsets),
        )

    async def _produce_all(self, beginning: Beginning, sending: PacedSending) -> Publisher:
        """Announce, send everything and write the ledger to its end; return the publisher, closed."""
        async with AsyncExitStack() as stack:
            publisher = await stack.enter_async_context(
                Publisher(self._settings.kafka, self._settings.producer, self._metrics)
            )
            await self._announce(publisher, beginning)
            lag = await self._lag(stack)
            produced = asyncio.Event()
            keeper = asyncio.create_task(self._keep_ledger(publisher, produced))
            try:
                await self._produce(publisher, lag, beginning, sending)
                await publisher.flush()
            finally:
                produced.set()
                await keeper
            await self._write_ledger(publisher)
            await publisher.flush()
        return publisher

    async def _lag(self, stack: AsyncExitStack) -> StreamLag | None:
        if self._settings.producer.max_lag is None:
            return None
        servers = self._settings.kafka.bootstrap_servers
        assert servers is not None
        return await stack.enter_async_context(StreamLag(servers))

    async def _announce(self, publisher: Publisher, beginning: Beginning) -> None:
        """Tell of the run and its cells, and wait: no payment may come before its cell, nor before the checkpoint."""
        run, now = self._plan.run, wall_clock()
        cells = [(f"{cell.run}|{cell.cell}", encode(cell)) for cell in cell_records(self._plan.world, run)]
        begins = [] if beginning.resumes else [keyed(beginning.checkpoint)]
        await self._send(publisher, block_of(CELLS, cells, now))
        announced = (run, encode(started(self._plan, self._version)))
        await self._send(publisher, block_of(LEDGER, [announced, *begins], now))
        await publisher.flush()

    async def _produce(
        self, publisher: Publisher, lag: StreamLag | None, beginning: Beginning, sending: PacedSending
    ) -> None:
        settings = self._settings.producer
        outbox = Outbox(
            self._plan,
            self._orders,
            self._partitions,
            settings.block_events,
            cloud_events=settings.headers,
            tomorrow=self._tomorrow,
        )
        with ThreadPoolExecutor(1, thread_name_prefix="simulate") as pool, closing(self._tomorrow):
            ahead = Ahead(pool, outbox.items(beginning))
            while (item := await ahead.following()) is not None:
                match item:
                    case Opening():
                        await self._open(publisher, item)
                    case OnTopic(block):
                        self._books.find(block)
                    case CaughtUp():
                        self._books.caught_up = True
                    case PaymentBlock():
                        if not sending.begun:  # the clock starts when there is something to pay, its codes known
                            await publisher.flush()
                            sending.begin()
                            self._go_on(item, beginning)
                        await sending.send(publisher, self._books, item, lag)
                        if sending.ended:
                            break
            self._tomorrow.close()
            await ahead.end()
        if not sending.begun and beginning.resumes:
            self._tell(f"run {self._plan.run} is complete: {self._books.behind:,} payments are there, nothing is sent")

    async def _open(self, publisher: Publisher, opening: Opening) -> None:
        """Begin a day: tell what is decided, and that it begins; then send what goes before its payments."""
        self._tomorrow.opened(opening.day.number)
        if opening.is_new:
            await self._tell_of(publisher, opening)
        self._model.show(opening.adoption)
        for kind, number in opening.in_force.items():
            self._metrics.gauge("quetma_active_interventions").labels(kind=kind).set(number)
        count = self._books.open(opening)
        for block in opening.before:
            await publisher.send(block, 0, len(block), count)

    async def _tell_of(self, publisher: Publisher, opening: Opening) -> None:
        """Write down what is decided, and up to which day something may be sent; wait until the broker has it.

        What is decided stands before the day: who finds that the day has begun finds all that holds on it.
        """
        plan = self._plan
        begun = RunPosition(schema_version=SCHEMA_VERSION, run=plan.run, shard=plan.shard, day=opening.day.date)
        told: list[InterventionApplied | RunPosition] = [*opening.applied, begun]
        records = [(key_of(record), encode(record)) for record in told]
        await publisher.deliver(block_of(INTERVENTIONS, records, wall_clock()))
        for applied in opening.applied:
            self._tell(_words(applied))

    def _go_on(self, first: PaymentBlock, beginning: Beginning) -> None:
        """Begin with the first block that is sent."""
        if beginning.resumes and self._books.behind:
            at = int(first.sent_at[0])
            self._pace.resume(at)
            self._tell(f"resumes run {self._plan.run} on {_local(at)} behind {self._books.behind:,} payments")
        if self._orders.wanted.paused:
            run = self._plan.run
            self._tell(f"run {run} is paused by an order: `quetma interventions pace {run} --resume` lets it go on")

    async def _keep_ledger(self, publisher: Publisher, produced: asyncio.Event) -> None:
        while not produced.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(produced.wait(), LEDGER_SECONDS)
            await self._write_ledger(publisher)

    async def _write_ledger(self, publisher: Publisher) -> None:
        if entries := self._books.entries():
            await self._send(publisher, block_of(LEDGER, entries, wall_clock()))

    async def _send(self, publisher: Publisher, block: RecordBlock) -> None:
        await publisher.send(block, 0, len(block), ignore)


def _say_why(following: asyncio.Task[None]) -> None:
    """Say why orders are not read any more: production goes on without."""
    if not following.cancelled() and (error := following.exception()) is not None:
        log.error("orders are not read any more: %r", error)


def _words(applied: InterventionApplied) -> str:
    if applied.refused is not None:
        return f"intervention {applied.id} is refused: {applied.refused}"
    return f"intervention {applied.id} begins on {applied.from_day}"


def _local(at: int) -> str:
    """Return a simulated time as people there read it."""
    return dt.datetime.fromtimestamp((at + UTC_OFFSET_MS) / 1000, dt.UTC).strftime("%Y-%m-%d %H:%M")


def first_midnight_at(world: World) -> int:
    """Return the beginning of simulated time, UTC epoch milliseconds."""
    return Day.of(world.scenario.start).midnight_at
