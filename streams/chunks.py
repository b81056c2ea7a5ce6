"""Faust on chunks: an agent gets one event for each fetched piece of a partition, not one for each record.

In: what aiokafka fetched. Out: `Chunk`s; commits only up to what the worker calls durable.
Only Faust's own extension points are used: the setting ConsumerScheduler, a Transport under its own URL scheme,
a Schema. A chunk of thousands of records costs Faust what one event costs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import faust
from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers import aiokafka as driver
from faust.transport.utils import DefaultSchedulingStrategy
from faust.types import TP, AppT

from schemas.errors import BadInputError, ExitCode, QuetmaError
from schemas.topics import STATE_CHANGELOG
from streams.offsets import end_offsets
from streams.records import CHUNKED_TOPICS, Chunk

SCHEME: Final = "quetma"
FETCH_WAIT_MS: Final = 100
OPENING_SHARE: Final = 0.9
"""Of the time after which Faust gives up an opening."""

_logger = logging.getLogger(__name__)


class OpeningTooLongError(QuetmaError):
    """The state of the assigned partitions could not be read in time; the worker must start anew."""

    exit_code = ExitCode.UNREACHABLE

    def __init__(self, seconds: float) -> None:
        found = f"the partitions could not be opened within {seconds:g} s"
        super().__init__("stream", found, "It starts anew and tries again; look whether the broker is in order")


@dataclass(frozen=True)
class _ChunkRecord:
    """What Faust takes for one Kafka record: its offset is that of the chunk's last."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    value: Chunk
    headers: tuple[()] = ()
    key: None = None
    checksum: None = None
    serialized_key_size: int = 0
    serialized_value_size: int = 0


def _record_of(place: TP, chunk: Chunk) -> _ChunkRecord:
    newest = chunk.batches[-1]
    return _ChunkRecord(
        place.topic, place.partition, chunk.last, newest.max_timestamp, newest.timestamp_type, value=chunk
    )


class ChunkScheduler(DefaultSchedulingStrategy):
    """Hands chunked topics on partition by partition, all others record by record."""

    def iterate(self, records: Mapping[TP, list[Any]]) -> Iterator[tuple[TP, Any]]:
        """Yield what was fetched."""
        rest: dict[TP, list[Any]] = {}
        for place, fetched in records.items():
            if place.topic not in CHUNKED_TOPICS:
                rest[place] = fetched
            else:
                for chunk in fetched:
                    yield place, _record_of(place, chunk)
        if rest:
            yield from super().iterate(rest)


class ChunkApp(faust.App):
    """A Faust app whose worker says where partitions stand. The four are set by `streams.app`."""

    durable_offset: Callable[[int], int | None]
    """Partition → offset up to which all writes are acknowledged; None if nothing is known."""
    open_partitions: Callable[[set[int]], Awaitable[dict[int, int]]]
    """Assigned partitions → where to go on reading."""
    write_out: Callable[[], Awaitable[None]]
    """Writes what has not been written, so that a successor has nothing to read again."""
    close_partitions: Callable[[set[int]], Awaitable[None]]
    """Gives partitions up, at once; it may take a moment to leave things in order."""

    async def on_stop(self) -> None:
        """Write and commit before the parts of the app stop; after a crash that is left to the successor."""
        try:
            if isinstance(self._consumer, ChunkConsumer) and not self.crashed:
                await self._consumer.hand_over(self._consumer.assignment())
            await super().on_stop()
        except Exception as error:  # noqa: BLE001  # if this were raised, the parts would never be told to stop
            _logger.warning("What was not written out is left to the next worker, which reads it again: %r", error)


class _PromptThread(driver.AIOKafkaConsumerThread):
    """Faust's thread around aiokafka's consumer, with a shorter long poll."""

    def _create_worker_consumer(self, transport: driver.Transport) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust fixes 1.5 s and aiokafka has no setter. Tansu 0.6 looks for new records twice in that time,
        # so that a payment waited 0.36 s (median) to be fetched.
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer


class ChunkConsumer(driver.Consumer):
    """Commits a partition up to what is durable, and resumes it where its recovered state ends."""

    app: ChunkApp

    def _new_consumer_thread(self) -> _PromptThread:
        return _PromptThread(self, loop=self.loop, beacon=self.beacon)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        if tp.topic not in CHUNKED_TOPICS:  # borders of chunks are not gaps
            await super()._add_gap(tp, offset_from, offset_to)

    def _new_offset(self, tp: TP) -> int | None:
        if tp.topic not in CHUNKED_TOPICS:
            return super()._new_offset(tp)
        self._acked[tp].clear()  # Faust's own book of acknowledged events is not needed
        self._acked_index[tp].clear()
        return self.app.durable_offset(tp.partition)

    async def hand_over(self, places: set[TP]) -> None:
        """Give up partitions of the chunked topics, written and committed."""
        try:
            await self.app.write_out()
            await self.commit()
        finally:
            await self.app.close_partitions({tp.partition for tp in places if tp.topic in CHUNKED_TOPICS})

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Hand partitions over before another worker gets them."""
        try:
            if not self.app.crashed:
                await self.hand_over(revoked)
        except Exception as error:  # noqa: BLE001  # aiokafka would log it and go on, with owners that have ended
            await self.app.crash(error)
        await super().on_partitions_revoked(revoked)

    async def on_stop(self) -> None:
        """Commit; after a crash that, too, is left to the successor."""
        if not self.app.crashed:
            await super().on_stop()

    async def perform_seek(self) -> None:
        """Seek after a recovery: to where the state ends, which the group's commit may be ahead of or behind.

        Raises:
            OpeningTooLongError: before Faust gives up, which it does in silence, with the partitions in its hands.
        """
        limit = self.app.conf.broker_request_timeout * OPENING_SHARE
        try:
            async with asyncio.timeout(limit) as opening:
                await super().perform_seek()
                await self._open()
        except TimeoutError:
            if opening.expired():
                raise OpeningTooLongError(limit) from None
            raise

    async def _open(self) -> None:
        chunked = {tp.partition: tp for tp in self.assignment() if tp.topic in CHUNKED_TOPICS}
        resume = {chunked[number]: at for number, at in (await self.app.open_partitions(set(chunked))).items()}
        if not resume:
            return
        servers = ",".join(url.authority for url in self.transport.url)
        ends = await end_offsets(servers, resume)
        beyond = [f"{tp.topic}-{tp.partition}: {at} of {ends[tp]}" for tp, at in resume.items() if at > ends[tp]]
        if beyond:
            found = f"the state has more records than the topic ({', '.join(beyond)}), which was made anew"
            raise BadInputError("stream", found, f"delete {STATE_CHANGELOG} too, to begin anew")
        await self.seek_wait(resume)


class ChunkTransport(driver.Transport):
    """aiokafka, with chunks."""

    Consumer = ChunkConsumer


TRANSPORTS.aliases[SCHEME] = "streams.chunks:ChunkTransport"


class ChunkSchema(faust.Schema[Any, Any]):
    """Hands chunks through undecoded."""

    def compile(
        self,
        app: AppT,
        *,
        on_key_decode_error: Any = None,
        on_value_decode_error: Any = None,
        default_propagate: bool = False,
    ) -> Any:
        """Return the decoder of a stream."""
        event: Any = app.conf.Event

        async def decode(message: Any, **_options: Any) -> Any:
            return event(app, message.key, message.value, None, message)

        return decode
