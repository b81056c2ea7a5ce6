"""Adoption against what is known of it: Bass's curve, the effects that programmes are said to have, the start."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from producers.simulation.adoption import AdoptionModel
from producers.simulation.population import populate
from producers.simulation.segments import one_segment, segments_of
from schemas.scenario.places import SETTLEMENTS
from tests.adoption_worlds import ALIVE, STILL, day, days, programme, same, with_programmes
from tests.worlds import world

START = "2025-11-17"
"""Of the scenario."""
NEARLY_ALL = 1 - 1e-9

MANY = {**STILL, "province.households.value": 70_000}

# -- Bass ----------------------------------------------------------------------------------------------------

BASS = {
    **STILL,
    "adoption.homogeneous": True,
    "adoption.people.eligible_ceiling.value": 1.0,
    "adoption.people.eligible_start.value": NEARLY_ALL,
    "adoption.people.active_start.value": 0.01,
    "commune.van-khanh.eligible_start.value": NEARLY_ALL,
    "province.commune_sigma.value": 0.0,
}
"""No segments, no pace of their own, all eligible, no pull of markets, no lapse: Bass (1969)."""


def bass(years, innovation, imitation, start):
    """The closed form, from a share at the start: (p + q·F) / (1 - F) grows by exp((p + q)·t)."""
    grown = (innovation + imitation * start) / (1 - start) * np.exp((innovation + imitation) * years)
    return (grown - innovation) / (grown + imitation)


def curve(small, years):
    """The active share at the end of each year, by commune."""
    return np.array([state.active_share for state in islice(AdoptionModel(small).days(), 0, 365 * years + 1, 365)])


def rates(innovation, imitation):
    return {"adoption.people.innovation.value": innovation, "adoption.people.imitation.value": imitation}


@pytest.mark.parametrize(("innovation", "imitation"), [(0.03, 0.38), (0.002, 0.8), (0.1, 0.0)])
def test_expectation_is_the_curve_of_bass(innovation, imitation):
    small = world({**BASS, **rates(innovation, imitation), "adoption.deterministic": True})
    expected = bass(np.arange(21), innovation, imitation, 0.01)
    assert curve(small, 20) == pytest.approx(np.tile(expected[:, None], 7), abs=0.005)


@pytest.mark.parametrize(("innovation", "imitation"), [(0.03, 0.38), (0.01, 0.6)])
def test_mean_of_chance_is_the_curve_of_bass(innovation, imitation):
    """Communes do not know of each other, so that 50 of them are 50 runs."""
    size = {"province.communes.value": 50, "province.households.value": 100_000}
    runs = curve(world({**BASS, **rates(innovation, imitation), **size}), 20)
    expected = bass(np.arange(21), innovation, imitation, 0.01)
    assert runs.mean(axis=1) == pytest.approx(expected, abs=0.005)
    assert (runs.std(axis=1)[1:8] > 0).all()


# -- at the start --------------------------------------------------------------------------------------------


def test_the_first_day_shows_the_shares_of_the_scenario():
    people = {"adoption.people.eligible_start.value": 0.7, "adoption.people.active_start.value": 0.4}
    small = world({**STILL, **people, "adoption.commune_spread.value": 0.0, "province.households.value": 70_000})
    first = day(small, 0)
    assert first.day.date.isoformat() == START
    assert first.adults.tolist() == [place.adults for place in small.places]
    usual = [number for number, place in enumerate(small.places) if place.id != "van-khanh"]
    assert (first.eligible / first.adults)[usual] == pytest.approx(0.7, abs=1e-3)
    assert first.active_share == pytest.approx(0.4, abs=1e-3)
    assert first.stalls.tolist() == [market.sources for market in small.markets]
    expected = np.rint([market.using_start * market.sources for market in small.markets])
    assert first.using.tolist() == expected.tolist()
    assert first.account_share == pytest.approx(small.scenario.income.account_share_start.value)


def test_what_is_known_of_a_commune_is_taken_and_moves_no_other():
    known = {"value": 0.3, "source": "assumed"}
    one, other = world(ALIVE), world({**ALIVE, "commune.an-minh.active_start": known})
    number = [place.id for place in one.places].index("an-minh")
    before, after = day(one, 0), day(other, 0)
    assert after.active_share[number] == pytest.approx(0.3, abs=2e-3)
    assert np.delete(before.active, number).tolist() == np.delete(after.active, number).tolist()
    assert after.dossiers_online[number] == pytest.approx(0.15)


def test_communes_differ_by_their_pace_only_if_they_are_to():
    size = {"province.households.value": 70_000}
    spread = day(world({**STILL, **size, "adoption.commune_spread.value": 0.5}), 0).active_share
    alike = day(world({**STILL, **size, "adoption.commune_spread.value": 0.0}), 0).active_share
    homogeneous = {"adoption.homogeneous": True, "adoption.commune_spread.value": 0.5}
    assert spread.std() > 0.03
    assert alike.std() < 1e-3
    assert day(world({**STILL, **size, **homogeneous}), 0).active_share.std() < 1e-3


@pytest.mark.parametrize("settlement", SETTLEMENTS)
def test_segments_sum_to_the_adults_and_have_the_mean_pace(settlement):
    for segments in (segments_of(settlement), one_segment(settlement)):
        assert segments.share.sum() == pytest.approx(1)
        assert segments.share @ segments.susceptibility == pytest.approx(1)
    assert one_segment(settlement).oldest[0] == pytest.approx(
        segments_of(settlement).share @ segments_of(settlement).oldest
    )


def test_dossiers_handed_in_online_grow_in_logits():
    growth = {"public_service.online_growth.value": 0.5}
    first, later = (day(world({**STILL, **growth}), number).dossiers_online for number in (0, 365))
    assert np.log(later / (1 - later)) - np.log(first / (1 - first)) == pytest.approx(0.5)


# -- one day -------------------------------------------------------------------------------------------------


def test_one_day_by_the_equations():
    """Everything at once, from the state at the beginning of the day: pace, factors, own share, pull, campaign."""
    figures = {
        "people.innovation": 0.1,
        "people.imitation": 0.5,
        "people.market_pull": 3.0,
        "people.lapse": 0.2,
        "people.eligible_growth": 0.3,
        "people.eligible_ceiling": 0.9,
        "stalls.innovation": 0.2,
        "stalls.imitation": 0.7,
        "stalls.customer_pull": 4.0,
        "stalls.activation": 0.8,
        "stalls.lapse": 0.4,
    }
    known = {"commune.an-minh.active_start": {"value": 0.65, "source": "assumed"}, "adoption.deterministic": True}
    shock = programme("cash_shock", START, "2026-11-17", choice=0.0, hazard=0.5)
    stands = programme("stall_stands", START, "2026-11-17", make_share=0.6, use_share=0.5, delay_days=9.0)
    rates = {f"adoption.{name}.value": value for name, value in figures.items()}
    small = with_programmes({**MANY, **rates, **known}, shock, stands)
    people, (first, second) = populate(small), days(small, 2)
    using, stalls = (np.bincount(people.commune_of_market, count, 7) for count in (first.using, first.stalls))
    using = using / np.maximum(stalls, 1)
    hazard = people.pace * (0.5 * (0.1 + 0.5 * first.active_share + 3.0 * using))[:, None] / 365
    adopted = ((people.eligible - people.active) * (1 - np.exp(-hazard))).sum(axis=1)
    lapsed = first.active * (1 - np.exp(-0.2 / 365))
    assert second.active == pytest.approx(first.active + adopted - lapsed, rel=1e-10)
    grown = (np.maximum(0.9 * people.adults - people.eligible, 0) * (1 - np.exp(-0.3 / 365))).sum(axis=1)
    assert second.eligible == pytest.approx(first.eligible + grown)
    own = 0.5 * (0.2 + 0.7 * first.using_share + 4.0 * first.active_share[people.commune_of_market]) / 365
    made = (first.stalls - first.showing) * (1 - np.exp(-own + np.log(0.4) / 365))
    assert second.showing == pytest.approx(first.showing + made)
    started = (first.showing - first.using) * (1 - np.exp(-0.8 / 365))
    assert second.using == pytest.approx(first.using + started - first.using * (1 - np.exp(-0.4 / 365)))


# -- teams ---------------------------------------------------------------------------------------------------


def team(members=1_000, visits=100.0, *, place=("an-minh",), effect=0.64, delay=30.0, end="2027-01-01"):
    return programme(
        "digital_team",
        START,
        end,
        place=place,
        members=members,
        visits_per_member_day=visits,
        effect=effect,
        delay_days=delay,
    )


@pytest.mark.parametrize(
    ("effect", "delay", "expected"),
    [(0.64, 30.0, 0.64), (0.2, 90.0, 0.2), (0.64, 300.0, 1 - np.exp(-182 / 300)), (0.0, 30.0, 0.0)],
    ids=["usual", "slow", "slower than six months allow", "none"],
)
def test_within_six_months_the_share_said_is_active(effect, delay, expected):
    small = with_programmes(MANY, team(effect=effect, delay=delay))
    number = [place.id for place in small.places].index("an-minh")
    first, later = day(small, 0), day(small, 183)  # all are visited on the first day: 182 days later
    inactive = (first.eligible - first.active)[number]
    assert inactive > 2_000
    error = 4 * np.sqrt(0.25 / inactive)
    assert (later.active - first.active)[number] / inactive == pytest.approx(expected, abs=error)
    assert np.delete(later.active, number).tolist() == np.delete(first.active, number).tolist()
    assert later.reached[number] == small.places[number].households


def test_no_household_is_visited_twice_and_none_beyond_the_members():
    small = with_programmes(MANY, team(members=90, visits=0.37, place=()))
    seen = np.array([state.reached for state in days(small, 400)])
    households = np.array([place.households for place in small.places])
    expected = np.floor(np.arange(400)[:, None] * 90 * 0.37 * households / households.sum() + 1e-9)
    assert seen.tolist() == np.minimum(expected, households).tolist()
    more = with_programmes({**MANY, "province.households.value": 700}, team(members=90, visits=0.37, place=()))
    assert day(more, 60).reached.tolist() == [place.households for place in more.places]


def test_teams_of_one_commune_add_up_each_with_its_effect():
    rows = [team(members=500, visits=1.0, effect=effect, delay=delay) for effect, delay in ((0.8, 20.0), (0.2, 40.0))]
    rows[1]["id"] = "others"
    small = with_programmes(MANY, *rows)
    number = [place.id for place in small.places].index("an-minh")
    first, second, later = (day(small, at) for at in (0, 1, 365))
    assert second.reached[number] == 1_000
    inactive = (first.eligible - first.active)[number]
    assert (later.active - first.active)[number] / inactive == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / inactive))


def test_who_becomes_eligible_in_a_household_visited_before_is_not_met_again():
    quickly = {"adoption.people.eligible_growth.value": 100.0, "adoption.people.eligible_ceiling.value": 1.0}
    exact = {**MANY, **quickly, "adoption.deterministic": True}
    number = [place.id for place in world(exact).places].index("an-minh")
    half = world(exact).places[number].households / 2
    rows = [
        team(members=1, visits=half, effect=0.0, end="2025-11-18"),
        {**team(members=1, visits=half, effect=1.0, delay=0.1, end="2027-11-17"), "id": "later", "start": "2026-11-17"},
    ]
    first, later = (day(with_programmes(exact, *rows), at) for at in (0, 400))
    inactive = (first.adults - first.active)[number]
    assert later.eligible[number] == pytest.approx(first.adults[number])
    assert (later.active - first.active)[number] == pytest.approx(inactive / 2)


def test_visits_end_with_the_programme():
    small = with_programmes(MANY, team(members=10, visits=1.0, end="2025-11-27"))
    reached = [state.reached.sum() for state in days(small, 30)]
    assert reached[10] == reached[29] == 100


# -- stands, pensions, promotions, shocks --------------------------------------------------------------------


def test_a_campaign_of_stands_makes_the_share_said_and_half_of_it_use_it():
    stands = programme("stall_stands", START, "2026-05-17", make_share=0.7, use_share=0.5, delay_days=10.0)
    small = with_programmes({**STILL, "markets.stalls_median.value": 4_000}, stands)
    first, end, later = (day(small, number) for number in (0, 181, 400))
    without = (first.stalls - first.showing).sum()
    error = 4 * np.sqrt(0.25 / without)
    assert without > 4_000
    assert (end.showing - first.showing).sum() / without == pytest.approx(0.7, abs=error)
    assert later.showing.tolist() == end.showing.tolist()
    assert (later.using - first.using).sum() / without == pytest.approx(0.35, abs=error)


def test_campaigns_of_one_market_add_up():
    rows = [
        programme("stall_stands", START, "2026-05-17", make_share=0.5, use_share=1.0, delay_days=delay)
        for delay in (5.0, 9.0)
    ]
    rows[1]["id"] = "others"
    first, later = (
        day(with_programmes({**STILL, "adoption.deterministic": True}, *rows), number) for number in (0, 400)
    )
    assert later.showing - first.showing == pytest.approx(0.75 * (first.stalls - first.showing))
    assert later.using - first.using == pytest.approx(later.showing - first.showing)


def test_stalls_activate_and_lapse_and_keep_their_qr():
    moving = {"adoption.stalls.activation.value": 2.0, "adoption.stalls.lapse.value": 1.0}
    small = world({**STILL, **moving, "markets.stalls_median.value": 4_000})
    first, later = day(small, 0), day(small, 4 * 365)
    assert later.showing.tolist() == first.showing.tolist()
    assert later.using.sum() / later.showing.sum() == pytest.approx(2 / 3, abs=0.02)


@pytest.mark.parametrize("homogeneous", [False, True])
def test_pensions_in_accounts_make_the_oldest_eligible(homogeneous):
    pensions = programme("pensions_to_accounts", START, "2026-11-17", place=("an-minh",), share=0.6)
    exact = {"adoption.deterministic": True, "adoption.homogeneous": homogeneous}
    small = with_programmes({**MANY, **exact}, pensions)
    number = [place.id for place in small.places].index("an-minh")
    people = populate(small)
    oldest = ((people.adults - people.eligible) * -np.expm1(np.log(0.4) * people.oldest)).sum(axis=1)
    first, later = day(small, 0), day(small, 400)
    assert (later.eligible - first.eligible)[number] == pytest.approx(oldest[number])
    assert (later.eligible - first.eligible).sum() == pytest.approx(oldest[number])
    assert 1 - later.account_share[number] == pytest.approx(0.4 * (1 - first.account_share[number]))
    assert np.delete(later.account_share, number).tolist() == np.delete(first.account_share, number).tolist()


def test_a_promotion_adds_to_both_hazards_for_its_time():
    promotion = programme("promotion", START, "2026-11-17", people=0.5, stalls=1.0)
    uniform = {"adoption.deterministic": True, "adoption.homogeneous": True}
    small = with_programmes({**MANY, **uniform}, promotion)
    first, later, last = (day(small, number) for number in (0, 365, 500))
    left = (later.eligible - later.active) / (first.eligible - first.active)
    assert left == pytest.approx(np.exp(-0.5))
    assert (later.stalls - later.showing) / (first.stalls - first.showing) == pytest.approx(np.exp(-1.0))
    assert same(later, last) is False  # dossiers go on
    assert last.active.tolist() == later.active.tolist()


BIG_MARKETS = {**ALIVE, "markets.stalls_median.value": 4_000, "adoption.stalls.customer_pull.value": 0.0}


@pytest.mark.parametrize(("kind", "stalls"), [("cash_shock", True), ("scam_warning", False)])
def test_shocks_and_warnings_multiply(kind, stalls):
    other = {"choice": 0.5} if kind == "cash_shock" else {"fraud": 1.0}
    row = programme(kind, START, "2026-11-17", place=("an-minh",), hazard=0.0, **other)
    small = with_programmes(BIG_MARKETS, row)
    number = [place.id for place in small.places].index("an-minh")
    first, later = day(small, 0), day(small, 100)
    grown = later.active > first.active
    assert not grown[number]
    assert np.delete(grown, number).all()
    freely = day(world(BIG_MARKETS), 100)
    inside = np.array([market.commune == number for market in small.markets])
    assert (freely.showing > first.showing)[inside].any()
    assert later.showing[inside].tolist() == (first if stalls else freely).showing[inside].tolist()
    assert np.delete(later.active, number).tolist() == np.delete(freely.active, number).tolist()


# -- runs ----------------------------------------------------------------------------------------------------


def test_days_begin_anew_with_each_call():
    model = AdoptionModel(with_programmes(ALIVE, team(members=60, visits=1.0, place=())))
    first, second = (list(islice(model.days(), 60)) for _ in range(2))
    assert all(same(one, other) for one, other in zip(first, second, strict=True))
    assert [state.day.number for state in first] == list(range(first[0].day.number, first[0].day.number + 60))


def test_a_shard_has_the_adoption_of_the_whole_province():
    whole, shard = day(world(ALIVE), 30), day(world(ALIVE, shard=(2, 3)), 30)
    assert same(whole, shard)


def test_counts_are_whole_by_chance_and_not_by_expectation():
    chance, expected = day(world(ALIVE), 9), day(world({**ALIVE, "adoption.deterministic": True}), 9)
    assert chance.active.dtype == np.int64
    assert expected.active.dtype == np.float64
    assert expected.active.sum() == pytest.approx(chance.active.sum(), rel=0.01)


def test_a_province_without_markets_has_people_only():
    nowhere = {**ALIVE, "market": [], "markets.count.value": 0}
    later = day(world(nowhere), 30)
    assert later.stalls.size == 0
    assert (later.active > 0).all()
