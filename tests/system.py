"""A running Quetma for tests: real processes against a real broker.

In: a broker. Out: `quetma` commands run to their end, or kept running until the system ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import pytest

from services.broker import free_port
from services.scrape import Samples, scrape
from services.supervisor import Child
from services.verify import verify

BROKERS = ["embedded", "kafka"]
ON_BOTH = os.environ.get("QUETMA_TEST_BOTH_BROKERS") == "1"
"""Whether tests run on both brokers that usually run on the quicker one, or the one with quicker rebalances."""
DEADLINE_SECONDS = 60.0
SESSION_SECONDS = 3.0
"""How long a worker may be silent: what waits for the end of a session waits for this."""

Outcomes = dict[str, subprocess.CompletedProcess[str]]


class System:
    """Processes of one broker. Use as a context manager: they end with it."""

    worker: Child
    exporter: Child

    def __init__(self, bootstrap_servers: str, folder: Path) -> None:
        self.servers = bootstrap_servers
        self.folder = folder
        self.ports = {name: free_port() for name in ("serve", "stream", "stream-2", "produce")}
        self.store = "memory"
        """Where its workers keep state."""
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
            "QUETMA_STREAM__SESSION_TIMEOUT_SECONDS": f"{SESSION_SECONDS:g}",
        }

    def quetma(self, *arguments: str, timeout: float = 90.0, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return run_quetma(*arguments, timeout=timeout, **{**self.environment(), **environment})

    def start(self, name: str, *arguments: str, **environment: str) -> Child:
        """Start a command that goes on, by default the one of its name."""
        variables = {**self.environment(name), **self._state(), **environment}
        child = Child(name, arguments or (name,), variables, self.folder)
        self._children.append(child)
        return child

    def _state(self) -> dict[str, str]:
        if self.store == "memory":
            return {}
        folder = self.folder / f"state-{len(self._children)}"  # a child's own, and there again when it is restarted
        return {"QUETMA_STREAM__STORE": self.store, "QUETMA_STREAM__DATA_DIR": str(folder)}

    def use_store(self, store: str) -> None:
        """Have the worker, and those to come, keep their state in a store; a worker with another one ends."""
        if store == self.store:
            return
        self.store = store
        self.worker.ask_to_stop()
        assert asyncio.run(self.worker.stopped()) == 0, self.worker.log_end()
        self.worker = self.start("stream")
        self.until(self.recovered, [self.worker])

    def ready(self) -> None:
        """Create topics, start a worker and an exporter, wait until both are ready."""
        created = self.quetma("topics", "create")
        assert created.returncode == 0, created.stderr
        self.worker, self.exporter = self.start("stream"), self.start("serve")
        self.until(self.recovered, [self.worker, self.exporter])
        self.until(lambda: bool(self.metrics("serve")), [self.worker, self.exporter])

    def go_on_with(self, second: Child) -> None:
        """Take the second worker for the worker from now on, when the first one has ended."""
        self.worker = second
        self.ports["stream"], self.ports["stream-2"] = self.ports["stream-2"], self.ports["stream"]

    def recovered(self) -> bool:
        """Whether the worker is at work."""
        return self.metrics("stream").total("quetma_recovery_seconds") > 0

    def processed(self, worker: str = "stream") -> float:
        """How many records are counted in the state of the partitions that a worker has; 0 if it has none."""
        return self.metrics(worker).total("quetma_processed_records_total")

    def acked(self) -> float:
        """How many payments of the producer are acknowledged; 0 if it does not run."""
        return self.metrics("produce").total("quetma_acked_payments_total")

    def metrics(self, name: str) -> Samples:
        return asyncio.run(scrape(f"http://127.0.0.1:{self.ports[name]}/metrics"))

    def produce(self, run: str, *arguments: str) -> Child:
        """Start a producer of a run of its own."""
        return self.start("produce", "produce", "an-giang", "--run", run, "--json", *arguments)

    def verify(self, run: str, wait_seconds: float = 15.0) -> dict[str, Any]:
        """Return the verdict on a run, whatever it is."""
        return asyncio.run(verify(self.servers, run, wait_seconds=wait_seconds)).document()

    def quetma_verify(self, *arguments: str) -> dict[str, Any]:
        """Return the verdict of the command, whatever it is."""
        done = self.quetma("verify", "--json", *arguments)
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


def on(*kinds: str) -> pytest.MarkDecorator:
    """Run a test on these kinds of brokers: what it tests is there only."""
    return pytest.mark.parametrize("broker_kind", kinds, indirect=True)


def usually_on(kind: str) -> pytest.MarkDecorator:
    """Run a test on one broker, to save minutes, and with `QUETMA_TEST_BOTH_BROKERS=1` on both."""
    return on(*BROKERS) if ON_BOTH else on(kind)


def finished(producer: Child) -> dict[str, Any]:
    """Wait for a producer's end and return its summary."""
    assert asyncio.run(producer.stopped(60.0)) == 0, producer.log_end()
    summary: dict[str, Any] = json.loads(producer.output().splitlines()[-1])
    return summary


def put_in(verdict: dict[str, Any], kind: str) -> int:
    """Return how many faults of a kind the producer put in, as the ledger has it."""
    count: int = verdict["faults"].get(kind, {"ledger": 0})["ledger"]
    return count


def records_of(verdict: dict[str, Any]) -> int:
    """Return how many records the payments of a run have on their topic, copies included, as the ledger has it."""
    payments: int = verdict["payments"]["ledger"]
    return payments + put_in(verdict, "duplicates") + put_in(verdict, "malformed")


def run_all(commands: Mapping[str, tuple[str, ...]]) -> Outcomes:
    """Run commands, two at once, each to its end; return how they ended, by their names."""
    with ThreadPoolExecutor(2) as pool:
        ended = pool.map(lambda arguments: run_quetma(*arguments), commands.values())
        return dict(zip(commands, ended, strict=True))


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
