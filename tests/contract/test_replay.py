"""A run that was recorded, sent again: each loop is a run that workers accept and `quetma verify` judges."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import TopicPartition

from producers.topic_tails import read_to_end
from schemas.topics import ACCOUNTS, CELLS, LEDGER, PAYMENTS, TRUTH
from services.broker import EmbeddedBroker
from tests.system import System

pytestmark = pytest.mark.broker
RUN = "again"
PRODUCE = ("produce", "an-giang", "--days", "1", "--shard", "3/10", "--speed", "max", "--run", RUN, "--json")
NO_PORT = {"QUETMA_LOAD__METRICS_PORT": "0"}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system on a broker of its own: what is sent again would be counted in the runs of others."""
    folder = tmp_path_factory.mktemp("replay")
    with EmbeddedBroker(folder) as broker, System(broker.bootstrap_servers, folder) as system:
        system.ready()
        yield system


@pytest.fixture(scope="module")
def capture(system: System) -> Path:
    done = system.quetma(*PRODUCE)
    assert done.returncode == 0, done.stderr
    path = system.folder / "run.parquet"
    done = system.quetma("record", PAYMENTS, CELLS, ACCOUNTS, LEDGER, "--out", str(path), "--quiet")
    assert done.returncode == 0, done.stderr
    return path


def test_loops_are_runs_of_their_own_and_exact(system: System, capture: Path) -> None:
    page = system.folder / "report.html"
    done = system.quetma(
        "replay", str(capture), "--speed", "max", "--loop", "2", "--json", "--report", str(page),
        "--fail-if", "errors>0", **NO_PORT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"about to send {capture} (capture): " in done.stderr
    counts = json.loads(done.stdout)["counts"]
    assert counts["sent"] == counts["answered"] > 2000
    assert "</html>" in page.read_text(encoding="utf-8")
    first, second = system.verify(RUN), system.verify(f"{RUN}~2")
    assert first["exact"], first["mismatches"][:5]
    assert second["exact"], second["mismatches"][:5]
    assert second["payments"] == first["payments"]
    assert first["duplicates"] - second["duplicates"] == second["payments"]["ledger"] + second["duplicates"]


async def _read(servers: str, topic: str, partitions: int) -> list[tuple[int, bytes, bytes, int]]:
    begins = {TopicPartition(topic, number): 0 for number in range(partitions)}
    return [(one.partition, one.key, one.value, one.timestamp) async for one in read_to_end(servers, begins)]


def test_a_topic_is_sent_to_another_as_it_was_and_a_broken_threshold_ends_with_1(system: System, capture: Path) -> None:
    before = asyncio.run(_read(system.servers, TRUTH, 4))
    done = system.quetma(
        "replay", ACCOUNTS, "--from", system.servers, "--rate", "5000", "--to-topic", TRUTH,
        "--fail-if", "rate<2", **NO_PORT,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "rate<2: found" in done.stderr
    copied = asyncio.run(_read(system.servers, TRUTH, 4))
    original = asyncio.run(_read(system.servers, ACCOUNTS, 4))
    assert len(original) > 0
    for row in before:
        copied.remove(row)
    assert sorted(copied) == sorted(original)


def test_a_wrong_row_ends_it_with_how_much_was_sent(system: System, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id,n\n" + "".join(f"k{row},{row}\n" for row in range(20_000)) + "short\n", encoding="utf-8")
    done = system.quetma("replay", str(path), "--speed", "max", "--to-topic", TRUTH, "--json", **NO_PORT)
    assert done.returncode == 2
    assert f"{path}: row 20001 has 1 fields, the header has 2" in done.stderr
    report = json.loads(done.stdout)
    assert report["counts"]["sent"] == report["counts"]["answered"] == 16_384
    assert "row 20001" in report["ended"]
