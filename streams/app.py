"""The stream worker: Faust's agent and timers around pure owners of partitions.

In: ``quetma.payments``, in chunks. Out: adoption by market and commune, dead letters, the state's changelog.
What is done when is decided by `streams.protocol`: here its commands are executed, and it is told what came of them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections import defaultdict, deque
from functools import partial
from pathlib import Path
from typing import Any

import faust
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner
from faust.types import TP, StreamT
from yarl import URL

from schemas.errors import ExitCode, QuetmaError
from schemas.metrics import Metrics
from schemas.settings import Settings, StreamSettings
from schemas.topics import PAYMENTS, STREAM_GROUP
from streams.accounts import AccountRegistry
from streams.changelog import KafkaChangelog
from streams.chunks import SCHEME, ChunkApp, ChunkScheduler, ChunkSchema
from streams.counts import PartitionCounts
from streams.fold import PartitionState
from streams.idleness import Patience
from streams.lineage import Recovered
from streams.partitions import Partition, PartitionSettings
from streams.protocol import CatchUp, Claim, Command, Commands, Commit, Count, Look, Owner, Refresh, Seek, Write
from streams.records import Chunk, first_offset, install
from streams.registry import CellRegistry
from streams.state_store import open_store
from streams.watchdog import Watchdog
from streams.writing import Writer

CHUNKS_WAITING = 4
"""Chunks that wait for the agent before fetching stops."""
STANDSTILL_SESSIONS = 3
"""For how long, in session timeouts, a partition may stand still that has records: longer than any rebalance takes."""
AWAKE_SECONDS = 0.25
"""Time between two looks at whether the process was paused."""
FOLLOW_SECONDS = 10.0
"""Time between two rounds in which a copy of the changelog follows: so much more is read after a kill."""

_logger = logging.getLogger(__name__)


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
        install(settings.stream.fetch_records)
        self._choose = DefaultPartitioner()
        self._partition_settings = _partition_settings(settings.stream)
        self._metrics = metrics
        self._owners: dict[int, Owner[Partition]] = {}
        self._claimant = f"{socket.gethostname()} {os.getpid()}"
        self._durable: dict[int, int] = {}
        self._registry = CellRegistry(servers)
        self._accounts = AccountRegistry(servers)
        self._flushing: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._started = time.monotonic()
        self._awake_at: float | None = None
        self._settles_at: float | None = None
        self.app = self._create_app(servers, data_dir, partitions)
        self._writer = Writer(self._started_producer)
        self._store = open_store(settings.stream, KafkaChangelog(servers, self._writer))
        self.app.agent(self.app.topic(PAYMENTS, schema=ChunkSchema()))(self._fold)
        self.app.task(self._keep_flushing)
        self.app.task(self._keep_following)
        self.app.task(self._keep_learning)
        self.app.task(self._watch_for_pauses)
        self.app.task(self._watch_for_standstill)
        self._counts = PartitionCounts(self._states, self._end_of)
        metrics.registry.register(self._counts)

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
            broker_max_poll_records=CHUNKS_WAITING,
            broker_commit_interval=stream.commit_interval_seconds,
            broker_session_timeout=stream.session_timeout_seconds,
            broker_heartbeat_interval=stream.session_timeout_seconds / 4,
            consumer_auto_offset_reset="earliest",
            consumer_group_instance_id=stream.instance,
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

    def _started_producer(self) -> AIOKafkaProducer:
        producer: Any = self.app.producer
        return producer._ensure_producer()

    def _states(self) -> list[PartitionState]:
        partitions = [owner.partition for owner in list(self._owners.values())]
        return [partition.fold.state for partition in partitions if partition is not None]

    def _end_of(self, number: int) -> int | None:
        end: int | None = self.app.consumer.highwater(TP(PAYMENTS, number))
        return end

    async def _open(self, numbers: set[int]) -> dict[int, int]:
        """Own the assigned partitions; return where to go on reading."""
        await self._close(set(self._owners))
        owners = [Owner(number, self._registry, partial(self._open_partition, number)) for number in sorted(numbers)]
        self._owners = {owner.number: owner for owner in owners}
        self._metrics.gauge("quetma_recovered_records").set(0)
        await self._accounts.refresh(numbers)
        await asyncio.gather(*(self._run(owner, owner.open()) for owner in owners))
        self._settles_at = time.monotonic() + self._settings.stream.session_timeout_seconds
        self._metrics.gauge("quetma_recovery_seconds").set(time.monotonic() - self._started)
        mine = [owner for owner in owners if self._owners.get(owner.number) is owner]  # not revoked meanwhile
        return {owner.number: owner.resume_at for owner in mine if owner.resume_at is not None}

    def _open_partition(self, number: int, epoch: int, recovered: Recovered) -> Partition:
        belongs = partial(self._belongs, number)
        return Partition(number, epoch, recovered, self._partition_settings, belongs=belongs, accounts=self._accounts)

    async def _run(self, owner: Owner[Partition], commands: Commands) -> None:
        """Execute commands, and those that follow from what came of them."""
        waiting = deque(commands)
        while waiting:
            waiting.extend(await self._execute(owner, waiting.popleft()))

    async def _execute(self, owner: Owner[Partition], command: Command) -> Commands:
        number = owner.number
        match command:
            case Claim():
                return owner.claimed(await self._writer.claim(number, self._claimant))
            case CatchUp():
                self._counts.durable(number)
                return owner.recovered(await self._recover(number))
            case Look(at_least=at_least):
                place = TopicPartition(PAYMENTS, number)
                return owner.looked(command, await first_offset(self._servers, place, at_least))
            case Refresh():
                await asyncio.gather(self._registry.refresh(), self._accounts.refresh(self._owners))
                return owner.refreshed(command)
            case Seek(offset=offset):
                await self.app.consumer.seek_wait({TP(PAYMENTS, number): offset})
            case Write():
                try:
                    await self._write(number, command)
                except BaseException:
                    owner.failed(command)
                    raise
                return owner.acknowledged(command)
            case Commit(offset=offset):
                self._durable[number] = offset
                self._counts.durable(number)
            case Count(records=records, replayed=replayed):
                self._metrics.histogram("quetma_chunk_records").observe(records)
                self._metrics.counter("quetma_replayed_records").inc(replayed)
        return []

    async def _recover(self, number: int) -> dict[bytes, bytes]:
        rebuilt = await self._store.recover(number)
        self._metrics.gauge("quetma_recovered_records").inc(rebuilt.records)
        return rebuilt.table

    async def _fold(self, stream: StreamT[Any]) -> None:
        async for chunk in stream:
            await self._take(chunk)

    async def _take(self, chunk: Chunk) -> None:
        owner = self._owners.get(chunk.partition)
        if owner is None:
            return  # revoked meanwhile: its next owner reads it again
        begun = time.perf_counter()
        await self._run(owner, owner.fetched(chunk))
        self._metrics.histogram("quetma_chunk_seconds").observe(time.perf_counter() - begun)
        await asyncio.sleep(0)  # the flush and the heartbeat get their turn under full load

    async def _keep_following(self) -> None:
        while not self.app.should_stop:
            await asyncio.sleep(FOLLOW_SECONDS)
            await self._store.follow()

    async def _keep_learning(self) -> None:
        """Read accounts that suspects wait for. It takes tenths of a second, for which no flush shall wait."""
        while not self.app.should_stop:
            await asyncio.sleep(self._settings.stream.emit_interval_seconds)
            partitions = [owner.partition for owner in self._owners.values() if owner.partition is not None]
            waiting = [partition for partition in partitions if partition.waits_for_accounts]
            try:
                await self._accounts.refresh([partition.number for partition in waiting])
            except (KafkaError, TimeoutError) as error:
                _logger.warning("accounts could not be read, suspects wait: %r", error)
                continue
            for partition in waiting:
                partition.looked_up()

    async def _keep_flushing(self) -> None:
        """Flush all partitions in each interval, one after the other: all at once, folding would wait for them all."""
        while not self.app.should_stop:
            interval = self._emit_interval()
            self._settle()
            owners = list(self._owners.values())
            turns = (self._flush_after(interval * turn / len(owners), owner) for turn, owner in enumerate(owners))
            await asyncio.gather(asyncio.sleep(interval), *turns)

    async def _flush_after(self, seconds: float, owner: Owner[Partition]) -> None:
        await asyncio.sleep(seconds)
        if not self.app.should_stop:  # a crashed worker writes nothing more
            await self._flush(owner)

    def _emit_interval(self) -> float:
        """Return the seconds until the next flush: a worker that is behind had better fold than tell how far it is."""
        stream = self._settings.stream
        behind = any(
            (end := self._end_of(state.partition)) is not None and end - state.next_offset > stream.fetch_records
            for state in self._states()
        )
        return stream.catch_up_interval_seconds if behind else stream.emit_interval_seconds

    async def _watch_for_pauses(self) -> None:
        while not self.app.should_stop:
            self._awake_at = time.monotonic()
            await asyncio.sleep(AWAKE_SECONDS)
            self._check_awake()

    async def _watch_for_standstill(self) -> None:
        watchdog = Watchdog(self._servers)
        while not self.app.should_stop:
            await asyncio.sleep(STANDSTILL_SESSIONS * self._settings.stream.session_timeout_seconds)
            await watchdog.look({state.partition: state.next_offset for state in self._states()})

    def _check_awake(self) -> None:
        """Refuse to go on after a pause.

        Raises:
            WorkerStalledError: if the process was paused for longer than the group waits. Others may own its
                partitions by now. What it would write harms no state, being of an older epoch, but costs them
                work, and what it would tell is older than what they have told.
        """
        limit = self._settings.stream.session_timeout_seconds
        if self._awake_at is not None and (paused := time.monotonic() - self._awake_at) > limit:
            raise WorkerStalledError(paused, limit)

    async def flush(self) -> None:
        """Write what changed in all partitions and wait until it is acknowledged.

        Raises:
            WorkerStalledError: see `_check_awake`.
        """
        self._settle()
        await asyncio.gather(*map(self._flush, list(self._owners.values())))

    async def _flush(self, owner: Owner[Partition]) -> None:
        async with self._flushing[owner.number]:
            await self._run(owner, owner.tick(time.time_ns() // 1_000_000))

    def _settle(self) -> None:
        if self._settles_at is not None and time.monotonic() > self._settles_at:
            self._settles_at = None
            for owner in self._owners.values():
                owner.settle()

    async def _close(self, numbers: set[int]) -> None:
        closed = numbers & set(self._owners)
        for number in closed:
            self._owners.pop(number).close()
            self._durable.pop(number, None)
        await self._store.release(closed)

    async def _write(self, number: int, write: Write) -> None:
        self._check_awake()
        await self._writer.write(number, write)


def _partition_settings(stream: StreamSettings) -> PartitionSettings:
    return PartitionSettings(
        allowed_lateness_ms=stream.allowed_lateness_seconds * 1000,
        patience=Patience(int(stream.idle_seconds * 1000), int(stream.forget_seconds * 1000)),
        filter_days=stream.filter_days,
    )


def worker_of(worker: StreamWorker, *, quiet: bool) -> faust.Worker:
    """Return the Faust worker that runs a stream worker until it is told to stop."""
    return faust.Worker(
        worker.app, loglevel="ERROR" if quiet else "WARNING", redirect_stdouts=False, quiet=True, override_logging=False
    )
