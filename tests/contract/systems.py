"""Systems that tests share: each has had its first run, and what that left is kept.

In: a broker with nothing on it. Out: a running `System` and its `FirstRun`.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.topics import ADOPTION_COMMUNE, ADOPTION_MARKET, CELLS, LEDGER, PAYMENTS, QR_CODES, TRUTH
from services.broker import EmbeddedBroker
from services.scrape import Samples
from services.topic_reader import read_all
from tests.kafka.server import ApacheKafka
from tests.system import System, put_in

TOPICS = (PAYMENTS, QR_CODES, CELLS, TRUTH, LEDGER, ADOPTION_COMMUNE, ADOPTION_MARKET)


@dataclass(frozen=True)
class FirstRun:
    """Two days of a tenth of a province, and what was to be seen when they had gone the whole way."""

    name: str
    arguments: tuple[str, ...]
    """Of `quetma produce`."""
    acked: int
    """Payments, each once."""
    verdict: dict[str, Any]
    records: dict[str, list[Any]]
    """By topic."""
    exporter: Samples
    worker: Samples

    @property
    def duplicates(self) -> int:
        """Second copies among the records of payments, as the ledger has it."""
        return put_in(self.verdict, "duplicates")

    @property
    def malformed(self) -> int:
        """Spoiled copies among them, as the ledger has it."""
        return put_in(self.verdict, "malformed")


class Systems:
    """The system that tests share; after a test that failed, and may have harmed it, a fresh one.

    Args:
        kind: of the brokers.
        servers: a broker with nothing on it; later systems start one of their own.
        new_folder: makes folders.
    """

    def __init__(self, kind: str, servers: str, new_folder: Callable[[], Path]) -> None:
        self._kind, self._servers, self._new_folder = kind, servers, new_folder
        self._stack = ExitStack()
        self._running: tuple[System, FirstRun] | None = None
        self._never: Exception | None = None
        self.harmed = False

    def get(self) -> tuple[System, FirstRun]:
        """Return the running system."""
        if self._never is not None:
            raise RuntimeError("no system came to run before") from self._never
        if self.harmed:
            self.close()
        if self._running is None:
            try:
                self._running = self._start()
            except Exception as error:
                self._never = error
                raise
        return self._running

    def close(self) -> None:
        """End it."""
        self._stack.close()
        self._running, self.harmed, self._servers = None, False, ""

    def _start(self) -> tuple[System, FirstRun]:
        folder = self._new_folder()
        if not self._servers:
            broker = EmbeddedBroker(folder) if self._kind == "embedded" else ApacheKafka(folder)
            self._servers = self._stack.enter_context(broker).bootstrap_servers
        system = self._stack.enter_context(System(self._servers, folder))
        system.ready()
        return system, first_run(system)


def first_run(system: System, *more: str) -> FirstRun:
    """Produce, and wait until all is counted and shown; ``more`` arguments of `quetma produce`."""
    arguments = ("an-giang", "--days", "2", "--shard", "3/10", "--speed", "max", *more)
    done = system.quetma("produce", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    produced = json.loads(done.stdout)
    verdict = system.quetma_verify("--wait", "15s")
    assert verdict["exact"], verdict["mismatches"][:5]

    def shown() -> bool:
        lag = [records for _, records in system.metrics("serve").series("quetma_stream_lag_records")]
        seen = system.metrics("serve").total("quetma_payments_total")
        return len(lag) == 4 and sum(lag) == 0 and seen == produced["acked"]

    system.until(shown, [system.worker, system.exporter])
    return FirstRun(
        produced["run"],
        arguments,
        produced["acked"],
        verdict,
        asyncio.run(records_of(system.servers)),
        system.metrics("serve"),
        system.metrics("stream"),
    )


async def records_of(servers: str) -> dict[str, list[Any]]:
    records: dict[str, list[Any]] = defaultdict(list)
    async for record in read_all(servers, TOPICS):
        records[record.topic].append(record)
    return records
