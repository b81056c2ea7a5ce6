"""One-stop shops: counters are open on working days, the net always; the online share moves dossiers, no more."""

from __future__ import annotations

import numpy as np
import pytest

from producers.sectors.public_service import PublicService
from producers.simulation.calendar import HOUR_MS, UTC_OFFSET_MS
from producers.simulation.columns import NO_BILL
from producers.simulation.lunar import is_working_day
from tests.sector_days import TOWN, adults, by_day, conditions, day, near, near_share, over
from tests.worlds import world

FROM, DAYS = day("2026-01-05"), 8 * 7
"""With Tết in it: 16 to 20 February, and weekends."""
MANY = TOWN | {"public_service.dossiers_per_1000_adults_day.value": 4.0}


def hours(demand) -> set[int]:
    return set(((demand.occurred_at + UTC_OFFSET_MS) // HOUR_MS % 24).tolist())


def open_hours(of, name: str) -> set[int]:
    return {hour for hour, weight in enumerate(of.scenario.hours[name].value) if weight}


@pytest.mark.parametrize("online", [0.0, 0.3, 1.0])
def test_dossiers_with_a_fee_by_kind_of_day(online):
    town = world(MANY)
    rule = town.scenario.public_service
    mean = adults(town) * rule.dossiers_per_1000_adults_day.value / 1000 * rule.paid_share.value
    working = [is_working_day(FROM + number) for number in range(DAYS)]
    counts = np.array([len(one) for one in by_day(PublicService(town), town, FROM, DAYS, online=online)])
    assert near(counts[working].sum(), mean * sum(working))
    free = mean * (DAYS - sum(working)) * online
    assert near(counts[np.logical_not(working)].sum(), free) if online else not counts[np.logical_not(working)].any()


def test_online_dossiers_are_paid_cashless_for_sure():
    town = world(MANY)
    for number, found in enumerate(by_day(PublicService(town), town, FROM, 7, online=0.3)):
        online = found.given == 1
        assert (online | np.isnan(found.given)).all()
        if number < 5:
            assert near_share(online.sum(), len(found), 0.3)
        else:
            assert online.all()


def test_the_share_is_the_communes_own():
    town = world(MANY)
    found = over(PublicService(town), town, FROM, 5, online=np.array([0.0, 1.0, 0.0, 1.0]))
    commune = town.commune_of_source[found.source]
    assert (np.isnan(found.given) == (commune % 2 == 0)).all()


def test_counters_and_the_net_have_hours_of_their_own():
    town = world(MANY)
    rule = town.scenario.public_service
    counter, online = (over(PublicService(town), town, FROM, 14, online=share) for share in (0.0, 1.0))
    assert hours(counter) == open_hours(town, rule.hours)
    assert hours(online) == open_hours(town, rule.online_hours)


def test_fees_come_by_their_weights():
    town = world(MANY)
    fees = town.scenario.public_service.fees
    paid = over(PublicService(town), town, FROM, 28).amount_vnd
    total = sum(fee.weight for fee in fees)
    assert set(paid.tolist()) == {fee.amount_vnd for fee in fees}
    for fee in fees:
        assert near_share((paid == fee.amount_vnd).sum(), len(paid), fee.weight / total)


def test_a_rising_share_moves_dossiers_online_and_nothing_else():
    town = world(MANY)
    model = PublicService(town)
    before, after = (model.demand(conditions(town, FROM, online=share)) for share in (0.4, 0.6))
    assert before.amount_vnd.tolist() == after.amount_vnd.tolist()
    assert before.luck.tolist() == after.luck.tolist()
    moved = np.isnan(before.given) & (after.given == 1)
    assert near_share(moved.sum(), len(before), 0.2)
    assert (before.occurred_at[~moved] == after.occurred_at[~moved]).all()
    assert not (np.isnan(after.given) & (before.given == 1)).any()


def test_dossiers_have_no_bill_and_no_code():
    town = world(MANY)
    assert (over(PublicService(town), town, FROM, 2).bill == NO_BILL).all()
    assert not list(PublicService(town).codes(FROM))
