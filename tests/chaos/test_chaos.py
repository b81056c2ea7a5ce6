"""A short run of chaos on each broker is exact; and the judge is none that finds everything exact."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from schemas.errors import UnreachableError
from schemas.topics import LEDGER
from services.broker import LOOPBACK, free_port
from services.chaos.brokers import MemoryBroker
from services.chaos.faults import Kind
from services.chaos.proxy import Proxy
from services.chaos.run import NO_RESTART, Chaos, Course, Setting, Tamper
from services.topic_reader import read_all
from tests.chaos.lying_proxy import LyingProxy
from tests.chaos.settings import setting_of
from tests.system import on
from tests.tools import require_tool

pytestmark = pytest.mark.broker

SEEDS = {"embedded": 8, "kafka": 5}
"""Of plans in which many kinds come, those of this broker among them."""
LIGHT: dict[str, Any] = {"shards": 8, "rate": 1500.0}
"""An eighth of the province for each producer: it starts within a second or two."""


def run(setting: Setting, folder: Path, course: Course, tamper: Tamper | None = None) -> dict[str, Any]:
    print(f"seed {course.seed}; logs in {folder}")  # noqa: T201  # shown with a failure
    return asyncio.run(Chaos(course, setting, folder, print, tamper).run())


def one_fault(seed: int = 0) -> Course:
    """Return a course that would be exact, were it not for a lie."""
    others = frozenset(Kind) - {Kind.CUT_ONE}
    return Course("an-giang", seed, faults=1, seconds=1.0, without=others, wait_seconds=3.0, **LIGHT)


def test_nothing_is_lost_and_nothing_counts_twice(broker_kind: str, tmp_path: Path) -> None:
    if broker_kind == "kafka":
        require_tool("java", "mvn")
    course = Course("an-giang", SEEDS[broker_kind], faults=9, seconds=10.0, **LIGHT)
    report = run(setting_of(broker_kind), tmp_path, course)
    assert report["exact"], (report["objections"], report["mismatches"][:5], report["ended"])
    assert report["faults"]["total"] == 9 == len(report["faults"]["by_kind"])
    assert report["recovery_seconds"]["never"] == 0
    assert report["records"]["payments"] > 5_000
    assert report["injected"]["duplicates"]["ledger"] > 0 < report["injected"]["malformed"]["ledger"]
    of_broker = {Kind.RESTART_BROKER, Kind.KILL_BROKER}
    if broker_kind == "embedded":
        assert {report["left_out"][kind] for kind in of_broker} == {NO_RESTART}
    else:
        assert of_broker & set(report["faults"]["by_kind"])


async def forget_a_payment(servers: str, name: str) -> None:
    """Write an entry of the ledger again, with one payment less."""
    entry: dict[str, Any] = {}
    async for record in read_all(servers, [LEDGER]):
        document = json.loads(record.value)
        if document["run"] == name and document["kind"] == "cell_day":
            entry = {"key": record.key, "document": document}
    tallies = entry["document"]["tallies"]
    tallies[min(tallies)]["settled"] -= 1
    async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
        await producer.send_and_wait(LEDGER, json.dumps(entry["document"]).encode(), key=entry["key"])


@on("embedded")
def test_one_payment_that_the_ledger_does_not_have_is_found(broker_kind: str, tmp_path: Path) -> None:
    report = run(setting_of(broker_kind), tmp_path, one_fault(), forget_a_payment)
    assert not report["exact"]
    assert len(report["mismatches"]) == 2  # of its day, and of all days
    assert {(one["measure"], one["aggregates"] - one["ledger"]) for one in report["mismatches"]} == {("settled", 1)}
    assert "verify found 2 differences between ledger and aggregates, exit code 1" in report["objections"]


@on("embedded")
def test_one_batch_that_was_acknowledged_and_dropped_is_found(broker_kind: str, tmp_path: Path) -> None:
    # On Apache Kafka the lie would come out at once: its producer is idempotent, and numbers its batches.
    liars: list[LyingProxy] = []

    def liar(port: int) -> LyingProxy:
        liars.append(LyingProxy(port))
        return liars[-1]

    report = run(replace(setting_of(broker_kind), proxy=liar), tmp_path, one_fault())
    assert [one.lies for one in liars] == [1]
    assert not report["exact"]
    assert report["payments"]["ledger"] > report["payments"]["aggregates"]
    assert {one["measure"] for one in report["mismatches"]} >= {"settled", "amount_vnd"}


@on("embedded")
async def test_end_of_the_embedded_broker_is_said(broker_kind: str, tmp_path: Path) -> None:
    broker = MemoryBroker(tmp_path, address := f"{LOOPBACK}:{free_port()}")
    async with Proxy(int(address.rpartition(":")[2])) as proxy:
        proxy.upstream = broker.bootstrap_servers
        await broker.start()
        gone = asyncio.create_task(broker.gone())
        await asyncio.sleep(0.1)
        assert not gone.done()
        broker.kill()
        with pytest.raises(UnreachableError, match="what it kept in memory with it"):
            await gone
