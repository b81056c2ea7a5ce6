"""The producer shows the state of its model: of the communes of its shard, by the day that was opened last."""

from __future__ import annotations

from collections import defaultdict
from itertools import islice

import pytest

from producers.model_metrics import BY_COMMUNE, BY_MARKET, ModelMetrics
from producers.simulation.adoption import AdoptionModel
from schemas.metrics import METRICS
from tests.worlds import world

ROWS = {row.name for row in METRICS if row.collected and "producer" in row.processes}
Places = dict[str, float]


def shown(metrics: ModelMetrics) -> dict[str, Places]:
    found: dict[str, Places] = {}
    for family in metrics.collect():
        found[family.name] = {one.labels.get("market", one.labels["commune"]): one.value for one in family.samples}
    return found


def test_every_row_of_the_table_and_no_other() -> None:
    assert {family.name for family in ModelMetrics(world()).describe()} == {*BY_COMMUNE, *BY_MARKET} == ROWS


def test_nothing_before_the_first_day() -> None:
    assert shown(ModelMetrics(world())) == {name: {} for name in ROWS}


def test_shows_the_state_of_the_day() -> None:
    place, metrics = world(), ModelMetrics(world())
    for day in islice(AdoptionModel(place).days(), 3):
        metrics.show(day)
        found = shown(metrics)
        communes = [one.id for one in place.places]
        markets = [one.id for one in place.markets]
        assert found["quetma_model_active_adults"] == dict(zip(communes, day.active.tolist(), strict=True))
        assert found["quetma_model_adults"] == dict(zip(communes, day.adults.tolist(), strict=True))
        assert found["quetma_model_qr_stalls"] == dict(zip(markets, day.showing.tolist(), strict=True))
        assert found["quetma_model_using_stalls"] == dict(zip(markets, day.using.tolist(), strict=True))
        for one in markets:
            stalls = [found[name][one] for name in ("quetma_model_stalls", *BY_MARKET[1:])]
            assert stalls == sorted(stalls, reverse=True)
        assert all(0 < index < 1 for index in found["quetma_model_commune_index"].values())
        threshold = place.scenario.status.threshold.value
        for commune, index in found["quetma_model_commune_index"].items():
            assert found["quetma_model_green_commune"][commune] == (index >= threshold)


@pytest.mark.parametrize("shards", [2, 3])
def test_shards_show_the_province_together_and_each_place_once(shards: int) -> None:
    together: dict[str, Places] = defaultdict(dict)
    for number in range(1, shards + 1):
        place = world(shard=(number, shards))
        metrics = ModelMetrics(place)
        metrics.show(next(AdoptionModel(place).days()))
        for name, places in shown(metrics).items():
            assert not set(places) & set(together[name])
            together[name] |= places
    whole = ModelMetrics(world())
    whole.show(next(AdoptionModel(world()).days()))
    assert together == shown(whole)
