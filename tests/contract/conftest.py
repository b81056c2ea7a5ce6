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
def system(systems: Systems) -> System:
    """A system that runs. Tests give their runs names of their own, and leave a worker and an exporter running."""
    return systems.get()[0]


@pytest.fixture
def ran(systems: Systems) -> FirstRun:
    """What the system's first run has left."""
    return systems.get()[1]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Function) -> Iterator[None]:
    report = yield
    if report.failed and "systems" in item.funcargs:
        item.funcargs["systems"].harmed = True
    return report
