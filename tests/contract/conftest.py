"""Fixtures of the contract tests: each test or module gets a broker of its own, of both kinds in turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.broker import EmbeddedBroker
from tests.kafka.server import ApacheKafka
from tests.system import System
from tests.tools import require_tool

BROKERS = ["embedded", "kafka"]


def open_broker(kind: str, folder: Path) -> EmbeddedBroker | ApacheKafka:
    """Return a broker that has not been started; skip or fail where Apache Kafka cannot run."""
    if kind == "embedded":
        return EmbeddedBroker(folder)
    require_tool("java", "mvn")
    return ApacheKafka(folder)


@pytest.fixture(params=BROKERS)
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    """A fresh broker with nothing on it, and processes to come."""
    with open_broker(request.param, tmp_path) as broker, System(broker.bootstrap_servers, tmp_path) as running:
        yield running


@pytest.fixture(scope="module", params=BROKERS)
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system that has streamed and exported a day of a tenth of a province, and still runs."""
    folder = tmp_path_factory.mktemp(request.param)
    with open_broker(request.param, folder) as broker, System(broker.bootstrap_servers, folder) as running:
        running.ready()
        produced = running.quetma("produce", "an-giang", "--days", "2", "--shard", "3/10", "--speed", "max", "--json")
        assert produced.returncode == 0, produced.stderr
        (folder / "produced.json").write_text(produced.stdout)
        assert running.verify()["exact"]
        yield running
