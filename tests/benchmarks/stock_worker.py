"""The yardstick: a worker as Faust's manual has it, one event at a time, with the same fold.

In: ``quetma.payments`` on a broker. Out: one line of JSON: how many events it has processed, and in what time.
Run as `python -m tests.benchmarks.stock_worker SERVERS SECONDS`. It decodes as our worker does, drops repeats by source
and sequence, and sums hours of cells by method, in Faust's tables. It emits nothing and knows neither late payments
nor dead letters, which is in its favour.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import faust
import msgspec
from aiokafka import AIOKafkaConsumer

from schemas.events import decode_payment
from schemas.topics import PAYMENTS
from streams.cells import HOUR_MS
from streams.duplicates import admit

SESSION_SECONDS = 6.0
"""As our worker's. Tansu lets a join wait for half of it, and Faust's usual one is a minute."""
WAIT_SECONDS = 30.0
"""How long it may take until the first event is there."""


class Yardstick:
    """Counts what the agent has done, and when."""

    def __init__(self) -> None:
        self.events = 0
        self.begun = 0.0
        self.cpu_begun = 0.0
        self.has_begun = asyncio.Event()

    def note(self) -> None:
        """Count an event."""
        if not self.events:
            self.begun, self.cpu_begun = time.monotonic(), time.process_time()
            self.has_begun.set()
        self.events += 1

    def report(self) -> dict[str, Any]:
        """Return what was done since the first event."""
        return {
            "events": self.events,
            "seconds": time.monotonic() - self.begun,
            "cpu_seconds": time.process_time() - self.cpu_begun,
            "peak_memory_mb": {"stock": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000},
        }


def create_app(servers: str, partitions: int, folder: str, yardstick: Yardstick) -> faust.App:
    """Return the app: an agent and two tables."""
    app = faust.App(
        f"quetma-stock-{os.getpid()}",
        broker=f"kafka://{servers}",
        store="memory://",
        datadir=folder,
        topic_partitions=partitions,
        topic_replication_factor=1,
        topic_disable_leader=True,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        broker_session_timeout=SESSION_SECONDS,
        worker_redirect_stdouts=False,
    )
    payments = app.topic(PAYMENTS, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
    seen = app.Table("seen", default=lambda: [0, []])
    hours = app.Table("hours", default=dict)

    async def fold(stream: Any) -> None:
        async for value in stream:
            yardstick.note()
            try:
                row = decode_payment(value)
            except msgspec.MsgspecError:
                continue
            till = f"{row.run}|{row.source}"
            top, missing = seen[till]
            highest, gaps = {till: top}, {till: missing} if missing else {}
            if not admit(highest, gaps, till, row.sequence):
                continue
            seen[till] = [highest[till], gaps.get(till, [])]
            window = f"{row.run}|{row.cell}|{row.occurred_at // HOUR_MS}"
            tally = hours[window]
            count, vnd = tally.get(f"{row.method}|{row.status}", (0, 0))
            tally[f"{row.method}|{row.status}"] = [count + 1, vnd + row.amount_vnd]
            hours[window] = tally

    app.agent(payments)(fold)
    return app


async def partitions_of(servers: str) -> int:
    """Return how many partitions the payments have."""
    async with AIOKafkaConsumer(PAYMENTS, bootstrap_servers=servers) as consumer:
        return len(consumer.partitions_for_topic(PAYMENTS) or ())


async def report_after(seconds: float, yardstick: Yardstick) -> None:
    """Print what was done, and leave at once: to stop Faust in order takes longer than the measurement."""
    await asyncio.wait_for(yardstick.has_begun.wait(), WAIT_SECONDS)
    await asyncio.sleep(seconds)
    sys.stdout.write(f"{json.dumps(yardstick.report())}\n")
    sys.stdout.flush()
    os._exit(0)


def main(arguments: Sequence[str]) -> None:
    """Measure for some seconds from the first event on."""
    servers, seconds = arguments
    yardstick = Yardstick()
    with tempfile.TemporaryDirectory(prefix="quetma-stock-") as folder:
        app = create_app(servers, asyncio.run(partitions_of(servers)), folder, yardstick)
        app.task(partial(report_after, float(seconds), yardstick))
        worker = faust.Worker(app, loglevel="ERROR", redirect_stdouts=False, quiet=True, override_logging=False)
        worker.execute_from_commandline()


if __name__ == "__main__":
    main(sys.argv[1:])
