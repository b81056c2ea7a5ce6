"""A running Quetma for tests: real processes against a real broker.

In: a broker. Out: `quetma` commands run to their end, or kept running until the test ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from services.broker import free_port
from services.scrape import Samples, scrape
from services.supervisor import Child

DEADLINE_SECONDS = 60.0


class System:
    """Processes of one broker. Use as a context manager: they end with it."""

    def __init__(self, bootstrap_servers: str, folder: Path) -> None:
        self.servers = bootstrap_servers
        self.folder = folder
        self.ports = {name: free_port() for name in ("serve", "stream", "stream-2", "produce")}
        self._children: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for child in reversed(self._children):
            child.ask_to_stop()
        for child in reversed(self._children):
            asyncio.run(child.stopped(grace_seconds=10.0))

    def environment(self, name: str = "serve") -> dict[str, str]:
        return {
            "QUETMA_KAFKA__BOOTSTRAP_SERVERS": self.servers,
            "QUETMA_SERVE__PORT": str(self.ports["serve"]),
            "QUETMA_STREAM__METRICS_PORT": str(self.ports.get(name, self.ports["stream"])),
            "QUETMA_PRODUCER__METRICS_PORT": str(self.ports["produce"]),
            "QUETMA_STREAM__SESSION_TIMEOUT_SECONDS": "6",
        }

    def quetma(self, *arguments: str, timeout: float = 90.0, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return run_quetma(*arguments, timeout=timeout, **self.environment(), **environment)

    def start(self, name: str, *arguments: str, **environment: str) -> Child:
        """Start a command that goes on, by default the one of its name."""
        child = Child(name, arguments or (name,), {**self.environment(name), **environment}, self.folder)
        self._children.append(child)
        return child

    def ready(self) -> tuple[Child, Child]:
        """Create topics, start a worker and an exporter, wait until both are ready."""
        created = self.quetma("topics", "create")
        assert created.returncode == 0, created.stderr
        stream, serve = self.start("stream"), self.start("serve")
        self.until(lambda: self.metrics("stream").total("quetma_recovery_seconds") > 0, [stream, serve])
        return stream, serve

    def metrics(self, name: str) -> Samples:
        return asyncio.run(scrape(f"http://127.0.0.1:{self.ports[name]}/metrics"))

    def verify(self, *arguments: str, wait: str = "15s") -> dict[str, Any]:
        """Return the verdict, whatever it is."""
        done = self.quetma("verify", "--json", "--wait", wait, *arguments)
        assert done.stdout, done.stderr
        verdict: dict[str, Any] = json.loads(done.stdout)
        assert done.returncode == (0 if verdict["exact"] else 1), done.stderr
        return verdict

    def until(self, condition: Callable[[], bool], alive: list[Child] | None = None) -> None:
        """Wait for a condition, while the given processes must live."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            for child in alive or []:
                assert child.exit_code is None, f"{child.name} ended: {child.log_end()}"
            assert time.monotonic() < deadline, "\n".join(child.log_end() for child in self._children)
            time.sleep(0.1)


def run_quetma(*arguments: str, timeout: float = 90.0, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `quetma` to its end; the environment has none of our variables but those given."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("QUETMA_")}
    return subprocess.run(
        [sys.executable, "-m", "services.cli", *arguments],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        check=False,
    )
