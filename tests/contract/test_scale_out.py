"""Many producers and many workers: shards of one run, partitions dealt out, and each payment counted once."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from producers.engine import ProvinceSimulation
from producers.scenario_files import load_scenario
from producers.simulation.world import build_world
from schemas.events import decode_payment
from schemas.topics import PAYMENTS
from services.broker import free_port
from services.supervisor import Child
from tests.contract.systems import records_of as records_on
from tests.system import System, finished, put_in, records_of, usually_on

pytestmark = pytest.mark.broker
SHARDS = 4
WORKERS = ("stream", "stream-2", "stream-3")
PARTITIONS = {"0", "1", "2", "3"}
RUN = "sharded"


@usually_on("kafka")
def test_four_producers_and_three_workers_are_exact(system: System) -> None:
    system.ports.setdefault("stream-3", free_port())
    more = [system.start(name, "stream") for name in WORKERS[1:]]
    system.until(lambda: dealt_out(system), [system.worker, *more])
    producers = [shard(system, index) for index in range(1, SHARDS + 1)]
    acked = sum(finished(producer)["acked"] for producer in producers)
    verdict = system.verify(RUN, wait_seconds=20.0)
    assert verdict["exact"], verdict["mismatches"][:5]
    assert verdict["payments"] == {"ledger": acked, "aggregates": acked}
    assert acked == payments_of_a_day()
    on_topics = asyncio.run(records_on(system.servers))[PAYMENTS]
    assert dealt_out(system)
    assert sum(system.processed(name) for name in WORKERS) == len(on_topics)
    paid = once_each([record.value for record in on_topics])
    assert len(paid) == acked
    assert sum(paid.values()) == records_of(verdict) - put_in(verdict, "malformed")
    for worker in more:
        worker.ask_to_stop()
        assert asyncio.run(worker.stopped()) == 0, worker.log_end()
    system.until(lambda: partitions(system, "stream") == PARTITIONS, [system.worker])


def shard(system: System, index: int) -> Child:
    """Start the producer of a part of the province."""
    arguments = ("an-giang", "--run", RUN, "--shard", f"{index}/{SHARDS}", "--days", "1", "--speed", "max", "--json")
    return system.start(f"produce-{index}", "produce", *arguments, QUETMA_PRODUCER__METRICS_PORT="0")


def partitions(system: System, worker: str) -> set[str]:
    """Return the partitions that a worker is at work on."""
    samples = system.metrics(worker)
    if not samples.total("quetma_recovery_seconds"):
        return set()
    return {labels["partition"] for labels, _ in samples.series("quetma_processed_records_total")}


def dealt_out(system: System) -> bool:
    """Whether every worker has partitions, and every partition one worker."""
    owned = [partitions(system, name) for name in WORKERS]
    return all(owned) and sorted(one for own in owned for one in own) == sorted(PARTITIONS)


def payments_of_a_day() -> int:
    """Return how many payments the whole province makes on the first day, by one simulation of all of it."""
    scenario = load_scenario("an-giang")
    (day,) = ProvinceSimulation(build_world(scenario, scenario.seed)).days(1)
    return len(day.sequence)


def once_each(values: list[bytes]) -> Counter[tuple[str, int]]:
    """Return how many whole copies of each payment of the run are on the topic."""
    mine = [value for value in values if f'"run":"{RUN}"'.encode() in value and value.endswith(b"}")]
    payments = map(decode_payment, mine)
    return Counter((payment.source, payment.sequence) for payment in payments)
