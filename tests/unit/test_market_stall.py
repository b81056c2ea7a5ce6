"""Market stalls against the distributions asked for: popularity, hours, amounts, days."""

from __future__ import annotations

import math

import numpy as np
import pytest

from producers.sectors.market_stall import MarketStalls, rounded_amounts
from producers.simulation.calendar import DAY_MS, HOUR_MS
from producers.simulation.columns import LUCK, NO_BILL
from tests.province_days import chi_square, chi_square_limit, within
from tests.sector_days import by_day, conditions, day
from tests.worlds import FEW, ONE_MARKET, scenario, world

START = day("2025-11-17")
BUSY = ONE_MARKET | {"market.0.stalls.value": 40, "market_stall.payments_per_stall_day.value": 2500.0}
"""About 100 000 purchases a day in one market, and about 1 000 in the other."""


@pytest.mark.parametrize(
    ("raw", "paid"),
    [
        (5_249, 5_000),
        (5_251, 5_500),
        (19_749, 19_500),
        (19_751, 20_000),
        (20_499, 20_000),
        (20_501, 21_000),
        (49_600, 50_000),
        (1, 5_000),
        (5_000_400, 5_000_000),
        (90_000_000, 5_000_000),
    ],
)
def test_amounts_are_rounded_as_people_pay(raw, paid):
    rule = scenario().market_stall
    normal = math.log(raw / rule.amount_median_vnd.value) / rule.amount_sigma.value
    assert rounded_amounts(np.array([normal]), rule).tolist() == [paid]


def test_rounding_leaves_no_amount_outside_the_limits_or_at_nothing():
    limits = {"market_stall.amount_min_vnd.value": 100, "market_stall.amount_max_vnd.value": 50_700}
    rule = scenario(FEW | limits).market_stall
    assert rounded_amounts(np.array([-40.0, 0.0, 40.0]), rule).tolist() == [100, 50_000, 50_700]


@pytest.fixture(scope="module")
def busy_day():
    """The purchases of a day at the market of 40 stalls."""
    market = world(BUSY)
    found = MarketStalls(market).demand(conditions(market, START))
    chosen = found.source < market.cells[0].sources
    assert 60_000 < chosen.sum() < 140_000
    columns = {name: getattr(found, name)[chosen] for name in ("source", "occurred_at", "amount_vnd", "bill", "given")}
    return columns | {"luck": found.luck[:, chosen]}


def test_popularity_has_the_zipf_exponent_asked_for(busy_day):
    counts = np.bincount(busy_day["source"], minlength=40)
    rank = np.arange(1, 41, dtype=float)
    assert chi_square(counts, rank**-0.8) < chi_square_limit(40)
    log_rank, mean = np.log(rank), (counts * np.log(rank)).sum() / counts.sum()
    low, high = 0.0, 3.0  # the likeliest exponent has the mean log rank that was seen
    for _ in range(50):
        exponent = (low + high) / 2
        weights = rank**-exponent
        low, high = (exponent, high) if (weights * log_rank).sum() / weights.sum() > mean else (low, exponent)
    assert abs(exponent - 0.8) < 0.02


def test_hours_follow_the_profile_and_closed_hours_have_nothing(busy_day):
    profile = np.array(scenario(BUSY).hours["dawn"].value)
    since = busy_day["occurred_at"] - START.midnight_at
    assert ((since >= 0) & (since < DAY_MS)).all()
    counts = np.bincount(since // HOUR_MS, minlength=24)
    assert (counts[profile == 0] == 0).all()
    is_open = profile > 0
    assert chi_square(counts[is_open], profile[is_open]) < chi_square_limit(int(is_open.sum()))
    quarters = np.bincount(since % HOUR_MS // (HOUR_MS // 4), minlength=4)
    assert chi_square(quarters, np.ones(4)) < chi_square_limit(4)


def test_no_market_sells_while_it_is_closed():
    market = world()
    profiles = np.array([market.scenario.hours[cell.hours or "day"].value for cell in market.cells])
    model, seen = MarketStalls(market), set()
    for number in range(20):
        today = START + number
        found = model.demand(conditions(market, today))
        cell = market.cell_of_source[found.source]
        assert (profiles[cell, (found.occurred_at - today.midnight_at) // HOUR_MS] > 0).all()
        seen |= set(cell.tolist())
    assert seen == set(range(6))


def test_amounts_are_log_normal_around_their_median(busy_day):
    amounts = busy_day["amount_vnd"]
    assert within(float((amounts < 50_000).mean()), 0.5 - 0.5 * math.erf(0.01 / 0.62 / math.sqrt(2)), len(amounts))
    upper = 0.5 + 0.5 * math.erf(1 / math.sqrt(2))  # the median times e to the sigma: 92 946 VND
    assert within(float((amounts < 93_000).mean()), upper, len(amounts))
    assert (amounts % 500 == 0).all()
    assert (amounts[amounts >= 20_000] % 1000 == 0).all()
    assert (amounts[amounts < 20_000] % 1000 == 500).any()
    assert amounts.min() >= 5_000
    assert amounts.max() <= 5_000_000


def test_purchases_have_no_bill_luck_of_their_own_and_leave_the_choice_to_adoption(busy_day):
    assert set(busy_day["bill"].tolist()) == {NO_BILL}
    assert np.isnan(busy_day["given"]).all()
    luck = busy_day["luck"]
    assert luck.shape[0] == LUCK
    assert ((luck >= 0) & (luck < 1)).all()
    others = np.vstack([luck, busy_day["source"], busy_day["amount_vnd"], busy_day["occurred_at"]])
    correlation = np.corrcoef(others)[~np.eye(len(others), dtype=bool)]
    assert np.abs(correlation).max() < 5 / math.sqrt(luck.shape[1])


def test_the_days_of_a_market_vary_by_the_gamma_effect():
    flat = {"market_stall.weekday.value": [1.0] * 7, "market.0.stalls.value": 100, "market.1.stalls.value": 5}
    market = world(ONE_MARKET | flat | {"market_stall.payments_per_stall_day.value": 20.0})
    found = by_day(MarketStalls(market), market, START, 500)
    counts = np.array([(one.source < 100).sum() for one in found])
    assert abs(counts.mean() / 2000 - 1) < 4 * math.sqrt(0.0405 / 500)
    # Poisson alone would give 1/2000; the gamma effect of shape 25 adds 1/25
    relative_variance = counts.var() / counts.mean() ** 2
    assert abs(relative_variance / 0.0405 - 1) < 4 * math.sqrt(2 / 500)


def test_weekdays_differ_as_given():
    market = world(ONE_MARKET | {"market_stall.weekday.value": [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0]})
    found = by_day(MarketStalls(market), market, START, 7 * 60)
    counts = np.array([len(one) for one in found]).reshape(60, 7).mean(axis=0)
    assert START.weekday == 0
    assert np.abs(counts[:6] / counts[:6].mean() - 1).max() < 0.08
    assert abs(counts[6] / counts[:6].mean() - 2) < 0.2


@pytest.mark.parametrize("factor", [0.0, 0.3, 3.0])
def test_demand_follows_the_factor_of_its_own_cell(factor):
    market = world(ONE_MARKET)
    factors = np.ones(len(market.cells))
    factors[0] = factor
    plain, moved = (by_day(MarketStalls(market), market, START, 40, factor=one) for one in (1.0, factors))
    first = [sum(int((one.source < market.cells[0].sources).sum()) for one in days) for days in (plain, moved)]
    assert abs(first[1] / first[0] - factor) < 4 * math.sqrt((factor + factor**2) / first[0]) + 1e-9
    for one, other in zip(plain, moved, strict=True):
        rest = [found.source >= market.cells[0].sources for found in (one, other)]
        assert one.source[rest[0]].tolist() == other.source[rest[1]].tolist()
        assert one.luck[:, rest[0]].tolist() == other.luck[:, rest[1]].tolist()


def test_a_market_without_purchases_has_a_day():
    nothing = {"market.1.payments_per_stall_day": None, "market_stall.payments_per_stall_day.value": 1e-12}
    market = world(ONE_MARKET | nothing)
    assert len(MarketStalls(market).demand(conditions(market, START))) == 0


def test_stalls_have_no_bills_and_so_no_codes_of_them():
    assert list(MarketStalls(world()).codes(START)) == []
