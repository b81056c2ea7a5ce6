"""The world against its rules: named and made-up places, markets everywhere, shards, tills."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.simulation.world import COMMUNE_SECTORS, COUNTERS, NO_MARKET, SMALLEST_MARKET, build_world
from schemas.errors import BadInputError
from schemas.events import SECTORS
from tests.province_days import chi_square, chi_square_limit, within
from tests.worlds import FEW, scenario, world

PROVINCE = {"market_stall.payments_per_stall_day.value": 1.0}
"""All of An Giang."""
seeds = st.integers(0, 2**63 - 1)
several = settings(max_examples=20, deadline=None)


def logit(share: float) -> float:
    return math.log(share / (1 - share))


# -- places --------------------------------------------------------------------------------------------------


def test_the_named_places_come_first_and_the_others_say_that_they_are_made_up():
    small = world()
    assert [place.id for place in small.places][:5] == [
        "u-minh-thuong",
        "an-minh",
        "van-khanh",
        "kien-luong",
        "an-giang-c005",
    ]
    assert [cell.id for cell in small.cells][:3] == ["cong-su", "tron", "an-giang-m003"]
    assert all("giả định" in part.name for part in (*small.places[4:], *small.cells[2:6]))
    assert not any("giả định" in part.name for part in (*small.places[:4], *small.markets[:2]))
    assert len({cell.id for cell in small.cells}) == len(small.cells) == 6 + 7 * 7
    assert abs(sum(place.households for place in small.places) - 700) <= 7


def test_a_commune_has_adults_by_its_households():
    for place in world(PROVINCE).places:
        assert abs(place.adults - place.households * 2.6) <= 0.5


def test_settlements_are_as_named_or_of_the_share_asked_for():
    named = {"commune.1.settlement": "urban"}
    large = world(PROVINCE | named | {"province.communes.value": 999, "province.urban_share.value": 0.3})
    assert [place.settlement for place in large.places[:4]] == ["rural", "urban", "rural", "rural"]
    made_up = large.places[4:]
    assert within(sum(place.settlement == "urban" for place in made_up) / len(made_up), 0.3, len(made_up))
    for place in made_up:
        assert ("phường" if place.settlement == "urban" else "xã") in place.name


def test_sizes_of_communes_spread_as_given():
    sizes = np.log([place.households for place in world(PROVINCE | {"province.communes.value": 900}).places])
    assert abs(sizes.std() / 0.35 - 1) < 4 / math.sqrt(1800)


# -- markets -------------------------------------------------------------------------------------------------


def test_every_commune_gets_a_market_first_from_the_biggest_on():
    whole = world(PROVINCE)
    assert {market.commune for market in whole.markets} == set(range(102))
    few = world(PROVINCE | {"markets.count.value": 30})
    made_up = [market.commune for market in few.markets[2:]]
    sizes = [few.places[commune].households for commune in made_up]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(made_up)) == 30
    assert not set(made_up) & {market.commune for market in few.markets[:2]}
    without = set(range(102)) - {market.commune for market in few.markets}
    assert max(few.places[commune].households for commune in without) <= min(sizes)


def test_further_markets_lie_where_people_live():
    many = world(PROVINCE | {"markets.count.value": 2100})
    served = len({market.commune for market in many.markets[:2]})
    further = np.bincount([market.commune for market in many.markets[2 + 102 - served :]], minlength=102)
    assert chi_square(further, np.array([place.households for place in many.places])) < chi_square_limit(102)


def test_shares_sizes_and_hours_of_markets_spread_as_given():
    whole = world(PROVINCE)
    markets = whole.markets[2:]
    assert len(markets) == 200
    stalls = whole.scenario.adoption.stalls
    for name, start in (("showing_start", stalls.showing_start.value), ("using_start", stalls.using_start.value)):
        logits = np.array([logit(getattr(market, name)) for market in markets])
        assert abs(logits.mean() - logit(start)) < 4 * 0.6 / math.sqrt(200)
        assert abs(logits.std() / 0.6 - 1) < 4 / math.sqrt(400)
    assert all(0 < market.using_start <= market.showing_start < 1 for market in markets)
    sizes = np.log([market.sources for market in markets])
    assert abs(sizes.mean() - math.log(110)) < 4 * 0.5 / math.sqrt(200)
    assert min(market.sources for market in markets) >= SMALLEST_MARKET
    hours = Counter(market.hours for market in markets)
    assert within(hours["dawn"] / 200, 0.5, 200)
    assert within(hours["evening"] / 200, 0.1, 200)


def test_a_named_market_is_as_its_source_says():
    own = {"market.1.showing_start": {"value": 0.5, "source": "test"}, "market.1.using_start": None}
    own |= {"adoption.stalls.using_start.value": 0.4}
    tron = world(FEW | own).markets[1]
    assert (tron.name, tron.sources, tron.hours, tron.payments_per_source_day) == ("Chợ Tròn", 15, "day", 3.4)
    assert (tron.showing_start, tron.using_start) == (0.5, 0.4)


# -- cells, tills, shards ------------------------------------------------------------------------------------


def test_sources_lie_in_their_cells_and_cells_in_their_communes():
    small = world()
    assert small.source_count == len(small.source_ids) == len(set(small.source_ids))
    for number, name in enumerate(small.source_ids):
        cell = small.cells[small.cell_of_source[number]]
        assert name.startswith(cell.id)
        assert cell.first_source <= number < cell.first_source + cell.sources
        assert small.commune_of_source[number] == cell.commune
        assert small.is_counter[number] == (cell.sector in COUNTERS)
        assert small.market_of_source[number] == cell.market
        assert (cell.market == NO_MARKET) == (cell.sector != "market_stall")
    assert small.source_ids[:2] == ["cong-su/0001", "cong-su/0002"]
    assert small.source_ids[-1] == "an-giang-c007/ecommerce"
    assert "an-minh/public-service" in small.source_ids


def test_every_sector_has_a_till_in_every_commune():
    small = world()
    assert (*COMMUNE_SECTORS, "market_stall") == (*SECTORS[1:], "market_stall")
    for sector in COMMUNE_SECTORS:
        cells = small.cells_of(sector)
        assert [cell.commune for cell in cells] == list(range(7))
        assert {cell.sources for cell in cells} == {1}
    assert [market.id for market in small.cells_of("market_stall")] == [market.id for market in small.markets]
    assert [market.market for market in small.markets] == list(range(6))


@several
@given(seeds, st.integers(1, 7))
def test_the_shards_share_out_the_cells_and_keep_the_province(seed, count):
    whole = world(seed=seed)
    shards = [world(seed=seed, shard=(index, count)) for index in range(1, count + 1)]
    for shard in shards:
        assert (shard.places, shard.markets) == (whole.places, whole.markets)
        assert [cell.first_source for cell in shard.cells] == np.cumsum(
            [0, *(cell.sources for cell in shard.cells[:-1])]
        ).tolist()
    assert sorted(cell.id for shard in shards for cell in shard.cells) == sorted(cell.id for cell in whole.cells)
    tills = dict(zip(whole.source_ids, whole.till_of_source.tolist(), strict=True))
    assert sorted(tills.values()) == list(range(whole.source_count))
    for shard in shards:
        assert {name: tills[name] for name in shard.source_ids} == dict(
            zip(shard.source_ids, shard.till_of_source.tolist(), strict=True)
        )
    assert sum(shard.source_count for shard in shards) == whole.source_count


def test_a_shard_without_a_commune_is_refused():
    assert world(shard=(7, 9)).source_count > 0
    with pytest.raises(BadInputError, match="shard 8/9 of 7 communes is empty"):
        world(shard=(8, 9))


def test_a_world_has_the_seed_it_was_given():
    assert build_world(scenario(), 8) != build_world(scenario(), 9)
    assert build_world(scenario(), 8) == build_world(scenario(), 8)


# -- whom an intervention reaches ----------------------------------------------------------------------------


def test_places_of_interventions_reach_communes_and_the_markets_in_them():
    small = world()
    everything = (np.ones(7, dtype=bool).tolist(), np.ones(6, dtype=bool).tolist())
    for place in ((), ("an-giang",), ("an-giang", "tron")):
        assert (small.reached_communes(place).tolist(), small.reached_markets(place).tolist()) == everything
    assert np.flatnonzero(small.reached_communes(["an-minh"])).tolist() == [1]
    assert np.flatnonzero(small.reached_communes(["tron"])).tolist() == []
    assert np.flatnonzero(small.reached_markets(["tron"])).tolist() == [1]
    in_commune = [number for number, market in enumerate(small.markets) if market.commune == 0]
    assert np.flatnonzero(small.reached_markets(["u-minh-thuong"])).tolist() == in_commune
    assert set(np.flatnonzero(small.reached_markets(["u-minh-thuong", "tron"])).tolist()) == {1, *in_commune}
