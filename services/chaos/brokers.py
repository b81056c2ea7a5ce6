"""The brokers that chaos can be let loose on.

In: a folder and the address that clients are to use. Out: a broker that starts, ends, and says what may be done to it.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, Protocol

from schemas.errors import UnreachableError
from services.broker import LOOPBACK, ServerProcess, check_reachable, cluster_id, find_tansu, free_port

START_SECONDS, STOP_SECONDS = 10.0, 3.0
LOOK_SECONDS = 0.5


class Broker(Protocol):
    """A broker that we start and end. It advertises the address that it was given, not the one it listens on."""

    bootstrap_servers: str
    """HOST:PORT that it listens on."""

    async def start(self) -> None:
        """Start it, on the data that it had before if it keeps any, and wait until it serves."""

    async def stop(self) -> None:
        """End it in good order."""

    def kill(self) -> None:
        """End it with SIGKILL."""

    def log_end(self) -> str:
        """Return its last words."""


MakeBroker = Callable[[Path, str], Broker]
"""Makes a broker of a folder for its data and the address, HOST:PORT, that it advertises."""


class MemoryBroker:
    """Tansu behind another address. Its memory is its only copy: once ended, it is not started again."""

    def __init__(self, folder: Path, advertised: str) -> None:
        self.bootstrap_servers = f"{LOOPBACK}:{free_port()}"
        self._advertised, self._log = advertised, folder / "broker.log"
        self._process: ServerProcess | None = None

    async def start(self) -> None:
        """Start it and wait until it answers at the address that it advertises.

        Raises:
            UnreachableError: if it does not in time.
        """
        own_id = f"quetma-{uuid.uuid4().hex}"
        flags = {
            "--cluster-id": own_id,
            "--listener-url": f"tcp://{self.bootstrap_servers}",
            "--advertised-listener-url": f"tcp://{self._advertised}",
            "--storage-engine": "memory://tansu/",
        }
        command = [find_tansu(), "broker", *(word for flag in flags.items() for word in flag)]
        self._process = ServerProcess(command, log_path=self._log, environment={"RUST_LOG": "warn"})
        deadline = time.monotonic() + START_SECONDS
        while self._process.alive and time.monotonic() < deadline:
            with suppress(UnreachableError):
                if await cluster_id(self._advertised, timeout_seconds=1.0) == own_id:
                    return
            await asyncio.sleep(0.02)
        raise UnreachableError("chaos", "the embedded broker does not answer", f"Its last words: {self.log_end()}")

    async def gone(self) -> NoReturn:
        """Wait until it has ended.

        Raises:
            UnreachableError: when it has.
        """
        while self._process is not None and self._process.alive:  # noqa: ASYNC110  # a process has no event
            await asyncio.sleep(LOOK_SECONDS)
        found = "the embedded broker has ended, and what it kept in memory with it"
        raise UnreachableError("chaos", found, f"Its last words: {self.log_end()}")

    async def stop(self) -> None:
        """End it and with it all it held."""
        if self._process is not None:
            await asyncio.to_thread(self._process.stop, STOP_SECONDS)

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self._process is not None:
            self._process.kill()

    def log_end(self) -> str:
        """Return its last words."""
        return "" if self._process is None else self._process.log_end()


class GivenBroker:
    """A cluster that runs already, and that is left running. Nothing can stand between it and its clients."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers = bootstrap_servers

    async def start(self) -> None:
        """Make sure that it answers.

        Raises:
            UnreachableError: if it does not.
        """
        await check_reachable(self.bootstrap_servers)

    async def stop(self) -> None:
        """Leave it as it is."""

    def kill(self) -> None:
        """Leave it as it is."""

    def log_end(self) -> str:
        """Return nothing: its log is elsewhere."""
        return ""
