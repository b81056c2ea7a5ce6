"""The publisher: record blocks to acknowledged record batches, in order within each partition.

In: `RecordBlock` rows. Out: batches on Kafka; for each acknowledged batch a call-back with its rows.
Threads lay the batches out and compress them; the event loop sends them.
Each partition has one batch under way and is sent again until it is acknowledged: nothing is lost, and a
source's payments never overtake each other, so that a repeat is seen as one by the stream.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from aiokafka.errors import KafkaError

from producers.batch_client import BatchClient, Place
from producers.batches import Part, sealed
from producers.blocks import RecordBlock
from producers.record_format import Headers
from producers.simulation.columns import IntArray
from schemas.errors import UnreachableError
from schemas.metrics import Metrics
from schemas.settings import KafkaSettings, ProducerSettings

log = logging.getLogger("quetma.publisher")

QUIET_SECONDS = 3.0
"""A batch without an answer for so long is worth a word."""
QUEUED_SLICES = 4
"""Slices that wait per partition before the caller does."""
SEALERS = 2
"""Threads that make batches: one alone is slower than the simulation."""

Acknowledged = Callable[[IntArray], None]


@dataclass(frozen=True)
class _Slice:
    """What of a block goes to one partition, in batches, and who wants to know of their acknowledgement."""

    parts: list[Part]
    acknowledged: Acknowledged


@dataclass(frozen=True)
class _Sealing:
    """Rows of a block on their way into batches."""

    topic: str
    parts: asyncio.Future[dict[int, list[Part]]]
    acknowledged: Acknowledged


class Publisher:
    """Sends blocks through one aiokafka producer. Use as an async context manager."""

    def __init__(self, kafka: KafkaSettings, settings: ProducerSettings, metrics: Metrics) -> None:
        if not kafka.bootstrap_servers:
            raise UnreachableError("publish", "no broker is set", "set --broker HOST:PORT")
        self._servers = kafka.bootstrap_servers
        self._settings = settings
        self._metrics = metrics
        retried = metrics.counter("quetma_send_retries").inc
        self._client = BatchClient(self._servers, settings.batch_bytes, retried)
        self._sealer = ThreadPoolExecutor(SEALERS, thread_name_prefix="seal")
        self._sealing: asyncio.Queue[_Sealing] = asyncio.Queue(SEALERS)
        self._queues: dict[tuple[str, int], asyncio.Queue[_Slice]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._failed: asyncio.Future[None] | None = None
        self._waiting_since: dict[tuple[str, int], float] = {}
        self._said_at = 0.0
        self._since_probe = 0
        self.end_offsets: dict[tuple[str, int], int] = {}
        """Offset behind the last acknowledged record of each partition that was written to."""

    async def __aenter__(self) -> Publisher:
        self._failed = asyncio.get_running_loop().create_future()
        await self._client.__aenter__()
        self._start(self._say_when_quiet())
        self._start(self._hand_out())
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.__aexit__()
        self._sealer.shutdown()

    async def send(
        self, block: RecordBlock, low: int, high: int, acknowledged: Acknowledged, *, probes: bool = False
    ) -> None:
        """Queue the rows ``low`` up to ``high`` of a block; wait where a partition has too many waiting.

        Args:
            block: encoded records.
            low: first row.
            high: row behind the last.
            acknowledged: called with the rows of each batch that the broker has acknowledged.
            probes: whether one record in `probe_every` carries the header ``sent_at``.
        """
        more = self._probes(low, high) if probes else {}
        limit = self._settings.batch_bytes
        parts = asyncio.get_running_loop().run_in_executor(self._sealer, sealed, block, low, high, more, limit)
        await self._unless_failed(self._sealing.put(_Sealing(block.topic, parts, acknowledged)))

    async def deliver(self, block: RecordBlock) -> None:
        """Send a block that is not empty and wait until all of it is acknowledged, whatever else is under way."""
        left = len(block)
        done = asyncio.Event()

        def count(rows: IntArray) -> None:
            nonlocal left
            left -= len(rows)
            if not left:
                done.set()

        await self.send(block, 0, len(block), count)
        await self._unless_failed(done.wait())

    async def flush(self) -> None:
        """Wait until everything sent so far is acknowledged."""
        await self._unless_failed(self._sealing.join())
        await self._unless_failed(asyncio.gather(*(queue.join() for queue in self._queues.values())))

    async def _unless_failed(self, work: object) -> None:
        assert self._failed is not None
        task = asyncio.ensure_future(work)  # type: ignore[call-overload]  # coroutine or gather's future
        done, _ = await asyncio.wait({task, self._failed}, return_when=asyncio.FIRST_COMPLETED)
        if task not in done:
            task.cancel()
        self._failed.result() if self._failed in done else await task

    def _queue(self, topic: str, partition: int) -> asyncio.Queue[_Slice]:
        place = (topic, partition)
        if place not in self._queues:
            self._queues[place] = asyncio.Queue(QUEUED_SLICES)
            self._start(self._send_all(place, self._queues[place]))
        return self._queues[place]

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(self._note_failure)
        self._tasks.append(task)

    def _note_failure(self, task: asyncio.Task[None]) -> None:
        """Pass on what ended a task, so that nobody waits for it in vain."""
        assert self._failed is not None
        if not task.cancelled() and (error := task.exception()) is not None and not self._failed.done():
            self._failed.set_exception(error)

    async def _hand_out(self) -> None:
        """Put what is sealed where its partition is sent from, in order of the calls of `send`."""
        while True:
            following = await self._sealing.get()
            for partition, parts in (await following.parts).items():
                await self._queue(following.topic, partition).put(_Slice(parts, following.acknowledged))
            self._sealing.task_done()

    async def _send_all(self, place: Place, queue: asyncio.Queue[_Slice]) -> None:
        while True:
            following = await queue.get()
            try:
                for part in following.parts:
                    await self._until_acknowledged(place, part, following.acknowledged)
            except KafkaError as error:
                fix = "see the broker's log, and start the run again: it goes on behind what is there"
                raise UnreachableError("publish", f"{place[0]}: {error!r}", fix) from error
            queue.task_done()

    async def _until_acknowledged(self, place: Place, part: Part, acknowledged: Acknowledged) -> None:
        self._waiting_since[place] = time.monotonic()
        offset = await self._client.delivered(place, part.batch)
        self._metrics.histogram("quetma_ack_seconds").observe(time.monotonic() - self._waiting_since.pop(place))
        # A broker that knows a batch again may have forgotten its offset, and says -1.
        self.end_offsets[place] = max(self.end_offsets.get(place, 0), offset + len(part.rows))
        self._metrics.counter("quetma_acked_bytes").inc(part.batch.size())
        acknowledged(part.rows)

    def _probes(self, low: int, high: int) -> dict[int, Headers]:
        """Return the header ``sent_at`` of the rows of a block that carry it."""
        every = self._settings.probe_every
        first = low + -self._since_probe % every
        self._since_probe = (self._since_probe + high - low) % every
        sent_at = [("sent_at", str(time.time_ns() // 1_000_000).encode())]
        return dict.fromkeys(range(first, high, every), sent_at)

    async def _say_when_quiet(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            quiet = time.monotonic() - min(self._waiting_since.values(), default=time.monotonic())
            if quiet > QUIET_SECONDS:
                log.warning(
                    "%s has not acknowledged anything for %.0f s; payments wait, none is lost",
                    self._servers,
                    quiet,
                )
