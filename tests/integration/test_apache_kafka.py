"""Apache Kafka as the tests start it: it serves, and kill -9 loses nothing that was acknowledged."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from services.broker import check_reachable
from tests.kafka import server as server_module
from tests.kafka.server import ApacheKafka, classpath
from tests.tools import require_tool

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.broker
PARTITION = TopicPartition("numbers", 0)


async def produce(servers: str, numbers: range) -> None:
    async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
        for number in numbers:
            await producer.send_and_wait(PARTITION.topic, str(number).encode(), partition=0)


async def consume(servers: str, count: int) -> list[int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest")
    consumer.assign([PARTITION])
    async with consumer:
        return [int((await consumer.getone()).value or b"-1") for _ in range(count)]


async def create_topic(servers: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    await admin.create_topics([NewTopic(PARTITION.topic, num_partitions=1, replication_factor=1)])
    await admin.close()


async def delete_topic(servers: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    await admin.delete_topics([PARTITION.topic])
    await admin.close()


async def test_serves(apache_kafka: str) -> None:
    await create_topic(apache_kafka)
    await produce(apache_kafka, range(5))
    assert await consume(apache_kafka, 5) == [0, 1, 2, 3, 4]
    await delete_topic(apache_kafka)


async def test_kill_and_stop_keep_data_and_address(tmp_path: Path) -> None:
    require_tool("java", "mvn")
    async with ApacheKafka(tmp_path) as kafka:
        address, first_pid = kafka.bootstrap_servers, kafka.pid
        await create_topic(address)
        await produce(address, range(3))

        kafka.kill()
        assert not kafka.alive
        await kafka.start()
        assert kafka.bootstrap_servers == address
        assert kafka.pid != first_pid
        await produce(address, range(3, 6))

        await kafka.stop()
        await kafka.stop()  # again: nothing happens
        assert not kafka.alive
        await kafka.start()
        await check_reachable(address)
        assert await consume(address, 6) == [0, 1, 2, 3, 4, 5]
    assert not kafka.alive


def test_jars_are_found_again_without_maven(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, apache_kafka: str) -> None:
    known = classpath()
    monkeypatch.setenv("PATH", str(tmp_path))  # no mvn there
    started = time.monotonic()
    assert classpath() == known
    assert time.monotonic() - started < 1


def test_jars_are_resolved_again_when_one_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, apache_kafka: str
) -> None:
    asked: list[list[str]] = []

    def run(command: list[str]) -> None:
        asked.append(command)
        output = next(word for word in command if word.startswith("-Dmdep.outputFile="))
        (tmp_path / output.rpartition("/")[2]).write_text(str(server_module.HERE / "pom.xml"))

    monkeypatch.setattr(server_module, "TARGET", tmp_path)
    monkeypatch.setattr(server_module, "_run", run)
    assert classpath() == classpath() == str(server_module.HERE / "pom.xml")
    assert len(asked) == 1
    next(tmp_path.glob("classpath-*.txt")).write_text("/no/such.jar")
    classpath()
    assert len(asked) == 2


def test_a_missing_tool_skips_and_fails_when_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QUETMA_TEST_REQUIRE_ALL", raising=False)
    assert require_tool("sh")[0].endswith("/sh")
    with pytest.raises(pytest.skip.Exception, match="no-such-tool"):
        require_tool("sh", "no-such-tool")
    monkeypatch.setenv("QUETMA_TEST_REQUIRE_ALL", "1")
    with pytest.raises(pytest.fail.Exception, match="no-such-tool"):
        require_tool("no-such-tool")
