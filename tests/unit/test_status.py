"""The status of a commune, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from producers.simulation.adoption import AdoptionDay
from producers.simulation.calendar import Day
from producers.simulation.status import coverage, status
from tests.worlds import world

WEIGHTS = {"accounts": 0.3, "active": 0.25, "stalls": 0.2, "dossiers": 0.15, "coverage": 0.1}
SMALL = world(
    {
        **{f"status.{name}.value": weight for name, weight in WEIGHTS.items()},
        "province.communes.value": 5,
        "markets.count.value": 0,
        "status.threshold.value": 0.6,
    }
)
"""Five communes, two of them with a market."""


def state():
    stalls = np.array([market.sources for market in SMALL.markets])
    return AdoptionDay(
        day=Day(20_000),
        adults=np.array([100, 200, 100, 0, 100]),
        eligible=np.array([80, 100, 100, 0, 0]),
        active=np.array([50, 40, 100, 0, 0]),
        reached=np.zeros(5),
        stalls=stalls,
        showing=stalls // 2,
        using=stalls // 4,
        account_share=np.full(5, 0.5),
        dossiers_online=np.array([0.4, 0.2, 1.0, 0.5, 0.0]),
    )


def test_the_index_is_the_weighted_mean_of_five_shares():
    found = status(SMALL, state(), np.array([0.9, 0.8, 1.0, 0.7, 0.0]))
    shown = np.zeros(5)
    for market in SMALL.markets:
        shown[market.commune] = market.sources // 2 / market.sources
    assert len({market.commune for market in SMALL.markets}) == len(SMALL.markets) == 2
    expected = [
        0.3 * 0.8 + 0.25 * 0.5 + 0.15 * 0.4 + 0.1 * 0.9,
        0.3 * 0.5 + 0.25 * 0.2 + 0.15 * 0.2 + 0.1 * 0.8,
        0.3 + 0.25 + 0.15 + 0.1,
        0.15 * 0.5 + 0.1 * 0.7,
        0.0,
    ]
    assert found.index == pytest.approx(np.array(expected) + 0.2 * shown)
    assert found.green.tolist() == (found.index >= 0.6).tolist()
    assert 0 < found.green.sum() < 5


def test_coverage_is_drawn_once_for_each_commune():
    rule = {"status.coverage_median.value": 0.9, "status.coverage_spread.value": 0.8}
    many = world({**rule, "province.communes.value": 501})
    found = coverage(many)
    assert ((found > 0) & (found < 1)).all()
    assert np.median(found) == pytest.approx(0.9, abs=0.015)
    assert np.log(found / (1 - found)).std() == pytest.approx(0.8, abs=0.1)
    assert coverage(many).tolist() == found.tolist()
    assert coverage(world({**rule, "province.communes.value": 501}, seed=58)).tolist() != found.tolist()


def test_coverage_without_spread_is_the_median():
    assert coverage(world({"status.coverage_spread.value": 0.0})) == pytest.approx(
        world().scenario.status.coverage_median.value
    )
