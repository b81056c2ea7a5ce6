"""Fixtures for every test: the two brokers that the contract tests run on, one of each for the whole session.

In: nothing. Out: bootstrap servers, HOST:PORT. The fixtures are not async, so that no test shares an event loop
with them, and they start the brokers from the main thread, which their leashes need.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from services.broker import EmbeddedBroker
from tests.kafka.server import ApacheKafka
from tests.tools import require_tool

if TYPE_CHECKING:
    from collections.abc import Iterator


settings.register_profile("unhurried", deadline=None)  # a busy machine is no error
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def embedded_broker() -> Iterator[str]:
    """Tansu, in memory."""
    with EmbeddedBroker() as broker:
        yield broker.bootstrap_servers


@pytest.fixture(scope="session")
def apache_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Apache Kafka, one node, in a folder of its own."""
    require_tool("java", "mvn")
    folder = tmp_path_factory.mktemp("kafka")
    with ApacheKafka(folder) as broker:
        yield broker.bootstrap_servers
    shutil.rmtree(folder / "data")  # may be large; the log stays as long as pytest keeps its folders


@pytest.fixture(scope="session", params=["embedded", "kafka"])
def broker(request: pytest.FixtureRequest) -> str:
    """Both brokers, one after the other: for what must hold on any."""
    fixture = {"embedded": "embedded_broker", "kafka": "apache_kafka"}[request.param]
    servers: str = request.getfixturevalue(fixture)
    return servers
