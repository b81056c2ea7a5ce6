"""Pensions and allowances: everyone is paid once a month, on a working day; who has an account keeps it."""

from __future__ import annotations

import numpy as np
import pytest

from producers.sectors.income import Income, pay_day, working_day
from producers.simulation.calendar import day_numbers
from producers.simulation.columns import CASH, NO_BILL
from producers.simulation.lunar import is_working_day
from producers.simulation.paying import pay
from schemas.events import METHODS
from tests.sector_days import TOWN, by_day, conditions, day, near_median, near_share, over
from tests.worlds import world

FROM, YEAR = day("2025-11-01"), 365
SMALL = TOWN | {"province.households.value": 400}


def people(of) -> int:
    rule, scale = of.scenario.income, of.scenario.scale.value
    kinds = (rule.pensioners_per_household.value, rule.allowances_per_household.value)
    return sum(round(place.households * kind * scale) for place in of.places for kind in kinds)


@pytest.mark.parametrize("cycle_day", [None, 1, 28])
def test_everyone_is_paid_once_a_month_on_a_working_day(cycle_day):
    fixed = {} if cycle_day is None else {f"income.{name}.value": cycle_day for name in ("first_day", "last_day")}
    small = world(SMALL | fixed)
    days = by_day(Income(small), small, FROM, YEAR)
    counts = np.array([len(one) for one in days])
    assert counts.sum() == 12 * people(small)
    assert all(is_working_day(FROM + int(number)) for number in np.flatnonzero(counts))
    months = 12 * len(small.cells_of("income"))
    assert sum(len(set(one.source.tolist())) for one in days) == months


def test_each_commune_has_its_day_of_the_month():
    small = world(SMALL)
    rule = small.scenario.income
    found = over(Income(small), small, day("2025-12-01"), 31)
    for cell in small.cells_of("income"):
        number = pay_day(small.seed, cell.id, rule.first_day.value, rule.last_day.value)
        expected = working_day(day(f"2025-12-{number:02d}"))
        assert set(day_numbers(found.occurred_at[found.source == cell.first_source]).tolist()) == {expected.number}


def test_days_are_spread_from_the_first_to_the_last():
    assert {pay_day(1, f"commune-{number}", 2, 10) for number in range(300)} == set(range(2, 11))


@pytest.mark.parametrize(
    ("date", "paid"),
    [
        ("2025-12-05", "2025-12-05"),
        ("2025-12-06", "2025-12-08"),
        ("2026-02-14", "2026-02-23"),  # a weekend, Tết from Monday to Friday, a weekend
        ("2026-02-28", "2026-03-02"),
        ("2026-01-01", "2026-01-02"),
    ],
)
def test_free_days_put_off_to_the_next_working_day(date, paid):
    expected = day(paid)
    between = [day(date) + number for number in range(expected.number - day(date).number)]
    assert not any(is_working_day(one) for one in between)
    assert working_day(day(date)) == expected


def test_a_person_gets_the_same_each_month():
    small = world(SMALL)
    model = Income(small)
    months = [over(model, small, day(first), 28) for first in ("2025-12-01", "2026-01-01", "2026-03-01")]
    for cell in small.cells_of("income"):
        amounts = [month.amount_vnd[month.source == cell.first_source].tolist() for month in months]
        assert amounts[0] == amounts[1] == amounts[2]
    assert months[0].luck[1].tolist() != months[1].luck[1].tolist()


def test_pensions_are_log_normal_and_allowances_alike():
    town = world(TOWN | {"income.allowance_vnd.value": 500_000})
    rule = town.scenario.income
    amounts = over(Income(town), town, day("2025-12-01"), 31).amount_vnd
    pensions = amounts[amounts != 500_000]
    assert near_median(pensions, rule.pension_median_vnd.value, rule.pension_sigma.value)
    allowances = sum(round(place.households * rule.allowances_per_household.value) for place in town.places)
    assert allowances <= (amounts == 500_000).sum() <= allowances + 3
    assert not (amounts % 1000).any()


def test_accounts_are_the_communes_share():
    small = world(SMALL)
    share = np.array([0.1, 0.2, 0.3, 0.4])
    found = over(Income(small), small, FROM, 31, accounts=share)
    assert found.given.tolist() == share[small.commune_of_source[found.source]].tolist()
    assert (found.bill == NO_BILL).all()
    assert not list(Income(small).codes(FROM))


def test_the_share_is_met_and_who_has_an_account_keeps_it():
    town = world(TOWN)
    model = Income(town)
    before = over(model, town, day("2025-12-01"), 31, accounts=0.6)
    after = over(model, town, day("2026-01-01"), 31, accounts=0.7)
    assert near_share((before.luck[0] < before.given).sum(), len(before), 0.6)
    for cell in town.cells_of("income"):
        one, other = ((found.luck[0] < found.given)[found.source == cell.first_source] for found in (before, after))
        assert (other | ~one).all()


def test_accounts_are_paid_by_transfer():
    town = world(TOWN)
    model, life = Income(town), town.scenario.payment_life
    method = np.concatenate(
        [
            pay(model.demand(today), model.rule, life, town, today).method
            for today in (conditions(town, day("2025-12-01") + number) for number in range(14))
        ]
    )
    assert set(method.tolist()) == {CASH, METHODS.index("bank_transfer")}
