"""Reading orders before a broker that is played: nothing twice, nothing missed, and no end while it is away."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from aiokafka.errors import KafkaConnectionError

from producers import order_reader
from producers.order_reader import PLACE, OrderReader
from schemas.errors import UnreachableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Topic:
    """A topic, and consumers of it that fail now and then; it is the `Orders` too, and keeps what it is given."""

    def __init__(self, failures: list[Exception]) -> None:
        self.log: list[bytes] = []
        self.failures = failures
        self.seen: list[bytes] = []
        self._position = 0

    def read(self, value: bytes) -> None:
        self.seen.append(value)

    def records(self, begin: int, most: int) -> list[SimpleNamespace]:
        numbers = range(begin, min(len(self.log), begin + most))
        return [SimpleNamespace(offset=number, value=self.log[number]) for number in numbers]

    async def read_to_end(self, _: str, begins: dict[object, int]) -> AsyncIterator[SimpleNamespace]:
        for record in self.records(begins[PLACE], len(self.log)):
            yield record

    @asynccontextmanager
    async def consumer_of(self, *_: object) -> AsyncIterator[Topic]:
        if self.failures and isinstance(self.failures[0], UnreachableError):
            raise self.failures.pop(0)
        yield self

    def seek(self, _: object, offset: int) -> None:
        self._position = offset

    async def getmany(self, *_: object, timeout_ms: int) -> dict[object, list[SimpleNamespace]]:
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        found = self.records(self._position, 2)
        self._position += len(found)
        return {PLACE: found}


async def test_it_reads_to_the_end_then_what_comes_whatever_fails_between(monkeypatch: pytest.MonkeyPatch) -> None:
    topic = Topic([UnreachableError("produce", "away", "start it"), KafkaConnectionError("gone")])
    monkeypatch.setattr(order_reader, "RETRY_SECONDS", 0)
    for name in ("read_to_end", "consumer_of"):
        monkeypatch.setattr(order_reader, name, getattr(topic, name))
    topic.log = [b"0", b"1", b"2"]
    reader = OrderReader("a:1", topic)  # type: ignore[arg-type]  # it reads, which is all that is asked for
    await reader.catch_up()
    assert topic.seen == [b"0", b"1", b"2"]
    following = asyncio.create_task(reader.follow())
    for number in range(3, 20):
        topic.log.append(str(number).encode())
        if number == 9:
            topic.failures.append(KafkaConnectionError("again"))
        for _ in range(20):
            await asyncio.sleep(0)
    assert not following.done()
    following.cancel()
    assert topic.seen == [str(number).encode() for number in range(20)]
