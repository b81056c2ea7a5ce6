"""Health centres: how many come on which weekday, at which hour, and what they pay themselves."""

from __future__ import annotations

import numpy as np
import pytest

from producers.sectors.hospital import Hospital, patient_pays
from producers.simulation.calendar import HOUR_MS, UTC_OFFSET_MS
from producers.simulation.columns import NO_BILL
from tests.sector_days import TOWN, adults, by_day, day, near, near_median, near_share, over
from tests.worlds import world

FROM, WEEKS = day("2025-12-01"), 12


def test_visits_follow_the_weekday():
    town = world(TOWN)
    rule = town.scenario.hospital
    days = by_day(Hospital(town), town, FROM, 7 * WEEKS)
    for weekday, factor in enumerate(rule.weekday.value):
        mean = adults(town) * rule.visits_per_1000_adults_day.value / 1000 * factor * WEEKS
        assert near(sum(len(one) for one in days[weekday::7]), mean)


def test_big_communes_have_more_visits():
    town = world(TOWN | {"province.commune_sigma.value": 1.0})
    source = over(Hospital(town), town, FROM, 7 * WEEKS).source
    for cell in town.cells_of("hospital"):
        mean = town.places[cell.commune].adults * 7 * WEEKS * town.scenario.hospital.visits_per_1000_adults_day.value
        assert near((source == cell.first_source).sum(), mean / 1000 * np.mean(town.scenario.hospital.weekday.value))


def test_the_scale_thins_visits():
    town = world(TOWN | {"scale.value": 0.1})
    rule = town.scenario.hospital
    mean = adults(town) * rule.visits_per_1000_adults_day.value / 1000 * np.mean(rule.weekday.value) * 7 * WEEKS / 10
    assert near(len(over(Hospital(town), town, FROM, 7 * WEEKS)), mean)


def test_centres_are_open_by_their_hours():
    town = world(TOWN)
    found = over(Hospital(town), town, FROM, 28)
    hours = (found.occurred_at + UTC_OFFSET_MS) // HOUR_MS % 24
    weights = np.array(town.scenario.hours[town.scenario.hospital.hours].value)
    for hour, weight in enumerate(weights / weights.sum()):
        assert near_share((hours == hour).sum(), len(hours), weight) or (weight == 0 and not (hours == hour).any())


@pytest.mark.parametrize(("insured", "share"), [(0.0, 1.0), (1.0, 0.2)])
def test_patients_pay_their_share_of_the_cost(insured, share):
    changes = {"hospital.insured_share.value": insured, "hospital.cost_median_vnd.value": 5_000_000}
    town = world(TOWN | changes | {"hospital.copayment_share.value": 0.2, "hospital.cost_sigma.value": 0.5})
    paid = over(Hospital(town), town, FROM, 28)
    assert near_median(paid.amount_vnd, 5_000_000 * share, 0.5)


def test_so_many_are_insured():
    same = {"hospital.cost_sigma.value": 0.0, "hospital.cost_median_vnd.value": 100_000}
    town = world(TOWN | same | {"hospital.insured_share.value": 0.8, "hospital.copayment_share.value": 0.2})
    paid = over(Hospital(town), town, FROM, 28).amount_vnd
    assert set(paid.tolist()) == {20_000, 100_000}
    assert near_share((paid == 20_000).sum(), len(paid), 0.8)


def test_no_patient_pays_nothing_and_all_pay_whole_thousands():
    cost, insured = np.array([1_000, 5_000, 12_000, 13_000, 12_000]), np.array([True, True, True, True, False])
    assert patient_pays(cost, insured, 0.2).tolist() == [1_000, 1_000, 2_000, 3_000, 12_000]


def test_visits_have_no_bill_and_adoption_decides():
    town = world(TOWN)
    found = over(Hospital(town), town, FROM, 3)
    assert (found.bill == NO_BILL).all()
    assert np.isnan(found.given).all()
    assert not list(Hospital(town).codes(FROM))
