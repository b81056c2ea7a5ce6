"""A run that is over: its last windows become final, its state leaves, and its books stay exact."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from schemas.topics import ADOPTION_COMMUNE, ADOPTION_MARKET, DEAD_LETTERS, PAYMENTS, STATE_CHANGELOG
from services.broker import EmbeddedBroker
from services.topic_reader import read_all
from streams.offsets import read_to_end
from tests.kafka.server import ApacheKafka
from tests.system import System, run_quetma

pytestmark = pytest.mark.broker
IDLE = {"QUETMA_STREAM__IDLE_SECONDS": "2", "QUETMA_STREAM__FORGET_SECONDS": "5"}
PARTITIONS = 4
ARGUMENTS = ("an-giang", "--days", "1", "--shard", "3/10", "--speed", "max", "--run", "over", "--json")


@pytest.fixture
def forgetful(broker_kind: str, tmp_path: Path) -> Iterator[System]:
    """A system whose worker soon forgets, on a broker of its own: the shared one's runs are gone on with."""
    with (
        EmbeddedBroker(tmp_path) if broker_kind == "embedded" else ApacheKafka(tmp_path) as broker,
        System(broker.bootstrap_servers, tmp_path) as system,
    ):
        assert run_quetma("topics", "create", **system.environment()).returncode == 0
        system.worker = system.start("stream", **IDLE)
        system.until(system.recovered, [system.worker])
        yield system


def test_a_run_that_is_over_closes_leaves_and_stays_exact(forgetful: System) -> None:
    system = forgetful
    done = system.quetma("produce", *ARGUMENTS)
    assert done.returncode == 0, done.stderr
    system.until(lambda: bool(state(system)), [system.worker])
    system.until(lambda: not state(system), [system.worker])
    told = newest(system)
    assert {one["final"] for one in told if one["window"] != "total"} == {True}
    assert {one["window"] for one in told} == {"total", "day", "hour"}
    verdict = system.verify("over")
    assert verdict["exact"], verdict["mismatches"][:5]
    assert verdict["payments"]["aggregates"] == json.loads(done.stdout)["acked"] > 1000
    processed = system.processed()

    system.worker.kill()
    system.worker.restart()
    system.until(system.recovered, [system.worker])
    asyncio.run(pay_again(system.servers))
    system.until(lambda: system.processed() == processed + 1, [system.worker])
    counted = system.metrics("stream").series("quetma_dead_letters_total")
    assert sum(count for labels, count in counted if labels["reason"] == "ended_run") == 1
    # It is counted when it is folded, and written at the next flush.
    system.until(lambda: b"ended_run" in reasons(system), [system.worker])
    assert system.verify("over")["payments"] == verdict["payments"]


def records(system: System, *topics: str) -> list[Any]:
    async def read() -> list[Any]:
        return [record async for record in read_all(system.servers, topics)]

    return asyncio.run(read())


def reasons(system: System) -> set[bytes]:
    return {dict(letter.headers)["reason"] for letter in records(system, DEAD_LETTERS)}


def newest(system: System) -> list[dict[str, Any]]:
    by_key = {(one.topic, one.key): one.value for one in records(system, ADOPTION_COMMUNE, ADOPTION_MARKET)}
    return [json.loads(value) for value in by_key.values()]


def state(system: System) -> list[bytes]:
    """The keys of cells that the changelog has."""
    table: dict[bytes, bytes] = {}

    def learn(_offset: int, key: bytes, value: bytes | None) -> None:
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value

    for number in range(PARTITIONS):
        asyncio.run(read_to_end(system.servers, TopicPartition(STATE_CHANGELOG, number), 0, learn))
    return [key for key in table if key.count(b"|") > 2]


async def pay_again(servers: str) -> None:
    """Send a payment of the run once more."""
    record = await anext(read_all(servers, (PAYMENTS,)))
    async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
        await producer.send_and_wait(PAYMENTS, record.value, record.key, partition=record.partition)
