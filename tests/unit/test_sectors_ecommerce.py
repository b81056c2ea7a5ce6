"""Online shops: how much is paid ahead and at the door, and what Tết and adoption change in it."""

from __future__ import annotations

import numpy as np
import pytest

from producers.sectors.ecommerce import Ecommerce, deliveries
from producers.simulation.calendar import HOUR_MS, UTC_OFFSET_MS
from producers.simulation.columns import NO_BILL
from tests.sector_days import TOWN, adults, by_day, conditions, day, near, near_median, near_share, over
from tests.worlds import world

FROM, WEEKS = day("2025-12-01"), 6
WEEK = (2.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.0)
UNEVEN = TOWN | {"ecommerce.weekday.value": WEEK}


def mean_a_day(of) -> float:
    return adults(of) * of.scenario.ecommerce.orders_per_1000_adults_day.value / 1000


def hours(at) -> set[int]:
    return set(((at + UTC_OFFSET_MS) // HOUR_MS % 24).tolist())


def open_hours(of, name: str) -> set[int]:
    return {hour for hour, weight in enumerate(of.scenario.hours[name].value) if weight}


def test_deliveries_are_spread_over_the_days_after():
    week = np.array(WEEK)
    assert deliveries(week, 1).tolist() == np.roll(week, 1).tolist()
    assert deliveries(week, 7) == pytest.approx(np.full(7, week.mean()))
    assert deliveries(week, 2)[0] == (week[6] + week[5]) / 2


@pytest.mark.parametrize("active", [0.0, 0.4, 1.0])
def test_orders_are_paid_ahead_or_delivered_by_weekday(active):
    town = world(UNEVEN)
    rule = town.scenario.ecommerce
    ahead = rule.prepaid_share.value * active
    delivered = deliveries(np.array(WEEK), rule.delivery_days_max.value)
    days = by_day(Ecommerce(town), town, FROM, 7 * WEEKS, active=active)
    for weekday in range(7):
        paid = np.concatenate([one.given for one in days[weekday::7]])
        means = np.array([ahead * WEEK[weekday], (1 - ahead) * delivered[weekday]]) * mean_a_day(town) * WEEKS
        for count, mean in zip([(paid == 1).sum(), np.isnan(paid).sum()], means, strict=True):
            assert near(count, mean) if mean else not count


def test_no_demand_is_lost_as_adoption_rises():
    town = world(TOWN)
    for active in (0.0, 0.5, 1.0):
        count = len(over(Ecommerce(town), town, FROM, 7 * WEEKS, active=active))
        assert near(count, mean_a_day(town) * 7 * WEEKS * np.mean(town.scenario.ecommerce.weekday.value))


def test_ahead_and_door_have_hours_of_their_own():
    town = world(TOWN)
    rule = town.scenario.ecommerce
    found = over(Ecommerce(town), town, FROM, 14)
    ahead = found.given == 1
    assert hours(found.occurred_at[ahead]) == open_hours(town, rule.hours)
    assert hours(found.occurred_at[~ahead]) == open_hours(town, rule.delivery_hours)


def test_amounts_are_log_normal_to_a_thousand():
    town = world(TOWN | {"ecommerce.amount_median_vnd.value": 900_000})
    found = over(Ecommerce(town), town, FROM, 14)
    assert not (found.amount_vnd % 1000).any()
    assert near_median(found.amount_vnd, 900_000, town.scenario.ecommerce.amount_sigma.value)
    assert (found.bill == NO_BILL).all()
    assert not list(Ecommerce(town).codes(FROM))


@pytest.mark.parametrize("factor", [0.0, 0.3, 1.0, 1.3, 2.0, 3.7])
def test_demand_follows_any_factor(factor):
    town = world(TOWN | {"ecommerce.weekday.value": [1.0] * 7})
    count = len(over(Ecommerce(town), town, FROM, 14, factor=factor))
    assert near(count, mean_a_day(town) * 14 * factor) if factor else not count


def rows(demand) -> set[tuple[int, ...]]:
    columns = (demand.source, demand.occurred_at, demand.amount_vnd, demand.luck[0])
    return set(zip(*(column.tolist() for column in columns), strict=True))


def test_a_higher_factor_adds_payments_and_moves_none():
    town = world(TOWN)
    model = Ecommerce(town)
    less, same, more = (rows(model.demand(conditions(town, FROM, factor=factor))) for factor in (0.5, 1.0, 2.5))
    assert less < same < more


def test_added_payments_are_no_copies():
    town = world(TOWN)
    luck = Ecommerce(town).demand(conditions(town, FROM, factor=3.0)).luck[0]
    assert len(set(luck.tolist())) == len(luck)


def test_a_factor_is_the_cells_own():
    town = world(TOWN)
    factor = np.ones(len(town.cells))
    cell = town.cells_of("ecommerce")[1]
    factor[town.cells.index(cell)] = 3.0
    model = Ecommerce(town)
    before, after = (model.demand(conditions(town, FROM, factor=one)) for one in (1.0, factor))
    added = rows(after) - rows(before)
    assert rows(before) < rows(after)
    assert {source for source, *_ in added} == {cell.first_source}


def test_rising_adoption_moves_payments_ahead_and_changes_no_order():
    town = world(TOWN | {"ecommerce.weekday.value": [1.0] * 7})
    model = Ecommerce(town)
    before, after = (model.demand(conditions(town, FROM, active=active)) for active in (0.4, 0.6))
    assert before.amount_vnd.tolist() == after.amount_vnd.tolist()
    moved = np.isnan(before.given) & (after.given == 1)
    assert near_share(moved.sum(), len(before), 0.2 * town.scenario.ecommerce.prepaid_share.value)
    assert (before.occurred_at[~moved] == after.occurred_at[~moved]).all()
    assert not ((before.given == 1) & np.isnan(after.given)).any()
