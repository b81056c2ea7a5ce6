"""Reading a partition to its end, where the way to the broker is bad."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from services.broker import LOOPBACK, free_port
from services.chaos.brokers import MemoryBroker
from services.chaos.proxy import Proxy
from streams import offsets
from streams.offsets import read_to_end

pytestmark = pytest.mark.broker
PLACE = TopicPartition("to-be-read", 0)
RECORDS, SIZE = 60, 100_000
"""Several fetches' worth."""


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Proxy]:
    """The way to a broker that has records."""
    address = f"{LOOPBACK}:{free_port()}"
    broker = MemoryBroker(tmp_path, address)
    async with Proxy(int(address.rpartition(":")[2])) as proxy:
        proxy.upstream = broker.bootstrap_servers
        await broker.start()
        async with AIOKafkaProducer(bootstrap_servers=address) as producer:
            for number in range(RECORDS):
                await producer.send_and_wait(PLACE.topic, bytes(SIZE), b"%d" % number, partition=PLACE.partition)
        yield proxy
        broker.kill()


async def test_it_ends_at_the_end(proxy: Proxy) -> None:
    keys = []
    assert await read_to_end(proxy.address, PLACE, 2, lambda _offset, key, _value: keys.append(key)) == RECORDS
    assert keys == [b"%d" % number for number in range(2, RECORDS)]


async def test_a_stall_is_not_waited_for(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offsets, "TIMEOUT_SECONDS", 2.0)
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        await read_to_end(proxy.address, PLACE, 0, lambda *_record: proxy.stall())
    assert time.monotonic() - begun < 20
