"""Sealed batches to one acknowledgement each, through one aiokafka producer.

In: a batch and its place. Out: its offset, when the broker has it.
Where the broker keeps producers' sequences, a batch that is sent again comes once, and a copy never lands late.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import RecordMetadata

from producers.batches import SealedBatch
from producers.idempotence import keeps_sequences
from schemas.errors import UnreachableError

log = logging.getLogger("quetma.publisher")

RETRY_SECONDS = 0.5
REQUEST_TIMEOUT_MS = 10_000

Place = tuple[str, int]
"""Topic and partition."""


class BatchClient:
    """An aiokafka producer of sealed batches. Use as an async context manager.

    Args:
        servers: HOST:PORT[,HOST:PORT…].
        batch_bytes: largest batch, uncompressed.
        retried: is told how many times more than once a batch has gone out.
        close_seconds: for how long the end waits for what is under way.
    """

    def __init__(
        self,
        servers: str,
        batch_bytes: int,
        retried: Callable[[int], object],
        close_seconds: float = REQUEST_TIMEOUT_MS / 1000,
    ) -> None:
        self._servers, self._batch_bytes, self._retried = servers, batch_bytes, retried
        self._close_seconds = close_seconds
        self._producer: AIOKafkaProducer
        self._idempotent = False

    async def __aenter__(self) -> Self:
        """Start the producer, idempotent if the broker can."""
        self._idempotent = await keeps_sequences(self._servers)
        producer = self._new_producer()
        try:
            await producer.start()
        except KafkaError as error:
            await producer.stop()
            raise UnreachableError("publish", f"{self._servers} does not answer: {error}", "start it") from None
        except asyncio.CancelledError:
            await producer.stop()
            raise
        self._producer = producer
        return self

    async def __aexit__(self, *_: object) -> None:
        with suppress(TimeoutError):  # an idempotent producer would go on trying as long as the broker is away
            await asyncio.wait_for(self._producer.stop(), self._close_seconds)

    def _new_producer(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._servers.split(","),
            acks="all",
            enable_idempotence=self._idempotent,
            max_batch_size=self._batch_bytes,
            max_request_size=8 * self._batch_bytes,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )
        if self._idempotent:
            # A batch of a partition that has no leader for some seconds expires, with its number in the sequence:
            # under its next one the broker would take it for a new batch, or miss the one before. It shall wait.
            producer._message_accumulator._batch_ttl = math.inf
        return producer

    async def delivered(self, place: Place, batch: SealedBatch) -> int:
        """Send a batch until it is acknowledged; return its offset.

        An idempotent producer sends again by itself, always under the same number. What it gives up must not go out
        under another: it may have been written, and would then come twice.

        Raises:
            KafkaError: if the broker refuses it for good.
        """
        counted = 0
        while True:
            answer: asyncio.Future[RecordMetadata] | None = None
            try:
                answer = await self._producer.send_batch(batch, place[0], partition=place[1])
                metadata = await answer
                break
            except KafkaError as error:
                if not error.retriable or (self._idempotent and answer is not None):
                    raise
                log.warning("%s-%d: %r; sending %d records again", *place, error, batch.record_count())
                counted += 1
                self._retried(1)
                await asyncio.sleep(RETRY_SECONDS)
        self._retried(max(0, batch.sent - 1 - counted))
        return int(metadata.offset)
