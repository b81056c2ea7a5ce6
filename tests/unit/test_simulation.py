"""The loop of days: order, numbers, codes put up, days without payments; and the randomness that it rests on."""

from __future__ import annotations

import datetime as dt
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from producers.engine import ProvinceSimulation
from producers.sectors.alias import AliasTable
from producers.sectors.sector import moments
from producers.simulation.calendar import DAY_MS, HOUR_MS
from producers.simulation.columns import CASH, DENSE, FAILED, NO_BILL, NOTHING, REVERSED, SETTLED
from producers.simulation.random import further, generator, keyed
from schemas.events import SECTORS
from tests.province_days import TROUBLED, chi_square, chi_square_limit, rows_of, within
from tests.sector_days import day
from tests.worlds import FEW, ONE_MARKET, world

START = day("2025-11-17")
SILENT = {
    "market_stall.payments_per_stall_day.value": 1e-12,
    "market.1.payments_per_stall_day": None,
    "electricity.business": None,
    "electricity.customers_per_household.value": 0.0,
    "water.customers_per_household.value": 0.0,
    "tuition.pupils_per_household.value": 1e-9,
    "hospital.visits_per_1000_adults_day.value": 1e-12,
    "public_service.dossiers_per_1000_adults_day.value": 1e-12,
    "income.pensioners_per_household.value": 1e-9,
    "income.allowances_per_household.value": 1e-9,
    "ecommerce.orders_per_1000_adults_day.value": 1e-12,
}
"""Nobody buys anything."""


# -- the loop of days ----------------------------------------------------------------------------------------


def test_days_follow_each_other_and_their_payments_are_in_order():
    small = world()
    days = list(ProvinceSimulation(small).days(5))
    assert [one.day for one in days] == [one.adoption.day for one in days] == [START + number for number in range(5)]
    for one in days:
        at, cell = one.payments.occurred_at, small.cell_of_source[one.payments.source]
        assert len(at) > 100
        assert one.day.midnight_at <= at[0]
        assert at[-1] < (one.day + 1).midnight_at
        assert (np.diff(at) >= 0).all()
        assert (np.diff(cell)[np.diff(at) == 0] >= 0).all()


def test_sources_number_their_payments_without_gaps_across_days():
    busy = FEW | TROUBLED | {"market_stall.payments_per_stall_day.value": 40.0}
    last: dict[int, int] = {}
    for one in ProvinceSimulation(world(busy)).days(4):
        for source, sequence in zip(one.payments.source.tolist(), one.sequence.tolist(), strict=True):
            assert sequence == last.get(source, 0) + 1
            last[source] = sequence
    assert max(last.values()) > 200
    assert len(last) > 50


def test_every_column_is_of_whole_numbers():
    for one in ProvinceSimulation(world(FEW | TROUBLED)).days(2):
        columns = {name: getattr(one.payments, name).dtype for name in DENSE}
        small = {"method", "status"}
        assert columns == {name: np.dtype(np.int8 if name in small else np.int64) for name in DENSE}
        notes, labels = one.payments.notes, one.payments.labels
        others = [getattr(part, name) for part in (notes, labels) for name in part.__dataclass_fields__]
        assert {column.dtype for column in (*others, one.sequence)} == {np.dtype(np.int64)}


def test_without_a_number_of_days_there_is_no_end():
    days = ProvinceSimulation(world()).days()
    assert [next(days).day for _ in range(3)] == [START, START + 1, START + 2]


def test_a_simulation_can_be_asked_again():
    simulation = ProvinceSimulation(world())
    first, again = ([rows_of(one) for one in simulation.days(40)] for _ in range(2))
    assert first == again


def test_a_day_without_payments_is_a_day():
    small = world(ONE_MARKET | SILENT)
    days = list(ProvinceSimulation(small).days(60))
    assert {(len(one.payments), len(one.sequence)) for one in days} == {(0, 0)}
    counters = int(small.is_counter.sum()) - sum(cell.sources for cell in small.cells_of("market_stall"))
    assert sum(len(codes.source) for codes in days[0].codes) == counters + days[0].adoption.showing.sum()


def test_every_sector_pays_by_many_methods_over_a_month():
    small = world(FEW | {"province.households.value": 7000, "start": dt.date(2025, 9, 5)})
    found: Counter[tuple[str, bool]] = Counter()
    for one in ProvinceSimulation(small).days(31):
        sectors = [small.cells[cell].sector for cell in small.cell_of_source[one.payments.source].tolist()]
        found.update(zip(sectors, (one.payments.method != CASH).tolist(), strict=True))
    assert {pair for pair in found if found[pair] > 20} == {(s, one) for s in SECTORS for one in (False, True)}


# -- chains of attempts --------------------------------------------------------------------------------------


def test_notes_refer_to_earlier_payments_of_the_same_source_and_each_purchase_ends_settled_once():
    small = world(FEW | TROUBLED | {"market_stall.payments_per_stall_day.value": 30.0})
    kinds: Counter[tuple[int, int]] = Counter()
    for one in ProvinceSimulation(small).days(4):
        rows = {(source, row.sequence): row for source, row in rows_of(one)}
        followed: Counter[tuple[int, int]] = Counter()
        for (source, sequence), row in rows.items():
            if row.refers_to == NOTHING:
                assert row.attempt == 1
                continue
            assert row.refers_to < sequence
            before = rows[source, row.refers_to]  # of the same day
            assert (before.amount_vnd, before.bill) == (row.amount_vnd, row.bill)
            assert before.occurred_at <= row.occurred_at
            kinds[before.status, row.status] += 1
            if row.status == REVERSED:
                assert before.status == SETTLED
                assert before.method == row.method != CASH
            else:
                assert before.status == FAILED
                assert row.attempt == before.attempt + 1
                followed[source, row.refers_to] += 1
        failed = {place for place, row in rows.items() if row.status == FAILED}
        assert followed == dict.fromkeys(failed, 1)
        assert all(row.reason != NOTHING for place, row in rows.items() if place in failed)
    assert set(kinds) == {(FAILED, FAILED), (FAILED, SETTLED), (SETTLED, REVERSED)}
    assert min(kinds.values()) > 30


def test_failures_change_no_purchase():
    """Demand is the same with and without them: the settled payments of each till, by amount."""

    def settled(changes: dict[str, object]) -> list[list[tuple[int, int, int]]]:
        days = ProvinceSimulation(world(FEW | changes)).days(5)
        return [
            sorted((source, row.amount_vnd, row.bill) for source, row in rows_of(one) if row.status == SETTLED)
            for one in days
        ]

    assert settled({}) == settled(TROUBLED)


# -- codes ---------------------------------------------------------------------------------------------------


def test_every_counter_and_every_stall_that_shows_a_code_puts_it_up_once():
    """A code stays up: who stops using it goes on showing it."""
    small = world(FEW | {"adoption.stalls.innovation.value": 8.0})
    up: set[int] = set()
    stalls = small.market_of_source >= 0
    for one in ProvinceSimulation(small).days(60):
        fresh = [source for codes in one.codes if codes.bill[0] == NO_BILL for source in codes.source.tolist()]
        assert not up & set(fresh)
        up |= set(fresh)
        shown = np.bincount(small.market_of_source[[s for s in up if stalls[s]]], minlength=len(small.markets))
        assert shown.tolist() == one.adoption.showing.tolist()
        assert {source for source in up if not stalls[source]} == set(
            np.flatnonzero(small.is_counter & ~stalls).tolist()
        )
        if one.day == START:
            first = len(up)
        else:
            assert all(codes.issued_at == one.day.midnight_at for codes in one.codes)
    assert len(up) > first


def test_codes_that_are_not_wanted_are_not_made():
    assert [one.codes for one in ProvinceSimulation(world(), codes=False).days(2)] == [(), ()]


def test_nobody_scans_a_code_that_is_not_up():
    small = world(FEW | {"adoption.stalls.innovation.value": 8.0, "market_stall.payments_per_stall_day.value": 30.0})
    up: set[int] = set()
    for one in ProvinceSimulation(small).days(20):
        up |= {source for codes in one.codes if codes.bill[0] == NO_BILL for source in codes.source.tolist()}
        payments = one.payments
        cashless = payments.source[(payments.method != CASH) & (small.market_of_source[payments.source] >= 0)]
        assert set(cashless.tolist()) <= up


# -- times and randomness ------------------------------------------------------------------------------------


def test_times_of_day_stay_in_hours_with_weight():
    at = moments(generator(3, "test"), 20_000, AliasTable([[0, 0, 1] + [0] * 20 + [3]]))
    hours = Counter((at // HOUR_MS).tolist())
    assert set(hours) == {2, 23}
    assert within(hours[2] / 20_000, 0.25, 20_000)
    assert at.max() < DAY_MS


def test_draws_depend_on_seed_names_and_day_alone():
    places = [(1, ("a", "b"), 0), (2, ("a", "b"), 0), (1, ("a", "c"), 0), (1, ("b", "a"), 0), (1, ("a", "b"), 1)]
    places += [(1, ("ab",), 0), (1, ("a", "b"), -1), (2**63 - 1, ("a", "b"), 0)]
    drawn = [generator(seed, *names, day=number).integers(0, 2**62, 4).tolist() for seed, names, number in places]
    assert len({tuple(one) for one in drawn}) == len(places)
    again = [generator(s, *names, day=number).integers(0, 2**62, 4).tolist() for s, names, number in reversed(places)]
    assert again[::-1] == drawn


def uniform(draws: np.ndarray) -> bool:
    """Whether draws are in [0, 1) and evenly so."""
    counts = np.bincount((draws * 50).astype(np.int64), minlength=50)
    return bool((draws >= 0).all() and (draws < 1).all() and chi_square(counts, np.ones(50)) < chi_square_limit(50))


def test_further_draws_are_uniform_and_tell_nothing_of_each_other():
    luck = generator(5, "test").random(50_000)
    drawn = further(luck, 4)
    assert all(uniform(one) for one in drawn)
    pairs = np.corrcoef(np.vstack([luck, drawn]))[~np.eye(5, dtype=bool)]
    assert np.abs(pairs).max() < 5 / np.sqrt(50_000)


@given(st.lists(st.floats(0, 1, exclude_max=True), max_size=20), st.integers(1, 5))
def test_further_draws_are_each_ones_own(luck, count):
    together = further(np.array(luck), count)
    assert together.shape == (count, len(luck))
    for place, one in enumerate(luck):
        assert further(np.array([one]), count)[:, 0].tolist() == together[:, place].tolist()
        assert further(np.array([one]), 1)[0].tolist() == together[:1, place].tolist()


def test_keyed_draws_are_uniform_over_tills_and_numbers_and_of_each_seed_and_purpose_its_own():
    keys = ((np.arange(200) << 40)[:, None] + np.arange(1, 251)).ravel()
    drawn = [keyed(seed, name, keys) for seed, name in ((57, "a"), (58, "a"), (57, "b"))]
    assert all(uniform(one) for one in drawn)
    assert np.abs(np.corrcoef(drawn)[~np.eye(3, dtype=bool)]).max() < 5 / np.sqrt(len(keys))
    by_till = drawn[0].reshape(200, 250)
    assert abs(np.corrcoef(by_till[:, :-1].ravel(), by_till[:, 1:].ravel())[0, 1]) < 5 / np.sqrt(len(keys))
    some = keys[::37]
    assert keyed(57, "a", some).tolist() == drawn[0][::37].tolist()
