"""Fixtures for every test: the two brokers that tests run on, one of each for the whole session.

In: nothing. Out: bootstrap servers, HOST:PORT. The fixtures are not async, so that no test shares an event loop
with them, and they start the brokers from the main thread, which their leashes need.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from services.broker import EmbeddedBroker
from tests.kafka.server import ApacheKafka
from tests.system import BROKERS
from tests.tools import require_tool

if TYPE_CHECKING:
    from collections.abc import Iterator


settings.register_profile("unhurried", deadline=None)  # a busy machine is no error
settings.load_profile("unhurried")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where processes share the tests, begin with the long ones: the short ones fill what is left at the end."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("broker") is None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where processes share the tests (`-n 2`), give all of a file to one, and all that share a broker."""
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415  # there only with the plugin

    class ByBroker(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file, _, name = nodeid.partition("::")
            parameters = name.partition("[")[2].rstrip("]").split("-")
            shared = next((kind for kind in BROKERS if kind in parameters), None)
            return shared or ("kafka" if file.endswith("/test_apache_kafka.py") else file)

    config.option.loadscopereorder = False  # see above
    return ByBroker(config, log)


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


@pytest.fixture(scope="session", params=BROKERS)
def broker_kind(request: pytest.FixtureRequest) -> str:
    """Both kinds of brokers, one after the other: for what must hold on any."""
    kind: str = request.param
    return kind


@pytest.fixture(scope="session")
def broker(request: pytest.FixtureRequest, broker_kind: str) -> str:
    """The broker of a kind."""
    servers: str = request.getfixturevalue({"embedded": "embedded_broker", "kafka": "apache_kafka"}[broker_kind])
    return servers
