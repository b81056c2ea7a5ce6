"""What holds for every seed: shards, blocks and the number of days change nothing; causes change only their effects."""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.encoding import PaymentEncoder
from producers.sectors.bills import UtilityBills
from producers.sectors.market_stall import MarketStalls
from producers.sectors.sector import Draws
from producers.simulation.calendar import HOUR_MS, Day
from producers.simulation.engine import simulate
from producers.simulation.world import BILL_SECTORS
from schemas.events import Payment
from tests.worlds import FEW, codes, wire, world

seeds = st.integers(0, 2**63 - 1)
several = settings(max_examples=10, deadline=None)


def columns(draws: Draws) -> dict[str, list[int]]:
    return {name: getattr(draws, name).tolist() for name in draws.__dataclass_fields__}


def by_source(values: list[bytes]) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = defaultdict(list)
    for value in values:
        found[json.loads(value)["source"]].append(value)
    return dict(found)


@several
@given(seeds)
def test_the_same_seed_gives_the_same_bytes(seed):
    assert wire(world(seed=seed), 2) == wire(world(seed=seed), 2)
    assert codes(world(seed=seed), 2) == codes(world(seed=seed), 2)


@several
@given(st.lists(seeds, min_size=2, max_size=2, unique=True))
def test_another_seed_gives_other_payments(pair):
    one, other = (wire(world(seed=seed), 1) for seed in pair)
    shared = set(one) & set(other)
    assert len(shared) < len(one) / 100


@pytest.mark.parametrize("count", [1, 2, 3])
@several
@given(seeds)
def test_the_shards_together_are_the_whole(count, seed):
    whole, shards = world(seed=seed), [world(seed=seed, shard=(index + 1, count)) for index in range(count)]
    expected = by_source(wire(whole, 3))
    parts = [by_source(wire(shard, 3)) for shard in shards]
    assert {source: values for part in parts for source, values in part.items()} == expected
    assert sum(len(part) for part in parts) == len(expected)
    assert sorted(cell.id for shard in shards for cell in shard.cells) == sorted(cell.id for cell in whole.cells)
    assert sorted(value for shard in shards for value in codes(shard, 3)) == sorted(codes(whole, 3))


@several
@given(seeds, st.lists(st.integers(1, 400), min_size=1, max_size=3))
def test_the_size_of_blocks_does_not_change_records(seed, sizes):
    small = world(seed=seed)
    expected = wire(small, 2)
    for size in sizes:
        assert wire(small, 2, block=size) == expected
    encoder = PaymentEncoder(small, "r", 4)
    for day in simulate(small, days=2):
        lengths = [len(block) for block in encoder.blocks(day, sizes[0])]
        assert sum(lengths) == len(day.payments)
        assert set(lengths[:-1]) <= {sizes[0]}
        assert 0 < lengths[-1] <= sizes[0]


@several
@given(seeds, st.integers(1, 5))
def test_a_longer_run_begins_as_a_shorter_one(seed, days):
    longer = wire(world(seed=seed), 6)
    shorter = wire(world(seed=seed), days)
    assert longer[: len(shorter)] == shorter
    assert len(longer) > len(shorter)


@several
@given(seeds)
def test_every_source_counts_from_one_in_order_of_time(seed):
    small = world(seed=seed)
    numbers: dict[int, list[int]] = defaultdict(list)
    times: dict[int, list[int]] = defaultdict(list)
    for day in simulate(small, days=4):
        listed = columns(day.payments)
        for source, time, number in zip(listed["source"], listed["occurred_at"], day.sequence.tolist(), strict=True):
            numbers[source].append(number)
            times[source].append(time)
    for source, listed in numbers.items():
        assert listed == list(range(1, len(listed) + 1))
        assert times[source] == sorted(times[source])
    ids = [json.loads(value)["payment_id"] for value in wire(small, 4)]
    assert len(ids) == len(set(ids)) == sum(len(listed) for listed in numbers.values())


@several
@given(seeds, st.dates(dt.date(2001, 1, 1), dt.date(2098, 12, 31)))
def test_payments_of_any_start_are_valid_and_within_their_hours(seed, start):
    small = world(FEW | {"start": start}, seed=seed)
    profiles = np.array([small.scenario.hours[cell.hours].value for cell in small.cells])
    for day in simulate(small, days=2):
        hours = (day.payments.occurred_at - day.day.midnight_at) // HOUR_MS
        assert (profiles[small.cell_of_source[day.payments.source], hours] > 0).all()
    for value in wire(small, 1)[:50]:
        Payment.model_validate_json(value)


CAUSES: list[tuple[dict[str, Any], set[str]]] = [
    ({"market_stall.cashless.drift_per_year.value": 9.0}, {"method", "status"}),
    ({"market_stall.cashless.amount_slope.value": 1.5}, {"method", "status"}),
    ({"market_stall.cashless.failure_rate.value": 0.3}, {"status"}),
    ({"market_stall.cashless.mix.value": {"card": 1.0}}, {"method"}),
    ({"market_stall.amount_sigma.value": 1.5}, {"amount_vnd", "method", "status"}),
    ({"market_stall.zipf_exponent.value": 2.0}, {"source"}),
    ({"hours.dawn.value": [0] * 8 + [1] * 16, "hours.day.value": [1] * 24}, {"occurred_at"}),
]


@pytest.mark.parametrize(("cause", "effects"), CAUSES, ids=[next(iter(cause)) for cause, _ in CAUSES])
def test_a_cause_changes_its_effects_and_nothing_else(cause, effects):
    before, after = world(), world(FEW | cause)
    changed = set()
    for day in (Day.of(before.scenario.start) + number for number in range(1, 60, 7)):
        one, other = MarketStalls(before).draw(day), MarketStalls(after).draw(day)
        names = one.__dataclass_fields__
        changed |= {name for name in names if getattr(one, name).tolist() != getattr(other, name).tolist()}
        for sector in BILL_SECTORS:
            same = [UtilityBills(each, sector).draw(day) for each in (before, after)]
            assert columns(same[0]) == columns(same[1])
    assert changed
    assert changed <= effects
