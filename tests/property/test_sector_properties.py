"""What holds for every seed in every sector that is drawn by period: days, shards and neighbours change nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.sectors.ecommerce import Ecommerce
from producers.sectors.hospital import Hospital
from producers.sectors.income import Income
from producers.sectors.public_service import PublicService
from producers.sectors.tuition import Tuition
from producers.simulation.calendar import day_numbers
from producers.simulation.columns import LUCK
from tests.sector_days import TOWN, conditions, day
from tests.worlds import world

SECTORS = (Tuition, Hospital, PublicService, Income, Ecommerce)
SMALL = TOWN | {"province.households.value": 800}
DAYS = st.integers(day("2025-08-25").number, day("2026-06-10").number).map(lambda number: day("1970-01-01") + number)
SEEDS = st.integers(0, 2**63 - 1)
SHARES = st.floats(0, 1, allow_nan=False)
each_sector = pytest.mark.parametrize("sector", SECTORS, ids=lambda sector: sector.sector)
several = settings(max_examples=15, deadline=None)


def listed(demand) -> list[tuple[object, ...]]:
    """Demand by row, NaN as None."""
    given = [None if np.isnan(one) else one for one in demand.given.tolist()]
    columns = (demand.source.tolist(), demand.occurred_at.tolist(), demand.amount_vnd.tolist(), demand.bill.tolist())
    return list(zip(*columns, given, *demand.luck.tolist(), strict=True))


def alike(of, today, share):
    """The conditions of a day on which all shares are one."""
    return conditions(of, today, active=share, accounts=share, online=share)


def named(of, demand) -> list[tuple[object, ...]]:
    """Demand by row, in order of tills, whose ids do not depend on the shard."""
    return sorted((of.source_ids[source], *rest[:3], str(rest[3:])) for source, *rest in listed(demand))


@each_sector
@several
@given(SEEDS, DAYS, st.floats(0, 3, allow_nan=False))
def test_what_a_day_brings_is_of_that_day_and_well_formed(sector, seed, today, factor):
    small = world(SMALL, seed)
    found = sector(small).demand(conditions(small, today, factor=factor))
    assert (day_numbers(found.occurred_at) == today.number).all()
    assert (found.amount_vnd >= 1000).all()
    assert found.luck.shape == (LUCK, len(found))
    assert ((found.luck >= 0) & (found.luck < 1)).all()
    assert {small.cells[cell].sector for cell in small.cell_of_source[found.source].tolist()} <= {sector.sector}


@each_sector
@several
@given(SEEDS, st.lists(DAYS, min_size=1, max_size=4), SHARES)
def test_days_are_the_same_in_any_order(sector, seed, days, share):
    small = world(SMALL, seed)
    model = sector(small)
    alone = [listed(sector(small).demand(alike(small, one, share))) for one in days]
    backwards = [listed(model.demand(alike(small, one, share))) for one in reversed(days)]
    assert alone == backwards[::-1]


@each_sector
@several
@given(SEEDS, DAYS, st.integers(1, 4))
def test_the_shards_together_are_the_whole(sector, seed, today, count):
    whole = world(SMALL, seed)
    shards = [world(SMALL, seed, (index, count)) for index in range(1, count + 1)]
    expected = named(whole, sector(whole).demand(conditions(whole, today)))
    parts = [named(shard, sector(shard).demand(conditions(shard, today))) for shard in shards]
    assert sorted(row for part in parts for row in part) == expected


@each_sector
@several
@given(SEEDS, DAYS, st.integers(0, 3), st.tuples(SHARES, SHARES))
def test_a_commune_changes_nothing_in_another(sector, seed, today, commune, shares):
    small = world(SMALL, seed)
    before, changed = (np.full(len(small.places), shares[0]) for _ in range(2))
    changed[commune] = shares[1]
    model = sector(small)
    found = [model.demand(alike(small, today, share)) for share in (before, changed)]
    one, other = ([row for row in listed(demand) if small.commune_of_source[row[0]] != commune] for demand in found)
    assert one == other


@several
@given(SEEDS, DAYS)
def test_codes_are_those_of_the_whole_whatever_the_shard(seed, today):
    start = {"start": today.date}
    whole = world(SMALL | start, seed)
    shards = [world(SMALL | start, seed, (index, 3)) for index in (1, 2, 3)]

    def issued(of):
        return [
            (of.source_ids[source], codes.issued_at, *rest)
            for codes in Tuition(of).codes(today)
            for source, *rest in zip(*map(np.ndarray.tolist, (codes.source, codes.bill, codes.amount_vnd)), strict=True)
        ]

    assert sorted(row for shard in shards for row in issued(shard)) == sorted(issued(whole))
