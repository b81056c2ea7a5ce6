"""A worker with a copy of its state's changelog, on each broker: what a second start reads."""

from __future__ import annotations

import asyncio

import psutil
import pytest

from schemas.topics import STATE_CHANGELOG
from services.topic_reader import read_all
from tests.contract.systems import FirstRun
from tests.system import System, usually_on

pytestmark = pytest.mark.broker
PARTITIONS = 4


@pytest.mark.parametrize("store", ["rocksdb"])
def test_a_second_start_reads_only_the_tail(system: System, ran: FirstRun, store: str) -> None:
    records = asyncio.run(records_of_the_changelog(system))
    assert records > 100
    again(system)
    assert (
        0 < recovered_records(system) < 3 * PARTITIONS
    )  # claims, and what the last flush wrote after the last copying
    assert "begun anew" not in system.worker.log_end()
    before = system.processed()
    assert before >= ran.acked
    system.worker.kill()  # nothing is copied now; what a follower has copied before counts
    again(system)
    assert 0 < recovered_records(system) < records
    assert system.processed() == before
    assert system.verify(ran.name)["exact"]


def again(system: System) -> None:
    system.worker.ask_to_stop()
    asyncio.run(system.worker.stopped())
    system.worker.restart()
    system.until(system.recovered, [system.worker])


def recovered_records(system: System) -> float:
    return system.metrics("stream").total("quetma_recovered_records")


async def records_of_the_changelog(system: System) -> int:
    return len([record async for record in read_all(system.servers, [STATE_CHANGELOG])])


@usually_on("embedded")
@pytest.mark.parametrize("store", ["rocksdb"])
def test_a_second_worker_is_refused_the_folder_of_the_first(system: System, store: str) -> None:
    folder = psutil.Process(system.worker.pid).environ()["QUETMA_STREAM__DATA_DIR"]
    refused = system.quetma(
        "stream", QUETMA_STREAM__STORE="rocksdb", QUETMA_STREAM__DATA_DIR=folder, QUETMA_STREAM__METRICS_PORT="0"
    )
    assert refused.returncode == 2
    assert f"{folder}/changelog-copy is in use by another process" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert system.worker.exit_code is None
