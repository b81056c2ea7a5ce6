"""Utility bills: the tariff by hand, billing days, who pays when, and the codes on the bills."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter

import numpy as np
import pytest

from producers.engine import ProvinceSimulation
from producers.sectors.bills import UtilityBills, bill_amounts, cycle_day
from producers.sectors.sector import bill_code
from producers.simulation.calendar import day_in_month, day_numbers, month_of
from producers.simulation.columns import FAILED, NO_BILL, REVERSED
from schemas.scenario.sectors import TariffStep
from tests.province_days import within
from tests.sector_days import by_day, day, over
from tests.worlds import FEW, document, world

START = day("2025-11-17")
EVN = tuple(TariffStep.model_validate(step) for step in document()["electricity"]["tariff"])
ALONE = FEW | {"electricity.business": None}
"""Households only."""


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
    ids = [cell.id for cell in world({"province.households.value": 102}).cells]
    days = [cycle_day(57, one) for one in ids]
    assert set(days) == set(range(1, 29))
    assert days == [cycle_day(57, one) for one in ids]
    assert days != [cycle_day(58, one) for one in ids]


def test_a_bill_is_named_by_month_and_customer():
    assert bill_code(202511, np.array([1, 9_999_999])).tolist() == [202511_0000001, 202511_9999999]


def customers(of, cell) -> int:
    rule, households = of.scenario.electricity, of.places[cell.commune].households
    shares = [rule.customers_per_household.value]
    shares += [rule.business.customers_per_household.value] if rule.business else []
    return sum(round(households * share * of.scenario.scale.value) for share in shares)


def test_each_bill_of_a_month_is_paid_once_within_the_days_allowed():
    small = world(FEW | {"start": dt.date(2025, 12, 1), "electricity.pay_days_max.value": 28})
    cells = {cell.first_source: cell for cell in small.cells_of("electricity")}
    issued: dict[tuple[int, int], int] = {}
    paid: Counter[tuple[int, int]] = Counter()
    at: dict[tuple[int, int], int] = {}
    for today in ProvinceSimulation(small).days(31 + 28):
        for codes in today.codes:
            columns = zip(codes.source.tolist(), codes.bill.tolist(), codes.amount_vnd.tolist(), strict=True)
            issued |= {(source, bill): amount for source, bill, amount in columns}
        found = today.payments
        columns = (found.source, found.bill, found.amount_vnd, found.status)
        for source, bill, amount, status in zip(*(column.tolist() for column in columns), strict=True):
            if source in cells:
                assert issued[source, bill] == amount
                at.setdefault((source, bill), today.day.number)
                paid[source, bill] += status not in {FAILED, REVERSED}
    december = [(source, bill) for source, bill in issued if source in cells and bill // 10**7 == 202512]
    expected = [(s, 202512 * 10**7 + one) for s, cell in cells.items() for one in range(1, customers(small, cell) + 1)]
    assert sorted(december) == expected
    assert set(paid.values()) == {1}
    delays = [at[one] - day_in_month(202512, cycle_day(57, cells[one[0]].id)).number for one in december]
    assert min(delays) == 0
    assert 20 < max(delays) <= small.scenario.electricity.pay_days_max.value


def test_bills_are_never_paid_later_than_the_limit():
    small = world(FEW | {"electricity.pay_days_max.value": 3, "electricity.pay_days_mean.value": 50.0})
    found = over(UtilityBills(small, "electricity"), small, START, 60)
    issue = np.array(
        [
            day_in_month(code // 10**7, cycle_day(57, small.cells[small.cell_of_source[source]].id)).number
            for source, code in zip(found.source.tolist(), found.bill.tolist(), strict=True)
        ]
    )
    waited = day_numbers(found.occurred_at) - issue
    assert set(waited.tolist()) == {0, 1, 2, 3}


def test_the_share_of_bills_paid_by_a_day_follows_the_mean_delay():
    large = world(ALONE | {"province.households.value": 70_000, "electricity.pay_days_mean.value": 5.0})
    cell = large.cells_of("electricity")[0]
    first = day_in_month(202512, cycle_day(57, cell.id))
    found = by_day(UtilityBills(large, "electricity"), large, first, 29)
    counts = [int(((one.source == cell.first_source) & (one.bill // 10**7 == 202512)).sum()) for one in found]
    assert sum(counts) == customers(large, cell)
    for days in (1, 5, 10, 19):
        assert within(sum(counts[:days]) / sum(counts), 1 - math.exp(-days / 5), sum(counts))


def test_businesses_have_bills_of_one_price_and_a_share_of_their_own():
    """Usage is in whole kWh, so that every amount is one of the price with VAT."""
    large = world(FEW | {"province.households.value": 70_000})
    found = over(UtilityBills(large, "electricity"), large, START, 28)
    rule = large.scenario.electricity.business
    assert rule is not None
    theirs = ~np.isnan(found.given)
    assert set(found.given[theirs].tolist()) == {rule.cashless_share.value}
    assert within(float(theirs.mean()), 0.05 / 1.05, len(found))
    price = rule.vnd_per_unit.value * (1 + large.scenario.electricity.vat.value)
    usage = found.amount_vnd[theirs] / price
    assert np.abs(usage - np.rint(usage)).max() < 0.5 / price + 1e-9
    assert abs(np.log(np.median(usage) / rule.usage_median.value)) < 0.15
    water = over(UtilityBills(large, "water"), large, START, 28)
    assert np.isnan(water.given).all()


def test_an_amount_stays_that_of_its_code_whatever_the_day():
    small = world()
    bills = UtilityBills(small, "electricity")
    issued = {
        (source, bill): amount
        for number in range(28)
        for codes in bills.codes(START + number)
        for source, bill, amount in zip(
            *map(np.ndarray.tolist, (codes.source, codes.bill, codes.amount_vnd)), strict=True
        )
    }
    found = over(bills, small, START, 28)
    for source, bill, amount in zip(*map(np.ndarray.tolist, (found.source, found.bill, found.amount_vnd)), strict=True):
        assert issued[source, bill] == amount


def test_on_the_first_day_the_codes_of_open_bills_come_too():
    slow = {f"{sector}.pay_days_max.value": 28 for sector in ("electricity", "water")}
    slow |= {f"{sector}.pay_days_mean.value": 20.0 for sector in ("electricity", "water")}
    small = world(FEW | slow)
    days = list(ProvinceSimulation(small).days(60))
    first = days[0]
    utilities = {cell.first_source for sector in ("electricity", "water") for cell in small.cells_of(sector)}
    issued_on = {}
    for codes in first.codes:
        if codes.issued_at < first.day.midnight_at and int(codes.source[0]) in utilities:
            month = int(codes.bill[0]) // 10**7
            issue = day_in_month(month, cycle_day(57, small.cells[small.cell_of_source[codes.source[0]]].id))
            assert codes.issued_at == issue.midnight_at
            issued_on |= dict.fromkeys(zip(codes.source.tolist(), codes.bill.tolist(), strict=True), issue)
    paid = {
        (source, bill)
        for today in days
        for source, bill in zip(today.payments.source.tolist(), today.payments.bill.tolist(), strict=True)
        if bill != NO_BILL and source in utilities
    }
    in_time = {
        (source, bill)
        for today in days
        for codes in today.codes
        if codes.issued_at >= first.day.midnight_at
        for source, bill in zip(codes.source.tolist(), codes.bill.tolist(), strict=True)
    }
    assert set(issued_on) == paid - in_time
    assert len(issued_on) > 100
    assert {month_of(issue) for issue in issued_on.values()} == {202510, 202511}
    for today in days[1:]:
        assert all(codes.issued_at == today.day.midnight_at for codes in today.codes)
