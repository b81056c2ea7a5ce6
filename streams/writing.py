"""What an owner wants written, onto its topics.

In: `streams.protocol.Write`s and claims. Out: records on the changelog, the adoption topics, the alerts and the dead
letters, each acknowledged when the call returns. They go as whole batches: Faust's producer takes one record at a time,
with a future and a look for a free place for each, and a flush has thousands.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from schemas.topics import ALERTS, DEAD_LETTERS, PAYMENTS, STATE_CHANGELOG
from streams.fold import DeadLetter
from streams.lineage import StateRecord, claim_of, identity_key
from streams.protocol import Write

DEAD_LETTER_BYTES: Final = 1 << 19
"""How much of a record's key and value a dead letter keeps."""
_NO_HEADERS: Final[list[tuple[str, bytes]]] = []

_Record = tuple[str, bytes, bytes | None, int, list[tuple[str, bytes]]]
"""Topic, key, value, time in UTC epoch milliseconds, headers."""


class Writer:
    """Writes through the producer of a Faust app."""

    def __init__(self, producer: Callable[[], AIOKafkaProducer]) -> None:
        """Take what gives the producer once it has started."""
        self._producer = producer

    async def claim(self, partition: int, claimant: str) -> int:
        """Claim a partition; return the claim's offset in the changelog."""
        return await self._one(partition, claim_of(partition, claimant))

    async def identify(self, partition: int, name: str) -> int:
        """Name a partition of the changelog; return the offset of the record that does."""
        return await self._one(partition, (identity_key(partition), name.encode()))

    async def write(self, partition: int, write: Write) -> None:
        """Write all, in order within each topic, and wait until it is acknowledged."""
        now = _now()
        futures = await self._send(partition, _state(write.state, now))
        futures += await self._send(partition, (_dead_letter(partition, one) for one in write.dead_letters))
        futures += await self._send(partition, ((ALERTS, key, value, now, _NO_HEADERS) for key, value in write.alerts))
        futures += await self._send(partition, sorted(_adoption(write, now), key=itemgetter(0)))
        await asyncio.gather(*futures)

    async def _one(self, partition: int, record: StateRecord) -> int:
        (written,) = await self._send(partition, _state([record], _now()))
        return int((await written).offset)

    async def _send(self, partition: int, records: Iterable[_Record]) -> list[Awaitable[Any]]:
        """Send records, those of a topic one after the other; return the futures of their batches."""
        producer, futures = self._producer(), list[Awaitable[Any]]()
        for topic, listed in groupby(records, itemgetter(0)):
            batch = producer.create_batch()
            for _, key, value, timestamp, headers in listed:
                while batch.append(key=key, value=value, timestamp=timestamp, headers=headers) is None:  # it is full
                    futures.append(await producer.send_batch(batch, topic, partition=partition))
                    batch = producer.create_batch()
            batch.close()
            futures.append(await producer.send_batch(batch, topic, partition=partition))
        return futures


def _state(records: Iterable[StateRecord], now: int) -> Iterator[_Record]:
    return ((STATE_CHANGELOG, key, value, now, _NO_HEADERS) for key, value in records)


def _adoption(write: Write, now: int) -> Iterator[_Record]:
    """Yield adoption records; the last one carries the probes, so that it measures the way of them all."""
    probes = [("probes", ",".join(map(str, write.probes)).encode())] if write.probes else _NO_HEADERS
    for left, one in zip(range(len(write.emissions) - 1, -1, -1), write.emissions, strict=True):
        yield one.topic, one.key.encode(), one.value(now), now, _NO_HEADERS if left else probes


def _dead_letter(partition: int, letter: DeadLetter) -> _Record:
    record = letter.record
    value = record.value or b""
    headers = [
        ("reason", letter.reason.encode()),
        ("detail", letter.detail.encode()),
        ("key", (record.key or b"")[:DEAD_LETTER_BYTES]),
        ("bytes", str(len(value)).encode()),
    ]
    place = f"{PAYMENTS}-{partition}-{record.offset}"
    kept = value[:DEAD_LETTER_BYTES]  # with its headers it must fit where the record alone just did
    return DEAD_LETTERS, place.encode(), kept, record.timestamp, headers


def _now() -> int:
    return time.time_ns() // 1_000_000
