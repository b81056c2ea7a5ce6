"""What payments leave behind: a pace in, CPU time, memory, records and bytes of every process and topic out.

Apache Kafka, a worker, an exporter and a producer of An Giang, each a process of its own, for as long as is said; one
line of JSON. Run as `python -m tests.benchmarks.footprint DAYS SECONDS [--rate N | --speed X]`: so many simulated days
go before at full speed, unmeasured, so that every cell has its state; the same run goes on at the pace that is said.
SECONDS 0 measures what they take when nothing happens. services/scaling.py holds what it printed.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas import topics
from schemas.settings import load_settings
from schemas.topics import ADOPTION_COMMUNE, ADOPTION_MARKET, PAYMENTS, STATE_CHANGELOG
from services.topic_reader import read_all
from tests.benchmarks.measuring import Meter
from tests.kafka.server import ApacheKafka
from tests.system import System, finished

TOPICS = (PAYMENTS, ADOPTION_MARKET, ADOPTION_COMMUNE, STATE_CHANGELOG)
OURS = tuple(topic.name for topic in topics.TOPICS)
IDLE_SECONDS = 20.0
LOOK_SECONDS = 0.2
CELL_KEY_BARS = 3
"""In keys of cells, `partition|epoch|run|cell`; others are the partition's own."""

Row = dict[str, Any]


def main(days: int, seconds: float, *pace: str) -> Row:
    """Measure."""
    with tempfile.TemporaryDirectory(prefix="quetma-footprint-") as name:
        folder = Path(name)
        with ApacheKafka(folder) as kafka, System(kafka.bootstrap_servers, folder) as system:
            system.ready()
            assert kafka.pid is not None
            pids = {"worker": system.worker.pid, "exporter": system.exporter.pid, "broker": kafka.pid}
            meters = {process: Meter(pid) for process, pid in pids.items()}
            if days:
                fill(system, days)
            disk, found = on_disk(folder / "data"), asyncio.run(contents(system.servers))
            begun = time.monotonic()
            for meter in meters.values():
                meter.start()
            if seconds:
                produced(system, meters, seconds, *pace)
            else:
                time.sleep(IDLE_SECONDS)
            row: Row = {"seconds": round(time.monotonic() - begun, 1)}
            for meter in meters.values():
                meter.read()
            row["exposition"] = exposition(system)
            row |= recovered(system)
            row["disk_bytes"] = since(disk, on_disk(folder / "data"), OURS)
            after = asyncio.run(contents(system.servers))
            row |= after.state
            row["records"], row["plain_bytes"] = (
                since(found.records, after.records, TOPICS),
                since(found.plain, after.plain, TOPICS),
            )
            row["payments"] = row["records"].get(PAYMENTS, 0)
            row["changelog_records"] = after.records[STATE_CHANGELOG]
    row["cpu_seconds"] = {process: round(meter.cpu_seconds, 2) for process, meter in meters.items()}
    row["peak_mb"] = {process: round(meter.peak_memory_mb) for process, meter in meters.items()}
    return row


def fill(system: System, days: int) -> None:
    done = system.quetma("produce", "an-giang", "--run", "footprint", "--days", f"{days}", "--speed", "max")
    assert done.returncode == 0, done.stderr
    assert system.verify("footprint")["exact"]


def produced(system: System, meters: dict[str, Meter], seconds: float, *pace: str) -> None:
    """Produce for so long, and let the worker and the exporter come to the end of it."""
    producer = system.produce("footprint", "--for", f"{seconds:g}s", *pace)
    meters["producer"] = Meter(producer.pid)
    while producer.exit_code is None:
        meters["producer"].read()
        time.sleep(LOOK_SECONDS)
    acked = finished(producer)["acked"]
    assert system.verify("footprint")["exact"]
    system.until(lambda: system.metrics("serve").total("quetma_payments_total") >= acked)


def exposition(system: System) -> Row:
    """Return what one look at the exporter's /metrics takes."""
    begun = time.monotonic()
    with urllib.request.urlopen(f"http://127.0.0.1:{system.ports['serve']}/metrics", timeout=30) as response:
        size = len(response.read())
    return {"bytes": size, "seconds": round(time.monotonic() - begun, 3)}


def recovered(system: System) -> Row:
    """Kill the worker and start it again; return how long it read state, and its memory with nothing but state."""
    system.worker.kill()
    system.worker.restart()
    partitions = load_settings().kafka.partitions
    system.until(lambda: len(system.metrics("stream").series("quetma_processed_records_total")) == partitions)
    worker = Meter(system.worker.pid)
    return {
        "recovery_seconds": round(system.metrics("stream").total("quetma_recovery_seconds"), 3),
        "recovery_cpu_seconds": round(worker.cpu_seconds, 2),
        "recovered_mb": round(worker.memory_mb),
    }


def on_disk(data: Path) -> Counter[str]:
    """Return the bytes of each topic's log files, which are the batches as they came, compressed."""
    sizes: Counter[str] = Counter()
    for file in data.glob("*/*.log"):
        sizes[file.parent.name.rpartition("-")[0]] += file.stat().st_size
    return sizes


def since(before: Counter[str], after: Counter[str], topics: Iterable[str]) -> dict[str, int]:
    return {topic: after[topic] - before[topic] for topic in topics if after[topic] > before[topic]}


@dataclass
class Contents:
    """Of each topic, records and bytes of keys and values; and what of the workers' state is newest."""

    records: Counter[str] = field(default_factory=Counter)
    plain: Counter[str] = field(default_factory=Counter)
    cells: dict[bytes, int] = field(default_factory=dict)
    """Bytes of each cell's state."""

    @property
    def state(self) -> Row:
        sizes = [size for size in self.cells.values() if size]
        return {"cells": len(sizes), "state_bytes": sum(sizes), "largest_cell_bytes": max(sizes, default=0)}


async def contents(servers: str) -> Contents:
    found = Contents()
    async for record in read_all(servers, TOPICS):
        found.records[record.topic] += 1
        found.plain[record.topic] += len(record.key or b"") + len(record.value or b"")
        if record.topic == STATE_CHANGELOG and record.key.count(b"|") >= CELL_KEY_BARS:
            found.cells[record.key] = len(record.value or b"")
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(int(sys.argv[1]), float(sys.argv[2]), *sys.argv[3:])) + "\n")
