"""Fixtures of the contract tests: a system of each broker that has had its first run, and that tests go on with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.systems import FirstRun, Systems
from tests.system import System


@pytest.fixture(scope="session")
def systems(
    request: pytest.FixtureRequest, broker_kind: str, broker: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Systems]:
    """The systems of one kind of broker."""
    shared = Systems(broker_kind, broker, lambda: tmp_path_factory.mktemp(broker_kind))
    yield shared
    shared.close()


@pytest.fixture
def store() -> str:
    """Where the worker keeps its state, unless a test is for several."""
    return "memory"


@pytest.fixture
def system(systems: Systems, store: str) -> System:
    """A system that runs. Tests give their runs names of their own, and leave a worker and an exporter running."""
    running = systems.get()[0]
    running.use_store(store)
    return running


@pytest.fixture
def ran(systems: Systems) -> FirstRun:
    """What the system's first run has left."""
    return systems.get()[1]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let tests with another store come last of their broker's: each change costs a worker's end and start."""

    def parameter(item: pytest.Item, name: str) -> object:
        specification = getattr(item, "callspec", None)
        return None if specification is None else specification.params.get(name)

    end_of = {parameter(item, "broker_kind"): place for place, item in enumerate(items)}
    places = {
        item: end_of[parameter(item, "broker_kind")] + 0.5 if parameter(item, "store") == "rocksdb" else place
        for place, item in enumerate(items)
    }
    items.sort(key=places.__getitem__)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Function) -> Iterator[None]:
    report = yield
    if report.failed and "systems" in item.funcargs:
        item.funcargs["systems"].harmed = True
    return report
