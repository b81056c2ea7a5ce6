"""The simulation against what is known beforehand: the tariff by hand, calendars, shares, shapes of distributions."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter

import numpy as np
import pytest

from producers.sectors.bills import UtilityBills, bill_amounts, cycle_day
from producers.sectors.market_stall import MarketStalls, rounded_amounts
from producers.sectors.sector import (
    NO_BILL,
    SETTLED,
    bill_code,
    choose_method,
    cumulative,
    logit,
    moments,
    years_between,
)
from producers.simulation.calendar import DAY_MS, HOUR_MS, Day, day_in_month, month_of, previous_month
from producers.simulation.engine import simulate
from producers.simulation.random import generator
from producers.simulation.world import build_world
from schemas.errors import BadInputError
from schemas.events import METHODS
from schemas.scenario import CashlessChoice, TariffStep
from tests.worlds import FEW, ONE_MARKET, document, scenario, world

START = Day.of(dt.date(2025, 11, 17))
FLAT = {"market_stall.cashless.amount_slope.value": 0.0, "market_stall.cashless.drift_per_year.value": 0.0}
BUSY = ONE_MARKET | {"market.0.stalls.value": 40, "market_stall.payments_per_stall_day.value": 2500.0} | FLAT
"""About 100 000 purchases a day in one market, and about 1 000 in the other."""


def within(share: float, expected: float, count: int) -> bool:
    """Whether a share of ``count`` draws is within four standard errors of what is expected."""
    return abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / count)


def chi_square(observed: np.ndarray, weights: np.ndarray) -> float:
    expected = observed.sum() * weights / weights.sum()
    return float(((observed - expected) ** 2 / expected).sum())


def chi_square_limit(bins: int) -> float:
    """The value that one in ten thousand exceeds (Wilson and Hilferty's approximation)."""
    freedom = bins - 1
    return freedom * (1 - 2 / (9 * freedom) + 3.72 * math.sqrt(2 / (9 * freedom))) ** 3


# -- bills ---------------------------------------------------------------------------------------------------

EVN = tuple(TariffStep.model_validate(step) for step in document()["electricity"]["tariff"])


@pytest.mark.parametrize(
    ("kwh", "vnd"),
    [
        (1, 2_143),  # 1 984 × 1.08 = 2 142.72
        (50, 107_136),  # 99 200 × 1.08
        (51, 109_350),  # + 2 050: 101 250 × 1.08
        (100, 217_836),  # 99 200 + 50 × 2 050 = 201 700
        (101, 220_406),  # + 2 380: 204 080 × 1.08 = 220 406.4
        (200, 474_876),  # 201 700 + 100 × 2 380 = 439 700
        (201, 478_114),  # + 2 998: 442 698 × 1.08 = 478 113.84
        (300, 798_660),  # 439 700 + 100 × 2 998 = 739 500
        (301, 802_278),  # + 3 350: 742 850 × 1.08
        (400, 1_160_460),  # 739 500 + 100 × 3 350 = 1 074 500
        (401, 1_164_197),  # + 3 460: 1 077 960 × 1.08 = 1 164 196.8
        (500, 1_534_140),  # 1 074 500 + 100 × 3 460 = 1 420 500
    ],
)
def test_an_electricity_bill_by_the_tariff_with_vat(kwh, vnd):
    assert bill_amounts(np.array([kwh], dtype=float), EVN, 0.08).tolist() == [vnd]


def test_many_bills_are_the_same_as_each_alone():
    usage = np.arange(1, 1000, dtype=float)
    alone = [int(bill_amounts(np.array([one]), EVN, 0.08)[0]) for one in usage]
    assert bill_amounts(usage, EVN, 0.08).tolist() == alone
    assert alone == sorted(set(alone))


def test_half_a_dong_is_rounded_to_the_even_one():
    tariff = (TariffStep(vnd_per_unit=1, source="test"),)
    assert bill_amounts(np.array([1.0, 3.0, 5.0]), tariff, 0.5).tolist() == [2, 4, 8]  # 1.5, 4.5, 7.5


def test_cells_have_billing_days_of_their_own_that_every_month_has():
    days = [cycle_day(57, cell.id) for cell in world({}).cells]
    assert set(days) == set(range(1, 29))
    assert days == [cycle_day(57, cell.id) for cell in world({}).cells]
    assert days != [cycle_day(58, cell.id) for cell in world({}).cells]


def test_each_bill_of_a_month_is_paid_once_within_the_days_allowed():
    small = world(FEW | {"start": dt.date(2025, 12, 1), "electricity.pay_days_max.value": 28})
    rule = small.scenario.electricity
    cells = {cell.first_source: cell for cell in small.cells if cell.sector == "electricity"}
    assert all(cell.customers > 10 for cell in cells.values())
    issued: dict[tuple[int, int], int] = {}
    paid: Counter[tuple[int, int]] = Counter()
    at: dict[tuple[int, int], Day] = {}
    for day in simulate(small, days=31 + 28):
        for codes in day.codes:
            columns = zip(codes.source.tolist(), codes.bill.tolist(), codes.amount_vnd.tolist(), strict=True)
            issued |= {(source, bill): amount for source, bill, amount in columns}
        draws = day.payments
        for source, bill, amount in zip(
            draws.source.tolist(), draws.bill.tolist(), draws.amount_vnd.tolist(), strict=True
        ):
            if source in cells:
                paid[source, bill] += 1
                at[source, bill] = day.day
                assert issued[source, bill] == amount
    january = [(source, bill) for source, bill in issued if source in cells and bill // 10**7 == 202512]
    customers = [(s, 202512 * 10**7 + one) for s, cell in cells.items() for one in range(1, cell.customers + 1)]
    assert sorted(january) == customers
    delays = []
    for source, bill in january:
        assert paid[source, bill] == 1
        delays.append(at[source, bill].number - day_in_month(202512, cycle_day(57, cells[source].id)).number)
    assert min(delays) == 0
    assert 20 < max(delays) <= rule.pay_days_max.value
    assert set(paid.values()) == {1}


def test_bills_are_never_paid_later_than_the_limit():
    small = world(FEW | {"electricity.pay_days_max.value": 3, "electricity.pay_days_mean.value": 50.0})
    bills = UtilityBills(small, "electricity")
    for day in (START + number for number in range(60)):
        draws = bills.draw(day)
        issue = np.array(
            [
                day_in_month(code // 10**7, cycle_day(57, small.cells[small.cell_of_source[source]].id)).number
                for source, code in zip(draws.source.tolist(), draws.bill.tolist(), strict=True)
            ],
            dtype=np.int64,
        )
        assert (day.number - issue >= 0).all()
        assert (day.number - issue <= 3).all()


def test_the_share_of_bills_paid_by_a_day_follows_the_mean_delay():
    large = world(FEW | {"province.households.value": 70_000, "electricity.pay_days_mean.value": 5.0})
    bills = UtilityBills(large, "electricity")
    cell = next(cell for cell in large.cells if cell.sector == "electricity")
    first = day_in_month(202512, cycle_day(57, cell.id))
    counts = [
        int(((draws.source == cell.first_source) & (draws.bill // 10**7 == 202512)).sum())
        for draws in (bills.draw(first + number) for number in range(29))
    ]
    assert sum(counts) == cell.customers
    for days in (1, 5, 10, 19):
        assert within(sum(counts[:days]) / cell.customers, 1 - math.exp(-days / 5), cell.customers)


def test_a_bill_is_named_by_month_and_customer():
    assert bill_code(202511, np.array([1, 9_999_999])).tolist() == [202511_0000001, 202511_9999999]


def test_on_the_first_day_the_codes_of_open_bills_come_too():
    slow = {"electricity.pay_days_max.value": 28, "electricity.pay_days_mean.value": 20.0}
    small = world(FEW | slow)
    days = list(simulate(small, days=60))
    first = days[0]
    bills = [codes for codes in first.codes if codes.bill[0] != NO_BILL]
    earlier = [codes for codes in bills if codes.issued_at < first.day.midnight_at]
    issued_on = {}
    for codes in earlier:
        month = int(codes.bill[0]) // 10**7
        issue = day_in_month(month, cycle_day(57, small.cells[small.cell_of_source[codes.source[0]]].id))
        assert codes.issued_at == issue.midnight_at
        issued_on |= dict.fromkeys(zip(codes.source.tolist(), codes.bill.tolist(), strict=True), issue)
    paid = {
        (source, bill)
        for day in days
        for source, bill in zip(day.payments.source.tolist(), day.payments.bill.tolist(), strict=True)
        if bill != NO_BILL
    }
    in_time = {
        (source, bill)
        for day in days
        for codes in day.codes
        if codes.issued_at >= first.day.midnight_at
        for source, bill in zip(codes.source.tolist(), codes.bill.tolist(), strict=True)
    }
    assert set(issued_on) == paid - in_time
    assert len(issued_on) > 100
    assert {month_of(issue) for issue in issued_on.values()} == {202510, 202511}
    for day in days[1:]:
        assert all(codes.issued_at == day.day.midnight_at for codes in day.codes)


# -- stalls --------------------------------------------------------------------------------------------------


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
    draws = MarketStalls(market).draw(START)
    chosen = draws.source < market.cells[0].sources
    assert 80_000 < chosen.sum() < 140_000
    return {name: getattr(draws, name)[chosen] for name in draws.__dataclass_fields__}


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
    profiles = np.array([market.scenario.hours[cell.hours].value for cell in market.cells])
    seen = set()
    for day in simulate(market, days=20):
        hour = (day.payments.occurred_at - day.day.midnight_at) // HOUR_MS
        cell = market.cell_of_source[day.payments.source]
        assert (profiles[cell, hour] > 0).all()
        seen |= {market.cells[number].hours for number in cell.tolist()}
    assert seen == {"dawn", "day", "bills"} | {cell.hours for cell in market.cells}


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


def test_the_cashless_share_is_the_one_given(busy_day):
    cashless = busy_day["method"] > 0
    assert within(float(cashless.mean()), 0.35, len(cashless))
    for method, weight in {"vietqr": 0.80, "e_wallet": 0.12, "card": 0.02, "bank_transfer": 0.06}.items():
        share = float((busy_day["method"][cashless] == METHODS.index(method)).mean())
        assert within(share, weight, int(cashless.sum()))
    failed = busy_day["status"] != SETTLED
    assert not failed[~cashless].any()
    assert within(float(failed[cashless].mean()), 0.004, int(cashless.sum()))


@pytest.mark.parametrize(("drift", "days"), [(0.45, 365), (0.45, 730), (-0.9, 365)])
def test_the_cashless_share_drifts_in_logits(drift, days):
    market = world(BUSY | {"market_stall.cashless.drift_per_year.value": drift})
    draws = MarketStalls(market).draw(START + days)
    method = draws.method[draws.source < market.cells[0].sources]
    expected = 1 / (1 + math.exp(-(math.log(0.35 / 0.65) + drift * days / 365)))
    assert within(float((method > 0).mean()), expected, len(method))


@pytest.mark.parametrize("relative", [0.25, 1.0, 4.0])
def test_big_amounts_go_cashless_first(relative):
    choice = CashlessChoice.model_validate(document()["electricity"]["cashless"])
    count = 40_000
    amounts = np.full(count, relative)
    method, _ = choose_method(generator(1, "test"), choice, share=0.6, years=0.0, relative_amount=amounts)
    expected = 1 / (1 + math.exp(-(math.log(0.6 / 0.4) + 0.9 * math.log(relative))))
    assert within(float((method > 0).mean()), expected, count)


def test_a_method_without_weight_is_never_chosen():
    rule = document()["water"]["cashless"] | {"mix": {"value": {"card": 1.0}, "source": "test"}}
    choice = CashlessChoice.model_validate(rule)
    method, _ = choose_method(generator(1, "test"), choice, share=0.5, years=0.0, relative_amount=np.ones(2000))
    assert {METHODS[number] for number in method.tolist()} == {"cash", "card"}


def test_the_days_of_a_market_vary_by_the_gamma_effect():
    flat = {"market_stall.weekday.value": [1.0] * 7, "market.0.stalls.value": 100, "market.1.stalls.value": 5}
    market = world(ONE_MARKET | flat | {"market_stall.payments_per_stall_day.value": 20.0})
    stalls = MarketStalls(market)
    counts = np.array([(stalls.draw(START + number).source < 100).sum() for number in range(500)])
    assert abs(counts.mean() / 2000 - 1) < 4 * math.sqrt(0.0405 / 500)
    # Poisson alone would give 1/2000; the gamma effect of shape 25 adds 1/25
    relative_variance = counts.var() / counts.mean() ** 2
    assert abs(relative_variance / 0.0405 - 1) < 4 * math.sqrt(2 / 500)


def test_weekdays_differ_as_given():
    market = world(ONE_MARKET | {"market_stall.weekday.value": [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0]})
    stalls = MarketStalls(market)
    counts = np.array([len(stalls.draw(START + number)) for number in range(7 * 60)]).reshape(60, 7).mean(axis=0)
    assert START.weekday == 0
    assert np.abs(counts[:6] / counts[:6].mean() - 1).max() < 0.08
    assert abs(counts[6] / counts[:6].mean() - 2) < 0.2


def test_static_codes_of_all_stalls_come_on_the_first_day_only():
    market = world()
    stalls = MarketStalls(market)
    sources = [source for codes in stalls.codes(START) for source in codes.source.tolist()]
    assert sources == [number for number, cell in enumerate(market.cell_of_source) if cell < 6]
    assert list(stalls.codes(START + 1)) == []


# -- the loop of days ----------------------------------------------------------------------------------------


def test_days_follow_each_other_and_their_payments_are_in_order():
    days = list(simulate(world(), days=5))
    assert [day.day for day in days] == [START + number for number in range(5)]
    for day in days:
        at, source = day.payments.occurred_at, day.payments.source
        assert len(at) > 100
        assert day.day.midnight_at <= at[0]
        assert at[-1] < (day.day + 1).midnight_at
        assert (np.diff(at) >= 0).all()
        assert (np.diff(source)[np.diff(at) == 0] >= 0).all()


def test_sources_number_their_payments_without_gaps_across_days():
    busy = FEW | {"market_stall.payments_per_stall_day.value": 40.0}
    last: dict[int, int] = {}
    for day in simulate(world(busy), days=4):
        for source, sequence in zip(day.payments.source.tolist(), day.sequence.tolist(), strict=True):
            assert sequence == last.get(source, 0) + 1
            last[source] = sequence
    assert max(last.values()) > 200
    assert len(last) > 50


def test_every_column_is_of_whole_numbers():
    for day in simulate(world(), days=2):
        columns = [getattr(day.payments, name) for name in day.payments.__dataclass_fields__]
        assert {column.dtype for column in (*columns, day.sequence)} == {np.dtype(np.int64)}


def test_without_a_number_of_days_there_is_no_end():
    days = simulate(world())
    assert [next(days).day for _ in range(3)] == [START, START + 1, START + 2]


def test_a_day_without_payments_is_a_day():
    nothing = {f"{sector}.customers_per_household.value": 0.0 for sector in ("electricity", "water")}
    nothing |= {"market.1.payments_per_stall_day": None, "market_stall.payments_per_stall_day.value": 1e-12}
    days = list(simulate(world(ONE_MARKET | nothing), days=2))
    assert [(len(day.payments), len(day.sequence)) for day in days] == [(0, 0), (0, 0)]
    assert [len(day.codes) for day in days] == [2, 0]


# -- the world -----------------------------------------------------------------------------------------------


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
    assert len({cell.id for cell in small.cells}) == len(small.cells) == 6 + 2 * 7
    assert abs(sum(place.households for place in small.places) - 700) <= 7


def test_sources_lie_in_their_cells_and_cells_in_their_communes():
    small = world()
    assert small.source_count == len(small.source_ids) == len(set(small.source_ids))
    for number, name in enumerate(small.source_ids):
        cell = small.cells[small.cell_of_source[number]]
        assert name.startswith(cell.id)
        assert cell.first_source <= number < cell.first_source + cell.sources
        assert small.commune_of_source[number] == cell.commune
    assert small.source_ids[:2] == ["cong-su/0001", "cong-su/0002"]
    assert small.source_ids[-1] == "an-giang-c007/water"


def test_shares_and_sizes_of_markets_spread_as_given():
    cells = [cell for cell in world({}).cells if cell.sector == "market_stall"][2:]
    assert len(cells) == 200
    logits = np.array([logit(cell.cashless_share) for cell in cells])
    assert abs(logits.mean() - logit(0.35)) < 4 * 0.6 / math.sqrt(200)
    assert abs(logits.std() / 0.6 - 1) < 4 / math.sqrt(400)
    sizes = np.log([cell.sources for cell in cells])
    assert abs(sizes.mean() - math.log(110)) < 4 * 0.5 / math.sqrt(200)
    hours = Counter(cell.hours for cell in cells)
    assert within(hours["dawn"] / 200, 0.5, 200)
    assert within(hours["evening"] / 200, 0.1, 200)


def test_a_shard_without_a_commune_is_refused():
    assert world(shard=(7, 9)).source_count > 0
    with pytest.raises(BadInputError, match="shard 8/9 of 7 communes is empty"):
        world(shard=(8, 9))


def test_a_world_has_the_seed_it_was_given():
    assert build_world(scenario(), 8) != build_world(scenario(), 9)
    assert build_world(scenario(), 8) == build_world(scenario(), 8)


# -- calendar, times, randomness -----------------------------------------------------------------------------


def test_a_day_begins_at_seventeen_utc_of_the_day_before():
    begin = dt.datetime(2025, 11, 16, 17, tzinfo=dt.UTC)
    assert START.midnight_at == begin.timestamp() * 1000
    assert (START + 1).midnight_at - START.midnight_at == DAY_MS
    assert START.date == dt.date(2025, 11, 17)
    assert START.date.isoformat() == "2025-11-17"
    assert [(START + number).weekday for number in range(8)] == [0, 1, 2, 3, 4, 5, 6, 0]


def test_months_follow_each_other_over_the_year():
    day = Day.of(dt.date(2024, 2, 29))
    assert month_of(day) == 202402
    months = [202403]
    for _ in range(15):
        months.append(previous_month(months[-1]))
    assert months[:5] == [202403, 202402, 202401, 202312, 202311]
    assert months[-1] == 202212
    assert day_in_month(202402, 28) + 1 == day


def test_years_are_of_365_days():
    assert years_between(START, START + 365) == 1.0
    assert years_between(START, START + -73) == -0.2


def test_times_of_day_stay_in_hours_with_weight():
    profile = cumulative([0, 0, 1] + [0] * 20 + [3])
    at = moments(generator(3, "test"), 20_000, profile)
    hours = Counter((at // HOUR_MS).tolist())
    assert set(hours) == {2, 23}
    assert within(hours[2] / 20_000, 0.25, 20_000)
    assert at.max() < DAY_MS


def test_draws_depend_on_seed_names_and_day_alone():
    places = [(1, ("a", "b"), 0), (2, ("a", "b"), 0), (1, ("a", "c"), 0), (1, ("b", "a"), 0), (1, ("a", "b"), 1)]
    places += [(1, ("ab",), 0), (1, ("a", "b"), -1), (2**63 - 1, ("a", "b"), 0)]
    drawn = [generator(seed, *names, day=day).integers(0, 2**62, 4).tolist() for seed, names, day in places]
    assert len({tuple(one) for one in drawn}) == len(places)
    again = [generator(seed, *names, day=day).integers(0, 2**62, 4).tolist() for seed, names, day in reversed(places)]
    assert again[::-1] == drawn
