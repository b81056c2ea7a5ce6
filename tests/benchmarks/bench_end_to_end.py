"""How fast the whole is: seconds in; rate, latency and exactness of `quetma demo` out, at full speed and paced.

The demo is a child process; CPU time, from the first payment on, and memory are read of it and of all it starts.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import uvloop

from schemas.errors import ExitCode, UnreachableError
from services.broker import free_port
from services.scrape import scrape
from services.supervisor import Child
from tests.benchmarks.measuring import Meter, Row, row

RATES = (5_000, 50_000)
"""Payments a second of the paced runs: latency under a load that is no strain, and under the one that is promised."""
LOOK_SECONDS = 0.25
OVERHEAD_SECONDS = 240.0
"""Time for starting, draining and reconciling, at most."""
ANSWERED = {ExitCode.DONE, ExitCode.CHECK_FAILED}


def run(seconds: float = 20.0, broker: str | None = None) -> Iterator[Row]:
    """Let the demo produce for `seconds`, at full speed and at each of the rates."""
    paced = ((f"end-to-end {rate}/s", ["--rate", str(rate)]) for rate in RATES)
    for name, pace in (("end-to-end", ["--speed", "max"]), *paced):
        with tempfile.TemporaryDirectory(prefix="quetma-bench-") as folder:
            yield measure(name, [*pace, *(["--broker", broker] if broker else [])], seconds, Path(folder))


def measure(name: str, options: list[str], seconds: float, folder: Path) -> Row:
    """Measure one demo with its options; its logs go to a folder."""
    return uvloop.run(_demo(name, options, seconds, folder))


async def _demo(name: str, options: list[str], seconds: float, folder: Path) -> Row:
    ports = {name: free_port() for name in ("PRODUCER__METRICS_PORT", "STREAM__METRICS_PORT", "SERVE__PORT")}
    environment = {f"QUETMA_{name}": str(port) for name, port in ports.items()}
    producer, stream = (f"http://127.0.0.1:{ports[f'{name}__METRICS_PORT']}/metrics" for name in ("PRODUCER", "STREAM"))
    child = Child("demo", ["demo", "--for", f"{seconds:f}s", "--json", "--quiet", *options], environment, folder)
    family = _Family(child.pid)
    paying = False
    processed: list[tuple[float, float]] = []
    try:
        async with asyncio.timeout(seconds + OVERHEAD_SECONDS):
            while child.exit_code is None:
                family.look()
                if not paying and (await scrape(producer)).total("quetma_acked_payments_total"):
                    paying = True
                    family.start()
                if paying:
                    count = (await scrape(stream)).total("quetma_processed_records_total")
                    processed.append((time.perf_counter(), count))
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError:
        found = f"the demo did not end within {seconds + OVERHEAD_SECONDS:.0f} s"
        raise UnreachableError("bench", found, child.log_end()) from None
    finally:
        child.ask_to_stop()
        await child.stopped()
    if child.exit_code not in ANSWERED:
        raise UnreachableError("bench", f"the demo ended with exit code {child.exit_code}", child.log_end())
    return family.row(name, json.loads(child.output().splitlines()[-1]), steady_rate(processed))


def steady_rate(processed: list[tuple[float, float]]) -> float | None:
    """Return the rate from the first look at which there was something to the first at which there was all of it.

    Args:
        processed: moments in seconds, and how many payments had been processed by then.
    """
    most = max((count for _, count in processed), default=0)
    looks = [look for look in processed if look[1]]
    if not looks or looks[0][1] == most:
        return None
    begin, end = looks[0], next(look for look in looks if look[1] == most)
    return round((end[1] - begin[1]) / (end[0] - begin[0]), 1)


class _Family:
    """The demo and its children, by role."""

    def __init__(self, pid: int) -> None:
        self._demo = psutil.Process(pid)
        self._meters: dict[str, Meter] = {"demo": Meter(pid)}

    def start(self) -> None:
        """Count CPU time from now on."""
        for meter in self._meters.values():
            meter.start()

    def look(self) -> None:
        """Read all that run."""
        for process in self._children():
            role = _role(process)
            if role is not None and role not in self._meters:
                self._meters[role] = Meter(process.pid)
        for meter in self._meters.values():
            meter.read()

    def _children(self) -> list[psutil.Process]:
        try:
            return self._demo.children()
        except psutil.NoSuchProcess:
            return []

    def row(self, name: str, result: dict[str, Any], steady: float | None) -> Row:
        """Return the row of a demo that ended with a result, and how fast it was while it ran."""
        cpu = {role: round(meter.cpu_seconds, 2) for role, meter in self._meters.items()}
        return row(
            name,
            events=result["acked"],
            seconds=result["acked"] / result["events_per_second"] if result["events_per_second"] else 0.0,
            cpu_seconds=sum(cpu.values()),
            peak_memory_mb={role: meter.peak_memory_mb for role, meter in self._meters.items()},
            cpu_seconds_by_process=cpu,
            steady_events_per_second=steady,
            **{key: result[key] for key in ("exact", "duplicates", "dead_letters", "late", "exported", "latency_ms")},
        )


def _role(process: psutil.Process) -> str | None:
    """Return what a child of the demo is: a `quetma` command, or else the broker; None while it is not yet either."""
    try:
        words = process.cmdline()
    except psutil.Error:
        return None
    if any(word.endswith("leash.py") for word in words):
        return None
    return words[words.index("services.cli") + 1] if "services.cli" in words else "broker"
