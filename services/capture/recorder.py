"""The recorder: reads partitions and keeps what they have, until it is to end.

In: a consumer, what to read, a capture to write. Out: the capture's records, in order of time, each flushed within a
second of being read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import polars as pl
from aiokafka import AIOKafkaConsumer, TopicPartition

from producers.load.framed import POLL_MS, fetching
from producers.load.sources.time_order import TimeOrder
from schemas.errors import UnreachableError
from services.capture.files import Capture
from services.capture.reading import Reading
from services.capture.sizes import size_of

MOST_FRAMES: Final = 4
FLUSH_SECONDS: Final = 0.5
FLUSH_BYTES: Final = 16 << 20
HELD_BYTES: Final = 64 << 20
"""What all partitions together may have waiting for others; those that have more are not read for a while."""
STUCK_SECONDS: Final = 3.0
"""A partition that says nothing for so long holds no other back."""
SILENT_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Limits:
    """What ends a recording before its partitions do."""

    records: int | None = None
    seconds: float | None = None


class Recorder:
    """Records once.

    Args:
        consumer: that has been started, of `consumer_for`.
        readings: what to read; they count what has been recorded.
        capture: where it goes. It is not finished here.
        limits: when to end all the same.
        tell: hears how many records there are, now and then.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        readings: list[Reading],
        capture: Capture,
        limits: Limits,
        tell: Callable[[int], None],
    ) -> None:
        self._consumer, self._capture, self._limits, self._tell = consumer, capture, limits, tell
        self._readings = {TopicPartition(one.topic, one.partition): one for one in readings}
        self._lanes = {place: lane for lane, place in enumerate(self._readings)}
        self._order = TimeOrder(len(readings))
        self._begun = time.monotonic()
        self._heard = dict.fromkeys(self._readings, self._begun)
        self._flushed_at = self._begun
        self._pending: list[pl.DataFrame] = []
        self._pending_bytes = 0
        self._flushing: asyncio.Task[None] | None = None
        self._torn = False
        """Whether something could not be written: then nothing behind it is, or the capture had a gap."""
        self.records = self.bytes = 0

    async def run(self, stop: asyncio.Event) -> str:
        """Record until the end, a limit or ``stop``; return which: ``end``, ``count``, ``time`` or ``stopped``.

        Raises:
            BadInputError: if records are gone before they were read, are damaged, or cannot be written.
            UnreachableError: if the broker is silent for a minute.
        """
        self._consumer.assign(list(self._readings))
        for place, reading in self._readings.items():
            self._consumer.seek(place, reading.start)
        try:
            while (reason := self._reason(stop)) is None:
                await self._read()
                self._hand_on(await self._blocking())
                await self._flush_in_time()
        finally:
            self._hand_on(set())
            await self._flush()
            await self._flushed()
        return reason

    # -- reading ---------------------------------------------------------------------------------------------

    def _reason(self, stop: asyncio.Event) -> str | None:
        if stop.is_set():
            return "stopped"
        if self._limits.records is not None and self.records >= self._limits.records:
            return "count"
        if self._limits.seconds is not None and time.monotonic() - self._begun >= self._limits.seconds:
            return "time"
        return "end" if all(reading.done for reading in self._readings.values()) else None

    async def _read(self) -> None:
        """Read what there is of the partitions that are not done and not too far ahead."""
        share = HELD_BYTES // len(self._readings)
        wanted = [
            place
            for place, reading in self._readings.items()
            if not reading.done and self._order.bytes_of(self._lanes[place]) < share
        ]
        self._consumer.resume(*[place for place in self._consumer.paused() if place in wanted])
        self._consumer.pause(*[place for place in self._readings if place not in wanted])
        with fetching("record"):
            fetched = await self._consumer.getmany(*wanted, timeout_ms=POLL_MS, max_records=MOST_FRAMES)
        for place, frames in fetched.items():
            self._heard[place] = time.monotonic()
            for frame in frames:
                self._put(place, frame)
        for place in wanted:
            self._readings[place].reached(await self._consumer.position(place))
        self._check_silence(wanted)

    def _put(self, place: TopicPartition, frame: pl.DataFrame) -> None:
        reading = self._readings[place]
        if not reading.done:
            self._order.put(self._lanes[place], reading.take(frame))

    def _check_silence(self, wanted: list[TopicPartition]) -> None:
        """Note who has answered.

        Raises:
            UnreachableError: if nobody has for long.
        """
        now, clock = time.monotonic(), time.time()
        for place in self._readings:
            if place not in wanted:
                self._heard[place] = now
            elif (polled := self._consumer.last_poll_timestamp(place)) is not None:
                self._heard[place] = max(self._heard[place], now - max(clock - polled / 1000, 0.0))
        if wanted and now - max(self._heard[place] for place in wanted) > SILENT_SECONDS:
            raise UnreachableError("record", f"the broker has been silent for {SILENT_SECONDS:g} s", "is it up?")

    async def _blocking(self) -> set[int]:
        """Return the partitions of which records may come that are earlier than what others have."""
        now, blocking = time.monotonic(), set[int]()
        for place, reading in self._readings.items():
            if reading.done or now - self._heard[place] > STUCK_SECONDS:
                continue
            highwater = self._consumer.highwater(place)
            if highwater is None or await self._consumer.position(place) < highwater:
                blocking.add(self._lanes[place])
        return blocking

    # -- keeping ---------------------------------------------------------------------------------------------

    def _hand_on(self, blocking: set[int]) -> None:
        """Take what is in order for the capture, as many records as it may have."""
        frame = self._order.take(blocking)
        if frame is None:
            return
        if self._limits.records is not None:
            frame = frame.head(self._limits.records - self.records)
        if frame.is_empty():
            return
        self.records += frame.height
        size = size_of(frame)
        self.bytes += size
        self._pending.append(frame)
        self._pending_bytes += size
        self._tell(self.records)

    async def _flush_in_time(self) -> None:
        if self._pending_bytes >= FLUSH_BYTES or time.monotonic() - self._flushed_at >= FLUSH_SECONDS:
            await self._flush()

    async def _flush(self) -> None:
        """Begin to write what is pending, when what was before it has been written."""
        await self._flushed()
        self._flushed_at = time.monotonic()
        if self._pending and not self._torn:
            frames, self._pending, self._pending_bytes = self._pending, [], 0
            self._flushing = asyncio.create_task(asyncio.to_thread(self._keep, frames))

    async def _flushed(self) -> None:
        if self._flushing is not None:
            flushing, self._flushing, self._torn = self._flushing, None, True
            await flushing
            self._torn = False

    def _keep(self, frames: list[pl.DataFrame]) -> None:
        frame = pl.concat(frames)
        self._capture.append(frame)
        for (topic, partition), part in frame.partition_by("topic", "partition", as_dict=True).items():
            self._readings[TopicPartition(topic, partition)].count(part)
