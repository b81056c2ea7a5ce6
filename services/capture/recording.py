"""A recording, from its order to its summary.

In: what is to be recorded and where to. Out: a capture, and what is in it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from producers.load.framed import consumer_for
from schemas.errors import QuetmaError, UnreachableError
from services.capture.files import Capture, new_capture
from services.capture.plan import plan
from services.capture.reading import Reading
from services.capture.recorder import Limits, Recorder
from services.capture.span import Place
from services.processes import unless_stopped

Summary = dict[str, Any]
Tell = Callable[[int, int | None], None]
"""Hears how many records there are, and how many there are to be, if that is known."""


@dataclass(frozen=True)
class Order:
    """What is to be recorded, and where to."""

    servers: str
    topics: list[str]
    out: Path
    begin: Place
    until: Place
    count: int | None = None

    async def carried_out(self, stop: asyncio.Event, tell: Tell) -> Summary | None:
        """Record until the end or ``stop``, and return the summary.

        If it was stopped before it began, there is none, and no file. ``tell`` is called once before the first record:
        what is sent to the topics from then on belongs to ``live``.

        Raises:
            BadInputError: if a topic or an offset does not exist, records are gone, or the file cannot be written.
            UnreachableError: if the broker does not answer, or falls silent.
        """
        consumer = consumer_for(self.servers)
        try:
            readings = await unless_stopped(self._planned(consumer), stop)
            if readings is None:
                return None
            expected = _expected(readings)
            with new_capture(self.out) as capture:
                limits = Limits(self.count, self._seconds())
                recorder = Recorder(consumer, readings, capture, limits, lambda records: tell(records, expected))
                tell(0, expected)
                return await self._run(recorder, readings, capture, stop)
        finally:
            await consumer.stop()

    async def _planned(self, consumer: AIOKafkaConsumer) -> list[Reading]:
        try:
            await consumer.start()
            return await plan(consumer, self.servers, self.topics, self.begin, self.until)
        except (KafkaError, TimeoutError) as error:
            found = f"{self.servers} does not say what there is of {', '.join(self.topics)}: {error!r}"
            raise UnreachableError("record", found, "see the broker's log") from None

    async def _run(self, recorder: Recorder, readings: list[Reading], capture: Capture, stop: asyncio.Event) -> Summary:
        begun = time.monotonic()
        try:
            reason = await recorder.run(stop)
        except QuetmaError as error:
            if not (kept := sum(reading.records for reading in readings)):
                capture.discard()
                raise
            fix = f"{error.fix}. {kept:,} records are kept: quetma record --finish {self.out}"
            raise type(error)(error.stage, error.found, fix) from None
        seconds = time.monotonic() - begun
        records = await asyncio.to_thread(capture.finish)
        return {
            "out": str(self.out),
            "ended": reason,
            "records": records,
            "bytes": recorder.bytes,
            "file_bytes": self.out.stat().st_size,
            "seconds": round(seconds, 3),
            "records_per_second": round(records / max(seconds, 1e-9), 1),
            "partitions": [_row(reading) for reading in readings],
        }

    def _seconds(self) -> float | None:
        """Return how long recording takes at most: as asked, or up to a time that is still to come."""
        if self.until.kind == "seconds":
            return self.until.seconds
        ahead = self.until.at_ms / 1000 - time.time()
        return ahead if self.until.kind == "time" and ahead > 0 else None


def _row(reading: Reading) -> dict[str, Any]:
    return {
        "topic": reading.topic,
        "partition": reading.partition,
        "records": reading.records,
        "first_offset": reading.first,
        "last_offset": reading.last,
    }


def _expected(readings: list[Reading]) -> int | None:
    """Return how many offsets there are to read, if that is known."""
    ends = [reading.end for reading in readings]
    if None in ends:
        return None
    return sum(max(end - reading.start, 0) for end, reading in zip(ends, readings, strict=True) if end is not None)
