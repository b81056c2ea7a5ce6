"""What holds for every seed: shards, blocks, processes and days change nothing; causes change only their effects."""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.encoding import PaymentEncoder
from producers.engine import ProvinceSimulation
from producers.sectors.market_stall import MarketStalls
from producers.simulation.calendar import HOUR_MS, Day
from producers.simulation.columns import DEMAND
from producers.simulation.paying import pay
from schemas.events import SECTORS, Payment
from tests.province_days import CLEAN, FAULTY, TROUBLED, by_source, rows_of, sent
from tests.sector_days import conditions
from tests.worlds import FEW, codes, wire, world

if TYPE_CHECKING:
    from producers.simulation.world import World

seeds = st.integers(0, 2**63 - 1)
several = settings(max_examples=5, deadline=None)
LIVELY = FAULTY | TROUBLED
"""Failures, reversals, and faults on the way."""


def lines_by_source(values: list[bytes]) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = defaultdict(list)
    for value in values:
        if value.endswith(b"}"):
            found[value.split(b'"source":"')[1].split(b'"')[0]].append(value)
    return dict(found)


def truth(of: World, days: int) -> list[bytes]:
    encoder = PaymentEncoder(of, "r", 4)
    return [value for day in ProvinceSimulation(of).days(days) for value in encoder.truth(sent(of, day)[0]).value]


@several
@given(seeds)
def test_the_same_seed_gives_the_same_bytes(seed):
    one, other = (world(LIVELY, seed) for _ in range(2))
    assert wire(one, 3) == wire(other, 3)
    assert codes(one, 3) == codes(other, 3)
    assert truth(one, 3) == truth(other, 3)


@several
@given(st.lists(seeds, min_size=2, max_size=2, unique=True))
def test_another_seed_gives_other_payments(pair):
    one, other = (wire(world(LIVELY, seed), 1) for seed in pair)
    shared = {value for value in set(one) & set(other) if value.endswith(b"}")}  # spoiled copies have no amounts
    assert len(shared) < len(one) / 100


@pytest.mark.parametrize("count", [1, 2, 5])
@several
@given(seeds)
def test_the_shards_together_are_the_whole(count, seed):
    whole, shards = world(LIVELY, seed), [world(LIVELY, seed, (index + 1, count)) for index in range(count)]
    whole_wire, part_wires = wire(whole, 2), [wire(shard, 2) for shard in shards]
    assert sorted(chain.from_iterable(part_wires)) == sorted(whole_wire)
    parts = [lines_by_source(values) for values in part_wires]
    assert {source: values for part in parts for source, values in part.items()} == lines_by_source(whole_wire)
    for of_world in (lambda of: codes(of, 2), lambda of: truth(of, 2)):
        assert sorted(value for shard in shards for value in of_world(shard)) == sorted(of_world(whole))


@several
@given(seeds, st.lists(st.integers(1, 400), min_size=1, max_size=3))
def test_the_size_of_blocks_does_not_change_records(seed, sizes):
    small = world(LIVELY, seed)
    expected = wire(small, 2)
    for size in sizes:
        assert wire(small, 2, block=size) == expected
    encoder = PaymentEncoder(small, "r", 4)
    for day in ProvinceSimulation(small).days(2):
        labelled, sending = sent(small, day)
        lengths = [len(block) for block in encoder.blocks(labelled, sending, sizes[0])]
        assert sum(lengths) == len(sending) >= len(day.payments)
        assert set(lengths[:-1]) <= {sizes[0]}
        assert 0 < lengths[-1] <= sizes[0]


@several
@given(seeds, st.integers(1, 5))
def test_a_longer_run_begins_as_a_shorter_one(seed, days):
    longer, shorter = wire(world(LIVELY, seed), 6), wire(world(LIVELY, seed), days)
    assert longer[: len(shorter)] == shorter
    assert len(longer) > len(shorter)


@several
@given(seeds, st.integers(1, 4), st.integers(1, 9))
def test_days_made_side_by_side_and_numbered_in_a_ring_are_the_days(seed, processes, days):
    small = world(LIVELY, seed)
    rings = [ProvinceSimulation(small).unnumbered(days, (one, processes)) for one in range(processes)]
    before = np.zeros(small.source_count, dtype=np.int64)
    for number, day in enumerate(ProvinceSimulation(small).days(days)):
        unnumbered = next(rings[number % processes])
        made = unnumbered.numbered(before)
        before += unnumbered.counts
        assert made.day == day.day
        assert rows_of(made) == rows_of(day)
        assert [issued.source.tolist() for issued in made.codes] == [issued.source.tolist() for issued in day.codes]
    assert all(next(ring, None) is None for ring in rings)


@several
@given(seeds, st.integers(0, 40))
def test_days_from_one_on_are_the_same_as_behind_all_before(seed, first):
    small = world(LIVELY, seed)
    *_, wanted = ProvinceSimulation(small).unnumbered(first + 1)
    found = next(ProvinceSimulation(small).unnumbered(part=(first, 1)))
    assert rows_of(found.day) == rows_of(wanted.day)
    assert found.counts.tolist() == wanted.counts.tolist()
    assert [issued.bill.tolist() for issued in found.day.codes] == [issued.bill.tolist() for issued in wanted.day.codes]


@several
@given(seeds)
def test_every_source_counts_from_one_in_order_of_time(seed):
    small = world(LIVELY, seed)
    numbers: dict[str, list[int]] = defaultdict(list)
    times: dict[str, list[int]] = defaultdict(list)
    for day in ProvinceSimulation(small).days(4):
        for source, rows in by_source(small, day).items():
            numbers[source] += [row.sequence for row in rows]
            times[source] += [row.occurred_at for row in rows]
    for source, listed in numbers.items():
        assert listed == list(range(1, len(listed) + 1))
        assert times[source] == sorted(times[source])
    ids = {json.loads(value)["payment_id"] for value in wire(small, 4) if value.endswith(b"}")}
    assert len(ids) == sum(len(listed) for listed in numbers.values())


CALM = CLEAN | {"payment_life.reversal_rate.value": 0.0, "intervention": [], "income.failure_rate.value": 0.0}
CALM |= {f"{sector}.cashless.failure_rate.value": 0.0 for sector in SECTORS if sector != "income"}
"""Everything happens when it was wanted."""


def open_hours(of: World) -> np.ndarray:
    """In which hours each cell may be paid."""
    scenario = of.scenario
    more = {"public_service": scenario.public_service.online_hours, "ecommerce": scenario.ecommerce.delivery_hours}
    names = [
        [cell.hours] if cell.hours else [getattr(scenario, cell.sector).hours, *filter(None, [more.get(cell.sector)])]
        for cell in of.cells
    ]
    return np.array([np.any([np.array(scenario.hours[one].value) > 0 for one in some], axis=0) for some in names])


@several
@given(seeds, st.dates(dt.date(2001, 1, 1), dt.date(2098, 12, 31)))
def test_payments_of_any_start_are_valid_and_within_their_hours(seed, start):
    small = world(CALM | {"start": start}, seed)
    is_open = open_hours(small)
    for day in ProvinceSimulation(small).days(2):
        hours = (day.payments.occurred_at - day.day.midnight_at) // HOUR_MS
        assert is_open[small.cell_of_source[day.payments.source], hours].all()
    for value in wire(small, 1)[:50]:
        Payment.model_validate_json(value)


# -- causes --------------------------------------------------------------------------------------------------

CAUSES: list[tuple[dict[str, Any], set[str]]] = [
    ({"market_stall.cashless.preference.value": 2.0}, {"method", "status"}),
    ({"market_stall.cashless.amount_slope.value": 1.5}, {"method", "status"}),
    ({"market_stall.cashless.payers.value": 4}, {"method", "status"}),
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
    for number in range(1, 60, 7):
        found = []
        for of in (before, after):
            today = conditions(of, Day.of(of.scenario.start) + number)
            model = MarketStalls(of)
            demand = model.demand(today)
            assert demand.luck.tolist() == MarketStalls(before).demand(today).luck.tolist()
            paid = pay(demand, model.rule, of.scenario.payment_life, of, today)
            first = {name: getattr(paid, name)[: len(demand)].tolist() for name in ("method", "status")}
            found.append({name: getattr(demand, name).tolist() for name in DEMAND if name != "given"} | first)
        changed |= {name for name in found[0] if found[0][name] != found[1][name]}
    assert changed
    assert changed <= effects


@pytest.mark.parametrize(
    "cause", [cause for cause, _ in CAUSES[:7]], ids=[next(iter(cause)) for cause, _ in CAUSES[:7]]
)
def test_a_cause_in_one_sector_changes_no_other(cause):
    before, after = world(), world(FEW | cause)
    stalls = {name for name, market in zip(before.source_ids, before.market_of_source, strict=True) if market >= 0}
    for one, other in zip(*(ProvinceSimulation(of).days(10) for of in (before, after)), strict=True):
        here, there = (by_source(of, day) for of, day in ((before, one), (after, other)))
        assert {name: rows for name, rows in here.items() if name not in stalls} == {
            name: rows for name, rows in there.items() if name not in stalls
        }
        assert one.adoption.active.tolist() == other.adoption.active.tolist()
