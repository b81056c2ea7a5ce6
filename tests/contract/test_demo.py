"""The demo as a process: it ends in order and exact, whatever happens to it, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.broker import free_port
from services.scrape import scrape
from services.supervisor import Child
from services.verify import verify
from tests.kafka.server import ApacheKafka
from tests.system import put_in, run_quetma
from tests.tools import require_tool

pytestmark = pytest.mark.broker

FREE_PORTS = {
    "QUETMA_SERVE__PORT": "0",
    "QUETMA_STREAM__METRICS_PORT": "0",
    "QUETMA_PRODUCER__METRICS_PORT": "0",
}


class Demo:
    """A demo that goes on until it is told to stop."""

    def __init__(self, folder: Path, *scenario: str) -> None:
        self._port = free_port()
        environment = {**FREE_PORTS, "QUETMA_STREAM__METRICS_PORT": str(self._port)}
        self.process = Child("demo", ["demo", *scenario, "--json"], environment, folder)

    @property
    def children(self) -> dict[int, bytes]:
        """Process ids and command lines of its broker, worker, exporter and producer, as far as they run."""
        columns = ["ps", "-o", "pid=,args=", "--ppid", str(self.process.pid)]
        listed = subprocess.run(columns, capture_output=True, check=False).stdout.splitlines()
        return {int(pid): line for pid, line in (row.split(maxsplit=1) for row in listed)}

    @property
    def worker(self) -> int | None:
        return next((pid for pid, line in self.children.items() if line.endswith(b" services.cli stream")), None)

    def processed(self) -> float:
        samples = asyncio.run(scrape(f"http://127.0.0.1:{self._port}/metrics"))
        return samples.total("quetma_processed_records_total")

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 40
        while not condition():
            assert self.process.exit_code is None, self.process.log_end()
            assert time.monotonic() < deadline, self.process.log_end()
            time.sleep(0.1)

    def interrupted(self) -> dict[str, Any]:
        """Interrupt it, wait for its end, and return what it says."""
        self.process.send(signal.SIGINT)
        assert asyncio.run(self.process.stopped(60.0)) == 0, self.process.log_end()
        document: dict[str, Any] = json.loads(self.process.output())
        return document


@dataclass(frozen=True)
class Interrupted:
    """How a demo ended whose worker was killed, and that was then interrupted."""

    children: set[int]
    """All that it ever had."""
    document: dict[str, Any]
    said: str
    """On stderr."""


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interrupted]:
    demo = Demo(tmp_path_factory.mktemp("demo"), "hung-yen")
    try:
        demo.until(lambda: len(demo.children) == 4 and demo.processed() > 2000)
        children, seen, worker = set(demo.children), demo.processed(), demo.worker
        assert worker is not None
        os.kill(worker, signal.SIGKILL)
        demo.until(lambda: demo.worker not in {None, worker} and demo.processed() > seen + 1000)
        children |= set(demo.children)
        yield Interrupted(children, demo.interrupted(), demo.process.log_end())
    finally:
        demo.process.kill()


def test_demo_interrupted_ends_in_order_and_exact(interrupted: Interrupted) -> None:
    document = interrupted.document
    assert document["scenario"] == "hung-yen"
    assert document["exact"] is True
    assert document["acked"] == document["processed"] == document["exported"] > 0
    expected = "scenario seed produced acked processed duplicates dead_letters late exported exact mismatches"
    assert list(document) == [*expected.split(), "events_per_second", "latency_ms"]
    assert set(document["latency_ms"]) == {"p50", "p95", "p99"}
    assert not any(Path(f"/proc/{pid}").exists() for pid in interrupted.children)


def test_demo_says_where_its_page_is(interrupted: Interrupted) -> None:
    assert re.search(r"^live page http://127\.0\.0\.1:\d+/#token=\S{24,}$", interrupted.said, re.MULTILINE)


def test_demo_brings_back_a_killed_worker_and_stays_exact(interrupted: Interrupted) -> None:
    assert len(interrupted.children) == 5
    assert interrupted.document["exact"] is True


def test_demo_killed_takes_all_its_processes_with_it(tmp_path: Path) -> None:
    demo = Demo(tmp_path)
    demo.until(lambda: len(demo.children) == 4)
    children = demo.children
    demo.process.kill()
    deadline = time.monotonic() + 5
    while any(Path(f"/proc/{pid}").exists() for pid in children):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_demo_on_a_cluster_of_ones_own_is_exact_and_so_is_the_next_one(tmp_path: Path) -> None:
    require_tool("java", "mvn")
    with ApacheKafka(tmp_path) as kafka:
        for _ in range(2):
            options = ("--broker", kafka.bootstrap_servers, "--for", "2s", "--json")
            done = run_quetma("demo", "phu-tho", *options, **FREE_PORTS)
            assert done.returncode == 0, done.stderr
            document = json.loads(done.stdout)
            assert document["exact"] is True
            assert document["scenario"] == "phu-tho"
            assert document["acked"] == document["processed"] == document["exported"] > 0
            verdict = asyncio.run(verify(kafka.bootstrap_servers)).document()  # of the run that started last
            assert verdict["payments"]["ledger"] == document["acked"]
            assert document["duplicates"] == put_in(verdict, "duplicates")
            assert document["dead_letters"] == put_in(verdict, "malformed")
