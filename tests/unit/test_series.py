"""The number of series stays within the budget, for the largest scenario that there is, counted and computed."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from producers.load.outcomes import Recorder
from producers.model_metrics import ModelMetrics
from producers.scenario_files import load_scenario, scenario_names
from producers.simulation.adoption import AdoptionModel
from producers.simulation.world import World, build_world
from schemas.events import METHODS, SECTORS
from schemas.metrics import MAX_LOAD_ERROR_KINDS, METRICS, SERIES_BUDGET, Metric, Metrics, Process
from schemas.topics import ADOPTION_COMMUNE, ADOPTION_MARKET, LEDGER
from services.views import Views
from streams.counts import PartitionCounts
from streams.fold import PartitionState
from tests.monitoring_documents import adoption, checkpoint, ledger_day, run_started, tallies
from tests.series import most_series, most_series_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.registry import Collector

    from tests.monitoring_documents import Json

PARTITIONS = 4
DAYS = 6
SECTOR = tallies(dict.fromkeys(METHODS, (100, 100000)))


@pytest.fixture(scope="module")
def largest() -> World:
    worlds = [build_world(scenario, scenario.seed) for scenario in map(load_scenario, scenario_names())]
    return max(worlds, key=lambda world: most_series_of("serve", world, PARTITIONS))


def records(world: World) -> Iterator[tuple[str, Json]]:
    """A few days in which everybody pays for everything by every method."""
    whole = dict.fromkeys(SECTORS, SECTOR)
    for day in range(DAYS):
        for place in world.places:
            so_far = dict.fromkeys(METHODS, (100 * (day + 1), 100000 * (day + 1)))
            total = dict.fromkeys(SECTORS, tallies(so_far))
            for window, sectors in (("day", whole), ("hour", whole), ("total", total)):
                yield ADOPTION_COMMUNE, adoption(window, sectors, day=day, commune=place.id, final=window == "day")
        for market in world.markets:
            commune = world.places[market.commune].id
            only = adoption("day", {"market_stall": SECTOR}, day=day, commune=commune, market=market.id)
            yield ADOPTION_MARKET, only
    yield LEDGER, checkpoint("1/1", DAYS)
    yield LEDGER, ledger_day(0, {"cash": (1, 1)}, commune=world.places[0].id)


def exporter(world: World) -> Views:
    views = Views()
    views.learn(LEDGER, run_started(), 0)
    for topic, document in records(world):
        views.learn(topic, document, 0)
    return views


def scraped(process: str, collector: Collector) -> Counter[str]:
    """Series by row of a scrape, each line of it counted, as Prometheus does."""
    registry = CollectorRegistry()
    Metrics(process, registry, "1.2.3")  # type: ignore[arg-type]  # one of the three
    registry.register(collector)
    return series_of(generate_latest(registry).decode())


def series_of(exposition: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for family in text_string_to_metric_families(exposition):
        found[family.name.removesuffix("_created")] += len(family.samples)
    return found


def test_the_exporter_shows_as_many_as_computed_and_no_more(largest: World) -> None:
    found = scraped("serve", exporter(largest))
    rows = {row.name: row for row in METRICS if "serve" in row.processes}
    assert set(found) <= set(rows)
    for name, row in rows.items():
        assert found[name] <= most_series(row, largest, PARTITIONS), name
        if row.collected:
            assert found[name] == most_series(row, largest, PARTITIONS), name


def test_the_producer_and_the_worker_too(largest: World) -> None:
    model = ModelMetrics(largest)
    model.show(next(AdoptionModel(largest).days()))
    states = [PartitionState(number) for number in range(PARTITIONS)]
    counts = PartitionCounts(lambda: states, lambda _: 0)
    for number in range(PARTITIONS):
        counts.durable(number)
    for process, collector in (("producer", model), ("stream", counts)):
        found = scraped(process, collector)
        for row in METRICS:
            if process in row.processes and row.collected:
                assert found[row.name] == most_series(row, largest, PARTITIONS), row.name


def test_a_load_with_more_kinds_of_errors_than_it_may_tell_too(largest: World) -> None:
    registry = CollectorRegistry()
    recorder = Recorder(lambda _: None, Metrics("load", registry, "1.2.3"))
    for number in range(2 * MAX_LOAD_ERROR_KINDS):
        recorder.failed(np.zeros(1), 0.5, f"http {400 + number}")
    found = series_of(generate_latest(registry).decode())
    for row in METRICS:
        if "load" in row.processes and row.collected:
            assert found[row.name] == most_series(row, largest, PARTITIONS), row.name
    assert sum(recorder.errors.values()) == 2 * MAX_LOAD_ERROR_KINDS


def test_all_together_keep_the_budget(largest: World) -> None:
    together = sum(most_series_of(process, largest, PARTITIONS) for process in get_args(Process))
    assert SERIES_BUDGET / 2 < together <= SERIES_BUDGET


def test_a_label_without_bound_is_refused(largest: World) -> None:
    with pytest.raises(KeyError, match="payment_id"):
        most_series(Metric("quetma_x", "gauge", ("payment_id",), ("serve",), "x"), largest, PARTITIONS)


def test_more_partitions_cost_little(largest: World) -> None:
    by_partitions = [most_series_of("stream", largest, number) for number in (4, 5, 6)]
    (first, second) = (after - before for before, after in pairwise(by_partitions))
    assert first == second < 20
