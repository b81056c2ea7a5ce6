"""Kafka as the target of a load: records as they are, into the partitions that they come with or that keys choose.

In: records that are due. Out: record batches, one under way per partition, so that order is kept; outcomes.
Records are *sent* when they are handed to the queue of their partition: the pacing error is the tool's own. What they
wait there, because the batch before is not acknowledged yet, is the target's, and shows in the latency of the
acknowledgement, which counts from when they were due. More than a bound are never unanswered: then the hand-over waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Final, Self

import numpy as np
import polars as pl

from producers.batch_client import BatchClient
from producers.batches import cuts_of
from producers.digits import index
from producers.kafka_topics import partition_counts
from producers.load.clock import Clock
from producers.load.key_partitions import partitions_of
from producers.load.parts import Outcomes, Seconds
from producers.load.raw_format import MANY, RawColumns, columns_of, sizes_of
from producers.load.targets.lanes import Departures, Held, Lane, Parts, Piece
from producers.simulation.columns import IntArray
from schemas.errors import BadInputError

SEALERS: Final = 2
CLOSE_SECONDS: Final = 1.0
"""What is unanswered when it is closed has been waited for: see `KafkaTarget.drain`."""


@dataclass(frozen=True)
class KafkaTargetSettings:
    """Where records go, and how."""

    servers: str
    """HOST:PORT[,HOST:PORT…]"""
    topic: str | None = None
    """Takes all records; each goes to the topic of its own name if None."""
    batch_bytes: int = 1 << 20
    """Largest batch, uncompressed."""
    linger_seconds: float = 0.002
    """How long a batch that is not full waits for more: a request costs the tool as much as some dozens of records.
    Java's client of Kafka 4 waits 5 ms. It is a part of what an answer takes."""
    unanswered_records: int = 500_000
    """So many may wait for an acknowledgement."""
    unanswered_bytes: int = 128 << 20
    """The same in bytes of keys, values and headers."""


class KafkaTarget:
    """Implements `producers.load.parts.Target`. Use as an async context manager.

    A record with a partition keeps it. One without goes where its key says, as Kafka's default partitioner has it, and
    one without a key too goes with its neighbours to one partition after the other.

    Args:
        settings: where records go.
        outcomes: hears of them.
        clock: of the load.
        retried: is told how many times more than once batches have gone out.
    """

    def __init__(
        self,
        settings: KafkaTargetSettings,
        outcomes: Outcomes,
        clock: Clock,
        retried: Callable[[int], object] = lambda _: None,
    ) -> None:
        self._settings, self._outcomes, self._clock = settings, outcomes, clock
        self._client = BatchClient(settings.servers, settings.batch_bytes, retried, CLOSE_SECONDS)
        self._sealer = ThreadPoolExecutor(SEALERS, thread_name_prefix="seal")
        self._held = Held(settings.unanswered_records, settings.unanswered_bytes)
        self._departures = Departures(settings.linger_seconds)
        self._partitions: dict[str, int] = {}
        self._lanes: dict[tuple[str, int], Lane] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._broken: asyncio.Future[None]
        self._turn = 0

    async def __aenter__(self) -> Self:
        self._broken = asyncio.get_running_loop().create_future()
        # All of them: to ask when the first record of a topic is due would keep those behind it waiting.
        self._partitions = await partition_counts(self._settings.servers)
        if self._settings.topic is not None:
            await self._look_up(self._settings.topic)
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end_lanes()
        await self._client.__aexit__()
        self._sealer.shutdown()
        if self._broken.done():
            self._broken.exception()  # it has been told, or nobody asked

    async def send(self, records: pl.DataFrame, due: Seconds) -> None:
        """Hand over records that are due; wait first where too many are unanswered.

        Raises:
            BadInputError: if there is no such topic or partition, before any of the records has gone.
        """
        while self._held.full:
            await self._unless_broken(self._held.changed())
        if self._broken.done():
            self._broken.result()
        for topic, some, their_due in await self._by_topic(records, due):
            await self._route(topic, some, their_due)

    async def drain(self, seconds: float) -> None:
        """Wait until all is answered, for so long at most; what is not has failed."""
        try:
            async with asyncio.timeout(seconds):
                while self._held.records:
                    await self._unless_broken(self._held.changed())
        except TimeoutError:
            pass
        finally:
            await self._end_lanes()

    async def _by_topic(self, records: pl.DataFrame, due: Seconds) -> list[tuple[str, pl.DataFrame, Seconds]]:
        """Return the records of each topic; nearly always all are of one, and to look is cheaper than to filter."""
        if self._settings.topic is not None:
            return [(self._settings.topic, records, due)]
        column = records["topic"]
        names = dict.fromkeys((column if len(column) <= MANY else column.unique(maintain_order=True)).to_list())
        topics = [_named(topic) for topic in names]
        for topic in topics:
            await self._look_up(topic)
        if len(topics) == 1:
            return [(topics[0], records, due)]
        rows = [np.flatnonzero((column == topic).to_numpy()) for topic in topics]
        return [(topic, records[index(some)], due[some]) for topic, some in zip(topics, rows, strict=True)]

    async def _look_up(self, topic: str) -> None:
        """Make sure that a topic is there: it may have been made since it was asked for all."""
        if topic in self._partitions:
            return
        self._partitions |= await partition_counts(self._settings.servers, [topic])
        if topic not in self._partitions:
            found = f"{topic} does not exist on {self._settings.servers}"
            raise BadInputError("target", found, "create it, with as many partitions as it shall have")

    async def _route(self, topic: str, records: pl.DataFrame, due: Seconds) -> None:
        partitions = self._partitions_of(topic, records)
        if len(records) <= MANY:
            self._route_few(topic, partitions, records, due)
        else:  # the loop has answers to hear of meanwhile; the caller waits, so that order is kept
            pieces = partial(_pieces, partitions, records, due, self._settings.batch_bytes)
            for partition, piece in await asyncio.get_running_loop().run_in_executor(self._sealer, pieces):
                self._lane(topic, partition).put(piece)
        self._outcomes.sent(due, self._clock.now())

    def _route_few(self, topic: str, partitions: IntArray, records: pl.DataFrame, due: Seconds) -> None:
        """Give each lane its records, made into columns at once: for few this is less work than frames are."""
        whole = columns_of(records)
        parts: dict[int, RawColumns] = {}
        rows: dict[int, list[int]] = {}
        for row, partition in enumerate(partitions.tolist()):
            if partition not in parts:
                parts[partition], rows[partition] = RawColumns(), []
            columns = parts[partition]
            columns.keys.append(whole.keys[row])
            columns.values.append(whole.values[row])
            columns.times.append(whole.times[row])
            if row in whole.headers:
                columns.headers[len(columns) - 1] = whole.headers[row]
            rows[partition].append(row)
        for partition, columns in parts.items():
            self._lane(topic, partition).put(Piece(due[rows[partition]], columns.size, partial(_itself, columns)))

    def _partitions_of(self, topic: str, records: pl.DataFrame) -> IntArray:
        """Return where each record goes."""
        count, kept = self._partitions[topic], records["partition"]
        open_rows = np.flatnonzero(kept.is_null().to_numpy()) if kept.null_count() else np.zeros(0, dtype=np.int64)
        partitions = np.array((kept.fill_null(0) if len(open_rows) else kept).to_numpy(), dtype=np.int64)
        if len(open_rows):
            partitions[open_rows] = self._by_key(records["key"][index(open_rows)], count)
        wrong = np.flatnonzero((partitions < 0) | (partitions >= count))
        if len(wrong):
            found = f"a record is of partition {partitions[wrong[0]]}, and {topic} has {count}"
            raise BadInputError("target", found, "let keys choose (--partitions by-key), or give another topic")
        return partitions

    def _by_key(self, keys: pl.Series, count: int) -> IntArray:
        self._turn = (self._turn + 1) % count
        if not keys.null_count():
            return partitions_of(keys.to_list(), count)
        partitions = np.full(len(keys), self._turn, dtype=np.int64)
        row = np.flatnonzero(keys.is_not_null().to_numpy())
        partitions[row] = partitions_of(keys[index(row)].to_list(), count)
        return partitions

    def _lane(self, topic: str, partition: int) -> Lane:
        place = (topic, partition)
        if place not in self._lanes:
            parts = Parts(self._client, self._outcomes, self._held, self._clock, self._sealer, self._departures)
            lane = self._lanes[place] = Lane(place, parts, limit=self._settings.batch_bytes)
            task = asyncio.create_task(lane.run())
            task.add_done_callback(self._note)
            self._tasks.append(task)
        return self._lanes[place]

    def _note(self, task: asyncio.Task[None]) -> None:
        """Pass on what ended a lane, so that nobody waits for it in vain."""
        if not task.cancelled() and (error := task.exception()) is not None and not self._broken.done():
            self._broken.set_exception(error)

    async def _unless_broken(self, work: object) -> None:
        task = asyncio.ensure_future(work)  # type: ignore[call-overload]  # a coroutine
        try:
            await asyncio.wait({task, self._broken}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            task.cancel()
        if self._broken.done():
            self._broken.result()

    async def _end_lanes(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for lane in self._lanes.values():
            lane.give_up()
        self._tasks.clear()
        self._lanes.clear()


def _named(topic: str | None) -> str:
    if topic is None:
        raise BadInputError("target", "the source names no topic", "say which one takes the records (--to-topic)")
    return topic


def _itself(columns: RawColumns) -> RawColumns:
    return columns


def _pieces(partitions: IntArray, records: pl.DataFrame, due: Seconds, limit: int) -> list[tuple[int, Piece]]:
    """Return the rows of each partition in pieces as large as batches may be; threads make columns of them."""
    order = np.argsort(partitions, kind="stable")
    _, begins = np.unique(partitions[order], return_index=True)
    sizes = sizes_of(records)[order]
    lengths = np.diff([*begins.tolist(), len(order)]).tolist()
    cuts = [*cuts_of(sizes, lengths, limit), len(order)]
    behind = np.concatenate([[0], np.cumsum(sizes)])
    pieces = []
    for low, high in pairwise(cuts):
        rows = order[low:high]
        piece = Piece(due[rows], int(behind[high] - behind[low]), partial(columns_of, records, rows))
        pieces.append((int(partitions[rows[0]]), piece))
    return pieces
