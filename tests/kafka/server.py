"""Apache Kafka for tests: one node, broker and controller in one JVM, on free loopback ports.

In: an empty folder for its data. Out: a broker that answers, and that can be stopped, killed and started again
on the same data and ports. Its jars come from Maven once (pom.xml) and are found again through target/.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import subprocess
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Self

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, for_code

from schemas.errors import UnreachableError
from services.broker import LOOPBACK, ServerProcess, check_reachable, free_port
from services.leash import leashed

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
TARGET = HERE / "target"
START_SECONDS = 60.0
STOP_SECONDS = 20.0

JVM_OPTIONS = [
    "-Xms128m",
    "-Xmx768m",
    # All of these start fast; the tests' load is small, and Maven has checked the jars.
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+IgnoreUnrecognizedVMOptions",
    "-XX:+UnlockDiagnosticVMOptions",
    "-XX:-BytecodeVerificationRemote",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    "-Dorg.apache.logging.log4j.level=WARN",  # log4j's default configuration: to the console
]

SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    # One node can hold one replica.
    "default.replication.factor": "1",
    "offsets.topic.replication.factor": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    # Small and quick: few files, no waiting for more members, short sessions allowed.
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "num.network.threads": "2",
    "num.io.threads": "4",
    # A broker that was killed may come back once its session has ended: by default after 9 s.
    "broker.session.timeout.ms": "4000",
    "broker.heartbeat.interval.ms": "500",
    "log.cleaner.dedupe.buffer.size": "16777216",
    "log.cleaner.backoff.ms": "1000",
}


class ApacheKafka:
    """A single-node Apache Kafka, for as long as the context lasts: `with` or `async with`.

    Args:
        data_dir: a folder of its own for its settings, logs and data.
        advertised: the address, HOST:PORT, that it tells its clients; by default the one it listens on.

    Construct and start it in the main thread (see services/leash.py). Constructing formats the storage, which
    takes seconds and blocks.
    """

    def __init__(self, data_dir: Path, advertised: str | None = None) -> None:
        self._classpath = classpath()
        self._log_path, self._settings_path = data_dir / "server.log", data_dir / "server.properties"
        broker, controller = (f"{LOOPBACK}:{port}" for port in _two_free_ports())
        self.bootstrap_servers = broker
        settings = SETTINGS | {
            "listeners": f"PLAINTEXT://{broker},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{advertised or broker}",
            "controller.quorum.bootstrap.servers": controller,
            "log.dirs": str(data_dir / "data"),
        }
        self._settings_path.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        self._process: ServerProcess | None = None
        self._format()

    @property
    def pid(self) -> int | None:
        """The process id of the JVM; None before it started."""
        return None if self._process is None else self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the JVM runs."""
        return self._process is not None and self._process.alive

    async def start(self) -> None:
        """Start it, on the data and ports it had before, and wait until topics can be created."""
        if self.alive:
            return
        command = self._java("kafka.Kafka", str(self._settings_path))
        self._process = ServerProcess(command, log_path=self._log_path)
        deadline = time.monotonic() + START_SECONDS
        try:
            while not await _serves(self.bootstrap_servers):
                if not self._process.alive or time.monotonic() > deadline:
                    raise UnreachableError(
                        "kafka", "Apache Kafka did not start", f"Its last words: {self._process.log_end()}"
                    )
                await asyncio.sleep(0.1)
        except BaseException:
            self._process.kill()
            raise

    async def stop(self) -> None:
        """End it in good order; does nothing when it has ended."""
        if self._process is not None:
            await asyncio.to_thread(self._process.stop, STOP_SECONDS)

    def kill(self) -> None:
        """End it with SIGKILL, as a power cut would end it."""
        if self._process is not None:
            self._process.kill()

    def __enter__(self) -> Self:
        asyncio.run(self.start())
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.stop(STOP_SECONDS)

    def log_end(self) -> str:
        """The end of what it wrote."""
        return "" if self._process is None else self._process.log_end()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _java(self, main_class: str, *arguments: str) -> list[str]:
        return ["java", *JVM_OPTIONS, "-cp", self._classpath, main_class, *arguments]

    def _format(self) -> None:
        options = ["--standalone", "--cluster-id", str(uuid.uuid4()), "--config", str(self._settings_path)]
        _run(self._java("kafka.tools.StorageTool", "format", *options))


def classpath() -> str:
    """The broker's jars, resolved by Maven when pom.xml changed or a jar went missing since the last time."""
    TARGET.mkdir(exist_ok=True)
    pom = HERE / "pom.xml"
    known = TARGET / f"classpath-{hashlib.sha256(pom.read_bytes()).hexdigest()[:16]}.txt"
    with (TARGET / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test runs at once: the second one waits and finds it done
        if not known.exists() or not all(Path(jar).exists() for jar in known.read_text().split(os.pathsep)):
            fresh = known.with_suffix(".new")
            goal = ["dependency:build-classpath", f"-Dmdep.outputFile={fresh}"]
            _run(["mvn", "--batch-mode", "--quiet", "--file", str(pom), *goal])
            fresh.rename(known)
    return known.read_text()


def _run(command: Sequence[str]) -> None:
    """Run a command to its end; when it fails, raise with what it said."""
    done = subprocess.run(
        leashed(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode:
        said = done.stdout.decode(errors="replace")[-2_000:]
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {said}")


def _two_free_ports() -> tuple[int, int]:
    first, second = free_port(), free_port()
    return (first, second) if first != second else _two_free_ports()


async def _serves(bootstrap_servers: str) -> bool:
    """Whether it answers, creates and deletes topics, and has its group coordinator at work."""
    try:
        await check_reachable(bootstrap_servers, timeout_seconds=2.0)
    except UnreachableError:
        return False
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=5_000)
    topic = f"ready-{uuid.uuid4().hex}"
    with contextlib.suppress(KafkaError, OSError):
        try:
            await admin.start()
            answer = await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
            for error in answer.topic_errors:
                if error[1]:
                    raise for_code(error[1])(error)
            await admin.delete_topics([topic])
            await admin.find_coordinator("ready")
            return True
        finally:
            await admin.close()
    return False
