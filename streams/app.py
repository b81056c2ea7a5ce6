"""The stream worker: Faust's agent and timers around pure partitions.

In: ``quetma.payments``, in chunks. Out: adoption by market and commune, dead letters, the state's changelog.
Each worker folds in memory, and a few times a second writes what changed and waits for it to be acknowledged;
only then may offsets be committed. At-least-once commits and offsets inside the state make it exact.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from pathlib import Path
from typing import Any

import faust
from aiokafka import TopicPartition
from aiokafka.partitioner import DefaultPartitioner
from faust.types import TP, StreamT
from yarl import URL

from schemas.errors import ExitCode, QuetmaError
from schemas.metrics import Metrics
from schemas.settings import Settings
from schemas.topics import DEAD_LETTERS, PAYMENTS, STATE_TABLE, STREAM_GROUP
from streams.chunks import SCHEME, Chunk, ChunkApp, ChunkScheduler, ChunkSchema, StateTable
from streams.counts import PartitionCounts
from streams.fold import DeadLetter, PartitionState
from streams.offsets import first_offset
from streams.partitions import Flush, Partition
from streams.registry import CellRegistry

CHUNKS_WAITING = 4
"""Chunks that wait for the agent before fetching stops."""
AWAKE_SECONDS = 0.25
"""Time between two looks at whether the process was paused."""
DEAD_LETTER_BYTES = 1 << 19
"""How much of a record's key and value a dead letter keeps."""


class WorkerStalledError(QuetmaError):
    """The worker did not run for longer than its session lasts; it must start anew."""

    exit_code = ExitCode.UNREACHABLE

    def __init__(self, seconds: float, limit: float) -> None:
        fix = "It starts anew and goes on where its state ends"
        super().__init__("stream", f"paused for {seconds:.1f} s, the session lasts {limit:g} s", fix)


class StreamWorker:
    """One worker: its Faust app, the partitions it has, and how they are written."""

    def __init__(self, settings: Settings, metrics: Metrics, data_dir: Path, partitions: int) -> None:
        servers = settings.kafka.bootstrap_servers
        assert servers is not None, "the command line sets it"
        self._servers = servers
        self._settings = settings
        self._partition_count = partitions
        self._choose = DefaultPartitioner()
        self._metrics = metrics
        self._partitions: dict[int, Partition] = {}
        self._durable: dict[int, int] = {}
        self._registry = CellRegistry(servers)
        self._flushing = asyncio.Lock()
        self._started = time.monotonic()
        self._awake_at: float | None = None
        self.app = self._create_app(servers, data_dir, partitions)
        self._table = StateTable(
            self.app,
            name=STATE_TABLE,
            partitions=partitions,
            key_type=bytes,
            value_type=bytes,
            help="cell and partition states, packed",
        )
        self.app.tables.add(self._table)
        self.app.agent(self.app.topic(PAYMENTS, schema=ChunkSchema()))(self._fold)
        self.app.task(self._keep_flushing)
        self.app.task(self._watch_for_pauses)
        metrics.registry.register(PartitionCounts(self._states, self._end_of))

    def _create_app(self, servers: str, data_dir: Path, partitions: int) -> ChunkApp:
        stream = self._settings.stream
        app = ChunkApp(
            STREAM_GROUP,
            broker=[URL(f"{SCHEME}://{server.strip()}") for server in servers.split(",")],
            store="memory://",
            datadir=str(data_dir),
            topic_partitions=partitions,
            topic_allow_declare=False,
            topic_disable_leader=True,
            web_enabled=False,
            ConsumerScheduler=ChunkScheduler,
            broker_max_poll_records=stream.fetch_records,
            broker_commit_interval=stream.commit_interval_seconds,
            broker_session_timeout=stream.session_timeout_seconds,
            broker_heartbeat_interval=stream.session_timeout_seconds / 4,
            consumer_auto_offset_reset="earliest",
            consumer_max_fetch_size=4 << 20,
            producer_compression_type="zstd",
            producer_linger=0.0,
            producer_max_request_size=16 << 20,
            producer_max_batch_size=1 << 18,
            stream_buffer_maxsize=CHUNKS_WAITING,
            stream_wait_empty=False,
            stream_recovery_delay=0.0,
            table_standby_replicas=0,
            worker_redirect_stdouts=False,
        )
        app.durable_offset = self._durable.get
        app.open_partitions = self._open
        app.write_out = self.flush
        app.close_partitions = self._close
        return app

    def _belongs(self, number: int, commune: str) -> bool:
        numbers = list(range(self._partition_count))
        return bool(self._choose(commune.encode(), numbers, numbers) == number)

    def _states(self) -> list[PartitionState]:
        return [partition.fold.state for partition in list(self._partitions.values())]

    def _end_of(self, number: int) -> int | None:
        end: int | None = self.app.consumer.highwater(TP(PAYMENTS, number))
        return end

    def _open(self, numbers: set[int]) -> dict[int, int]:
        """Open the assigned partitions from the recovered table; return where to go on reading."""
        lateness = self._settings.stream.allowed_lateness_seconds * 1000
        table = dict(self._table.data.items())
        self._partitions = {
            number: Partition(number, table, lateness, partial(self._belongs, number)) for number in sorted(numbers)
        }
        self._durable.clear()
        self._metrics.gauge("quetma_recovery_seconds").set(time.monotonic() - self._started)
        return {number: one.next_offset for number, one in self._partitions.items() if one.known}

    async def _fold(self, stream: StreamT[Any]) -> None:
        async for chunk in stream:
            await self._take(chunk)

    async def _take(self, chunk: Chunk) -> None:
        partition = self._partitions.get(chunk.partition)
        if partition is None:
            return  # revoked meanwhile: its next owner reads it again
        if chunk.last < partition.next_offset:
            return  # stale: fetched before a seek
        if chunk.first > partition.next_offset and await self._is_hole(chunk, partition):
            await self.app.consumer.seek_wait({TP(PAYMENTS, chunk.partition): partition.next_offset})
            return
        begun = time.perf_counter()
        records = chunk.since(partition.next_offset)
        folded = partition.apply(records, self._registry, registry_is_fresh=False)
        replayed = folded.replayed
        if folded.consumed < len(records):
            await self._registry.refresh()
            if self._partitions.get(chunk.partition) is not partition:
                return
            rest = records[folded.consumed :]
            replayed += partition.apply(rest, self._registry, registry_is_fresh=True).replayed
        self._metrics.histogram("quetma_chunk_seconds").observe(time.perf_counter() - begun)
        self._metrics.histogram("quetma_chunk_records").observe(len(records))
        self._metrics.counter("quetma_replayed_records").inc(replayed)
        await asyncio.sleep(0)  # the flush and the heartbeat get their turn under full load

    async def _is_hole(self, chunk: Chunk, partition: Partition) -> bool:
        """Return whether the broker has records between what was folded and the chunk.

        After a rebalance or a seek, fetches that were under way leave holes. Retention and transaction markers
        leave gaps in the numbers that nothing is missing in.
        """
        place = TopicPartition(PAYMENTS, chunk.partition)
        return await first_offset(self._servers, place, partition.next_offset) < chunk.first

    async def _keep_flushing(self) -> None:
        while not self.app.should_stop:
            await asyncio.sleep(self._settings.stream.emit_interval_seconds)
            await self.flush()

    async def _watch_for_pauses(self) -> None:
        while not self.app.should_stop:
            self._awake_at = time.monotonic()
            await asyncio.sleep(AWAKE_SECONDS)
            self._check_awake()

    def _check_awake(self) -> None:
        """Refuse to go on after a pause.

        Raises:
            WorkerStalledError: if the process was paused for longer than the group waits. Others may own its
                partitions by now, and what it would write is older than what they have written.
        """
        limit = self._settings.stream.session_timeout_seconds
        if self._awake_at is not None and (paused := time.monotonic() - self._awake_at) > limit:
            raise WorkerStalledError(paused, limit)

    async def flush(self) -> None:
        """Write what changed in all partitions and wait until it is acknowledged.

        Raises:
            WorkerStalledError: see `_check_awake`.
        """
        async with self._flushing:
            for partition in list(self._partitions.values()):
                self._check_awake()
                flush = partition.flush()
                if flush is not None:
                    await self._write(partition, flush)

    def _close(self, numbers: set[int]) -> None:
        for number in numbers:
            self._partitions.pop(number, None)
            self._durable.pop(number, None)

    async def _write(self, partition: Partition, flush: Flush) -> None:
        """Write a flush, in the order that `streams.partitions` gives the reasons for."""
        writes = await self._table.write(partition.number, flush.cells)
        writes += [await self._set_aside(letter) for letter in flush.dead_letters]
        await asyncio.gather(*writes)
        self._check_awake()
        await asyncio.gather(*await self._table.write(partition.number, [flush.own]))
        await asyncio.gather(*await self._emit(partition.number, flush))
        if self._partitions.get(partition.number) is partition:
            partition.flushed(flush)
            self._durable[partition.number] = flush.next_offset

    async def _emit(self, number: int, flush: Flush) -> list[Any]:
        """Send adoption records; the last one carries the probes, so that it measures the way of them all."""
        now = time.time_ns() // 1_000_000
        send = self.app.producer.send
        futures = []
        for position, one in enumerate(flush.emissions, 1):
            last = position == len(flush.emissions)
            headers = {"probes": ",".join(map(str, flush.probes)).encode()} if last and flush.probes else None
            futures.append(await send(one.topic, one.key.encode(), one.value(now), number, now / 1000, headers))
        return futures

    async def _set_aside(self, letter: DeadLetter) -> Any:
        record = letter.record
        place = f"{PAYMENTS}-{record.partition}-{record.offset}"
        value = record.value or b""
        headers = {
            "reason": letter.reason.encode(),
            "detail": letter.detail.encode(),
            "key": (record.key or b"")[:DEAD_LETTER_BYTES],
            "bytes": str(len(value)).encode(),
        }
        kept = value[:DEAD_LETTER_BYTES]  # with its headers it must fit where the record alone just did
        return await self.app.producer.send(
            DEAD_LETTERS, place.encode(), kept, record.partition, record.timestamp / 1000, headers
        )


def worker_of(worker: StreamWorker, *, quiet: bool) -> faust.Worker:
    """Return the Faust worker that runs a stream worker until it is told to stop."""
    return faust.Worker(
        worker.app, loglevel="ERROR" if quiet else "WARNING", redirect_stdouts=False, quiet=True, override_logging=False
    )
