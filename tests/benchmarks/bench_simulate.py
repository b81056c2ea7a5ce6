"""How fast a province goes to disk: payments in, the rate and the memory at which `quetma simulate` writes them out."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from producers.files.formats import Format
from producers.files.order import Order
from producers.files.run import write_run
from producers.scenario_files import load_scenario
from tests.benchmarks.measuring import SCENARIO, Meter, Row, Stopwatch, in_own_process, row

PAYMENTS_A_DAY = 150_000
"""About so many does the scenario make."""
CASES: tuple[tuple[Format, int], ...] = (("parquet", 1), ("parquet", 2), ("jsonl", 2), ("csv", 2))


def run(events: int = 5_000_000) -> Iterator[Row]:
    """Write about `events` payments as Parquet by one process and by two, then in the other formats."""
    for format_, jobs in CASES:
        yield in_own_process(write, events=events, format_=format_, jobs=jobs)


def write(events: int, format_: Format, jobs: int) -> Row:
    """Simulate into a folder that is deleted afterwards; workers are started within the time that is measured."""
    days = max(2, round(events / PAYMENTS_A_DAY))
    order = Order.of(load_scenario(SCENARIO), days, format_=format_)
    watch, seen = Stopwatch(), _Seen()
    with tempfile.TemporaryDirectory(prefix="quetma-bench-") as folder:
        manifest = write_run(order, Path(folder) / "run", jobs=jobs, tell=seen.look)
        seconds = watch.seconds
    return row(
        f"simulate {format_}, jobs {jobs}",
        events=manifest["counts"]["payments"],
        seconds=seconds,
        cpu_seconds=sum(meter.cpu_seconds for meter in seen.meters.values()),
        peak_memory_mb={name: meter.peak_memory_mb for name, meter in seen.meters.items()},
        days=days,
        running_events_per_second=round(seen.rate, 1),
        memory_mb_by_day=seen.memory_mb,
        bytes_per_event=round(sum(file["bytes"] for file in manifest["files"]) / manifest["counts"]["payments"], 2),
    )


@dataclass
class _Seen:
    """What is seen of a run on its way."""

    meters: dict[str, Meter] = field(default_factory=dict)
    memory_mb: dict[str, float] = field(default_factory=dict)
    """Memory of the largest process, at days 2, 4, 8, …"""
    rate: float = 0.0
    """Payments a second since the first day was done: without the start of the processes."""
    _begin: tuple[float, int] = (0.0, 0)

    def look(self, days: int, payments: int) -> None:
        """Look at the processes when so many days are done."""
        now = time.perf_counter()
        if days == 1:
            workers = psutil.Process().children()
            self.meters = {"simulator": Meter(), **{f"worker {n}": Meter(one.pid) for n, one in enumerate(workers, 1)}}
            self._begin = now, payments
        for meter in self.meters.values():
            meter.read()
        if days > 1:
            self.rate = (payments - self._begin[1]) / (now - self._begin[0])
            if days & (days - 1) == 0:
                self.memory_mb[str(days)] = round(max(meter.memory_mb for meter in self.meters.values()), 1)
