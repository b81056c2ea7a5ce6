"""What benchmarks share: processes read from outside, the row of a measurement, a process of its own for each.

In: process ids, and functions that measure. Out: `Row`s, as `quetma bench` prints them.
Run as `python -m tests.benchmarks.measuring MODULE:FUNCTION JSON`, as `in_own_process` does, it prints one row.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import uvloop
from aiokafka import TopicPartition

from producers.scenario_files import load_scenario
from producers.simulation.world import World, build_world
from schemas.errors import BadInputError, ExitCode, QuetmaError, UnreachableError
from schemas.settings import Settings, load_settings
from schemas.topics import PAYMENTS
from services.broker import EmbeddedBroker, check_reachable
from services.demo import EMBEDDED_SESSION_SECONDS
from services.leash import leashed
from services.topic_admin import ensure_topics
from streams.offsets import end_offsets

ROOT = Path(__file__).parents[2]
SCENARIO = "an-giang"
MB = 1_000_000
TIMEOUT_SECONDS = 600.0
"""No measurement in a process of its own takes longer."""
LOG_TAIL = 2_000

Row = dict[str, Any]


def row(
    name: str, *, events: int, seconds: float, cpu_seconds: float, peak_memory_mb: dict[str, float], **more: Any
) -> Row:
    """Return what a benchmark yields.

    Args:
        name: what was measured.
        events: how many payments.
        seconds: wall time that they took.
        cpu_seconds: user and system time of the processes measured.
        peak_memory_mb: most memory of each process, by its name.
        more: what the benchmark adds.
    """
    return {
        "name": name,
        "events": events,
        "seconds": round(seconds, 3),
        "events_per_second": round(events / seconds, 1) if seconds else 0.0,
        "cpu_seconds": round(cpu_seconds, 3),
        "cpu_us_per_event": round(cpu_seconds * 1e6 / events, 3) if events else 0.0,
        "peak_memory_mb": {process: round(peak, 1) for process, peak in peak_memory_mb.items()},
        **more,
    }


class Meter:
    """CPU time and memory of a process, by default this one. What was read last stays when the process has ended."""

    def __init__(self, pid: int | None = None) -> None:
        self._process = psutil.Process(pid)
        self.cpu_seconds = 0.0
        """User and system time since it began to be measured; all its life unless `start` says otherwise."""
        self.memory_mb = 0.0
        self.peak_memory_mb = 0.0
        self._before = 0.0
        self.read()

    def start(self) -> None:
        """Count CPU time from now on."""
        self.read()
        self._before, self.cpu_seconds = self._before + self.cpu_seconds, 0.0

    def read(self) -> bool:
        """Read it again; return whether it still runs."""
        try:
            times, memory = self._process.cpu_times(), self._process.memory_info().rss
            peak = _high_water(self._process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False
        self.cpu_seconds = times.user + times.system - self._before
        if memory:
            self.memory_mb = memory / MB
            self.peak_memory_mb = max(self.peak_memory_mb, self.memory_mb, peak / MB)
        return True


def _high_water(pid: int) -> int:
    """Return the most memory that a process ever had, in bytes; 0 where the kernel does not say."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


class Stopwatch:
    """Wall and CPU time of this process from its making on."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    @property
    def seconds(self) -> float:
        """Wall time so far."""
        return time.perf_counter() - self._wall

    def row(self, name: str, process: str, events: int, **more: Any) -> Row:
        """Return the row of what this process did meanwhile."""
        seconds, cpu = self.seconds, time.process_time() - self._cpu
        peaks = {process: Meter().peak_memory_mb, **more.pop("peak_memory_mb", {})}
        return row(name, events=events, seconds=seconds, cpu_seconds=cpu, peak_memory_mb=peaks, **more)


def world_of(scenario: str = SCENARIO) -> World:
    """Return the world that benchmarks simulate."""
    loaded = load_scenario(scenario)
    return build_world(loaded, loaded.seed)


@dataclass(frozen=True)
class Broker:
    """The broker of a benchmark."""

    servers: str
    pid: int | None
    """None if it is not ours to measure."""
    settings: Settings

    @property
    def environment(self) -> dict[str, str]:
        """What `quetma` processes need to find it."""
        variables = {"QUETMA_KAFKA__BOOTSTRAP_SERVERS": self.servers}
        if self.pid is not None:
            variables["QUETMA_STREAM__SESSION_TIMEOUT_SECONDS"] = EMBEDDED_SESSION_SECONDS
        return variables


@contextlib.contextmanager
def broker_of(servers: str | None, *, without_payments: bool = False) -> Iterator[Broker]:
    """Give a benchmark its broker, with all topics: a fresh embedded one, or the one named.

    Raises:
        BadInputError: if it must not have any payments, so that all that are counted are the benchmark's, and has.
        UnreachableError: if it does not answer.
    """
    with contextlib.ExitStack() as stack:
        pid = None
        if servers is None:
            embedded = stack.enter_context(EmbeddedBroker())
            servers, pid = embedded.bootstrap_servers, embedded.pid
        settings = load_settings(bootstrap_servers=servers)
        uvloop.run(check_reachable(servers, settings.kafka.connect_timeout_seconds))
        uvloop.run(ensure_topics(settings.kafka))
        if without_payments:
            places = [TopicPartition(PAYMENTS, number) for number in range(settings.kafka.partitions)]
            there = sum(uvloop.run(end_offsets(servers, places)).values())
            if there:
                raise BadInputError("bench", f"{there:,} payments are on {servers} already", "name an empty cluster")
        yield Broker(servers, pid, settings)


def in_own_process(function: Callable[..., Row], **arguments: Any) -> Row:
    """Call a function of a module in a fresh process, so that CPU time and peak memory are of nothing else."""
    target = f"{function.__module__}:{function.__name__}"
    command = leashed([sys.executable, "-m", "tests.benchmarks.measuring", target, json.dumps(arguments)])
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            out, err = process.communicate(timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            raise UnreachableError("bench", f"{target} took more than {TIMEOUT_SECONDS:.0f} s", "try fewer") from None
        finally:
            process.kill()
    if process.returncode != ExitCode.DONE:
        said = err.decode(errors="replace")[-LOG_TAIL:].strip()
        raise UnreachableError("bench", f"{target} ended with exit code {process.returncode}", said)
    measured: Row = json.loads(out.splitlines()[-1])
    return measured


def main(target: str, arguments: str) -> None:
    """Measure, and print the row."""
    module, _, name = target.partition(":")
    measured = getattr(importlib.import_module(module), name)(**json.loads(arguments))
    sys.stdout.write(json.dumps(measured) + "\n")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except QuetmaError as error:
        sys.exit(str(error))
