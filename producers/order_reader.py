"""Reading ``quetma.interventions``: first to its end, then what comes.

In: a broker. Out: its records, given to `Orders`, until the task is cancelled.
"""

from __future__ import annotations

import asyncio
import logging

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from producers.orders import Orders
from producers.topic_tails import consumer_of, read_to_end
from schemas.errors import UnreachableError
from schemas.topics import INTERVENTIONS

log = logging.getLogger("quetma.orders")

PLACE = TopicPartition(INTERVENTIONS, 0)
FETCH_WAIT_MS = 250
POLL_MS = 1000
RETRY_SECONDS = 1.0


class OrderReader:
    """Reads the topic for one process."""

    def __init__(self, servers: str, orders: Orders) -> None:
        self._servers, self._orders = servers, orders
        self._offset = 0

    async def catch_up(self) -> None:
        """Read what is there.

        Raises:
            UnreachableError: if the broker does not answer.
        """
        async for record in read_to_end(self._servers, {PLACE: 0}):
            self._read(record.offset, record.value)

    async def follow(self) -> None:
        """Read what comes, for ever; while the broker is away, nothing comes."""
        while True:
            try:
                await self._follow()
            except (KafkaError, UnreachableError) as error:
                log.warning("orders cannot be read: %s", error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _follow(self) -> None:
        async with consumer_of(self._servers, [PLACE], FETCH_WAIT_MS) as consumer:
            consumer.seek(PLACE, self._offset)
            while True:
                for records in (await consumer.getmany(PLACE, timeout_ms=POLL_MS)).values():
                    for record in records:
                        self._read(record.offset, record.value)

    def _read(self, offset: int, value: bytes | None) -> None:
        self._orders.read(value)
        self._offset = offset + 1
