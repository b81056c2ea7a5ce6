"""What the page reads from the broker beside the exporter: names, alerts, orders, and a little of the newest payments.

In: ``quetma.cells``, ``quetma.alerts``, ``quetma.interventions`` in full; ``quetma.payments`` a few records a second at
their ends; ``quetma.qr-codes`` in part. Out: a `PageView` that has learnt them.
It must not cost the exporter: payments are never read through, and of the codes no more than the page keeps.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import chain
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.events import decode_payment
from schemas.topics import CELLS, INTERVENTIONS, PAYMENTS, QR_CODES
from services.page.view import PageView
from services.topic_reader import partitions_of
from streams.offsets import fetched_ends, stopped

POLL_SECONDS: Final = 0.5
SAMPLES: Final = 10
"""Payments shown of each poll, at most."""
LOOKED_AT: Final = 64
"""Records looked at in each poll, at most."""
CODES_AT_BEGIN, CODES_AT_END = 60_000, 15_000
"""Records of a partition of codes that are read: the first, where a run puts up its stalls' codes, and the last."""
CODES_AT_ONCE: Final = 1000
CODES_SECONDS: Final = 0.25
"""Time between two reads: codes are many, and reading them all would make the figures wait."""
FETCH_BYTES: Final = 1 << 16

log = logging.getLogger("quetma.page")
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Tails:
    """Reads for a view. Each method goes on until the broker fails, and may then be called again."""

    def __init__(self, bootstrap_servers: str, view: PageView) -> None:
        self._servers = bootstrap_servers
        self._view = view

    async def follow(self) -> None:
        """Learn names and orders, from the beginning on."""
        learners = {
            CELLS: self._view.learn_cell,
            INTERVENTIONS: self._view.learn_order,
        }
        places = await partitions_of(self._servers, learners)
        async with self._consumer() as consumer:
            consumer.assign(places)
            await consumer.seek_to_beginning(*places)
            while True:
                for place, records in (await consumer.getmany(timeout_ms=1000, max_records=5000)).items():
                    for record in records:
                        _learn(learners[place.topic], record)
                await asyncio.sleep(0)

    async def sample(self) -> None:
        """Learn a few of the newest payments, twice a second."""
        places = await partitions_of(self._servers, [PAYMENTS])
        async with self._consumer(max_partition_fetch_bytes=FETCH_BYTES) as consumer:
            ends = await fetched_ends(consumer, places)
            for place, end in ends.items():
                consumer.seek(place, max(0, end - LOOKED_AT // 2))
            while True:
                fetched = await consumer.getmany(timeout_ms=200, max_records=LOOKED_AT)
                self._take_samples(fetched)
                consumer.pause(*places)
                await asyncio.sleep(POLL_SECONDS)
                await _skip(consumer, places, behind=LOOKED_AT // 2)
                consumer.resume(*places)

    def _take_samples(self, fetched: dict[TopicPartition, list[Any]]) -> None:
        payments = list(filter(None, map(_payment, chain.from_iterable(fetched.values()))))
        now = time.monotonic()
        for payment in chosen(payments, lambda one: self._view.codes.payload(one) is not None):
            self._view.learn_payment(payment, now)

    async def read_codes(self) -> None:
        """Learn codes: those at the beginning of each partition, and those at its end from then on."""
        places = await partitions_of(self._servers, [QR_CODES])
        async with self._consumer(max_partition_fetch_bytes=FETCH_BYTES * 4) as consumer:
            await fetched_ends(consumer, places)
            await consumer.seek_to_beginning(*places)
            while True:
                for records in (await consumer.getmany(timeout_ms=1000, max_records=CODES_AT_ONCE)).values():
                    for record in records:
                        _learn(self._view.codes.learn, record)
                for place in places:
                    if await consumer.position(place) >= CODES_AT_BEGIN:
                        await _skip(consumer, [place], behind=CODES_AT_END)
                await asyncio.sleep(CODES_SECONDS)

    @asynccontextmanager
    async def _consumer(self, **options: Any) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._servers.split(","), auto_offset_reset="earliest", fetch_max_wait_ms=100, **options
        )
        await consumer.start()
        try:
            yield consumer
        finally:
            await stopped(consumer)


async def _skip(consumer: AIOKafkaConsumer, places: list[TopicPartition], *, behind: int) -> None:
    """Go on at most ``behind`` records before the ends."""
    for place in places:
        end = consumer.highwater(place)
        if end is not None and end - behind > await consumer.position(place):
            consumer.seek(place, end - behind)


def chosen(payments: list[dict[str, Any]], has_code: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """Return the newest payments, in order; half of them with a code to show if there are as many: most are in cash."""
    newest = sorted(payments, key=lambda one: one["occurred_at"])[-LOOKED_AT:]
    scanned = [payment for payment in newest if has_code(payment)][-SAMPLES // 2 :]
    ids = {payment["payment_id"] for payment in scanned}
    others = [payment for payment in newest if payment["payment_id"] not in ids][len(scanned) - SAMPLES :]
    return sorted([*scanned, *others], key=lambda one: one["occurred_at"])


def _payment(record: Any) -> dict[str, Any] | None:
    """Return a payment, none if it is spoiled: that is part of the scenario, and the stream's business."""
    try:
        payment: dict[str, Any] = msgspec.to_builtins(decode_payment(record.value or b""))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return payment


def _learn(learn: Callable[[dict[str, Any]], None], record: Any) -> None:
    try:
        learn(_decode(record.value or b""))
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        log.warning("%s-%s, offset %s: passed over: %r", record.topic, record.partition, record.offset, error)
