"""How fast the whole is: seconds in; rate, latency and exactness of `quetma demo` out, at full speed and paced.

The demo is a child process; CPU time, from the first payment on, and memory are read of it and of all it starts.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
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

RATE = 5_000
"""Payments a second of the paced run: latency under a load that is no strain."""
LOOK_SECONDS = 0.25
OVERHEAD_SECONDS = 240.0
"""Time for starting, draining and reconciling, at most."""
ANSWERED = {ExitCode.DONE, ExitCode.CHECK_FAILED}


def run(seconds: float = 20.0, broker: str | None = None) -> Iterator[Row]:
    """Let the demo produce for `seconds`, at full speed and at 5 000 payments a second."""
    for name, pace in (("end-to-end", ["--speed", "max"]), (f"end-to-end {RATE}/s", ["--rate", str(RATE)])):
        with tempfile.TemporaryDirectory(prefix="quetma-bench-") as folder:
            yield measure(name, [*pace, *(["--broker", broker] if broker else [])], seconds, Path(folder))


def measure(name: str, options: list[str], seconds: float, folder: Path) -> Row:
    """Measure one demo with its options; its logs go to a folder."""
    return uvloop.run(_demo(name, options, seconds, folder))


async def _demo(name: str, options: list[str], seconds: float, folder: Path) -> Row:
    port = free_port()
    environment = {"QUETMA_PRODUCER__METRICS_PORT": str(port)}
    child = Child("demo", ["demo", "--for", f"{seconds:f}s", "--json", "--quiet", *options], environment, folder)
    family = _Family(child.pid)
    paying = False
    try:
        async with asyncio.timeout(seconds + OVERHEAD_SECONDS):
            while child.exit_code is None:
                family.look()
                if not paying:
                    paying = (await scrape(f"http://127.0.0.1:{port}/metrics")).total("quetma_acked_payments_total") > 0
                    if paying:
                        family.start()
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError:
        found = f"the demo did not end within {seconds + OVERHEAD_SECONDS:.0f} s"
        raise UnreachableError("bench", found, child.log_end()) from None
    finally:
        child.ask_to_stop()
        await child.stopped()
    if child.exit_code not in ANSWERED:
        raise UnreachableError("bench", f"the demo ended with exit code {child.exit_code}", child.log_end())
    return family.row(name, json.loads(child.output().splitlines()[-1]))


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

    def row(self, name: str, result: dict[str, Any]) -> Row:
        """Return the row of a demo that ended with a result."""
        cpu = {role: round(meter.cpu_seconds, 2) for role, meter in self._meters.items()}
        return row(
            name,
            events=result["acked"],
            seconds=result["acked"] / result["events_per_second"] if result["events_per_second"] else 0.0,
            cpu_seconds=sum(cpu.values()),
            peak_memory_mb={role: meter.peak_memory_mb for role, meter in self._meters.items()},
            cpu_seconds_by_process=cpu,
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
