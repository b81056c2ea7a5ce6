"""What holds for adoption whatever the seed and the figures: counts stay nested, causes change only their effects."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.adoption_worlds import ALIVE, BY_MARKET, COLUMNS, RATES, days, programme, same, with_programmes
from tests.worlds import world

START = dt.date(2025, 11, 17)
"""Of the scenario."""
few = settings(max_examples=12, deadline=None)
seeds = st.integers(0, 2**63 - 1)
rates = st.fixed_dictionaries(
    {f"adoption.{name}.value": st.one_of(st.just(0.0), st.floats(0, 3), st.floats(3, 100)) for name in RATES}
)
whole = world(ALIVE)
places = st.sampled_from(
    [
        (),
        (whole.places[1].id,),
        (whole.places[2].id, whole.places[5].id),
        (whole.markets[1].id,),
        (whole.markets[0].id, whole.places[3].id),
    ]
)


@st.composite
def programmes(draw):
    """A programme of any kind, strong enough to be felt."""
    begin = START + dt.timedelta(days=draw(st.integers(-20, 30)))
    end = begin + dt.timedelta(days=draw(st.integers(1, 60)))
    kind, figures = draw(
        st.sampled_from(
            [
                ("digital_team", {"members": 70, "visits_per_member_day": 2.3, "effect": 0.7, "delay_days": 9.0}),
                ("stall_stands", {"make_share": 0.8, "use_share": 0.6, "delay_days": 5.0}),
                ("promotion", {"people": 5.0, "stalls": 9.0}),
                ("pensions_to_accounts", {"share": 0.9}),
                ("cash_shock", {"choice": 1.0, "hazard": 20.0}),
                ("scam_warning", {"hazard": 0.0, "fraud": 0.5}),
            ]
        )
    )
    return programme(kind, begin.isoformat(), end.isoformat(), place=draw(places), **figures)


@few
@given(seeds, rates, st.booleans(), st.booleans(), st.lists(programmes(), max_size=4))
def test_counts_stay_nested_and_nobody_is_lost(seed, figures, deterministic, homogeneous, rows):
    named = [{**row, "id": f"{row['id']}-{number}"} for number, row in enumerate(rows)]
    kinds = {"adoption.deterministic": deterministic, "adoption.homogeneous": homogeneous}
    small = with_programmes({**ALIVE, **figures, **kinds, "province.households.value": 900}, *named, seed=seed)
    seen = days(small, 90)
    households = [place.households for place in small.places]
    slack = 1e-6 if deterministic else 0
    for before, now in pairwise(seen):
        assert np.array_equal(before.adults, now.adults)
        assert np.array_equal(before.stalls, now.stalls)
        for nested in ((now.active, now.eligible, now.adults), (now.using, now.showing, now.stalls)):
            for part, of in zip((0 * nested[0], *nested), nested, strict=False):
                assert (part <= of + slack).all()
        assert (now.eligible >= before.eligible - slack).all()
        assert (now.showing >= before.showing - slack).all()
        assert (now.reached >= before.reached).all()
        assert (now.reached <= np.array(households) + slack).all()
        assert (now.account_share >= before.account_share).all()


@settings(max_examples=25, deadline=None)
@given(seeds, programmes(), st.booleans())
def test_a_programme_changes_nothing_before_it_starts_nor_outside_its_place(seed, row, accompanied):
    teams = programme(
        "digital_team",
        "2025-11-20",
        "2025-12-20",
        members=60,
        visits_per_member_day=1.7,
        effect=0.5,
        delay_days=12.0,
    )
    common = [{**teams, "id": "others"}] if accompanied else []
    freely, changed = (with_programmes(ALIVE, *rows, seed=seed) for rows in (common, [*common, row]))
    begin = dt.date.fromisoformat(row["start"])
    named = set(row["place"])
    touched = {number for number, place in enumerate(freely.places) if not named or place.id in named}
    touched |= {market.commune for market in freely.markets if market.id in named}
    communes = np.array([number not in touched for number in range(len(freely.places))])
    markets = np.array([market.commune not in touched for market in freely.markets])
    for one, other in zip(days(freely, 70), days(changed, 70), strict=True):
        if one.day.date <= begin:
            assert same(one, other)
        for name in COLUMNS:
            outside = markets if name in BY_MARKET else communes
            assert np.array_equal(getattr(one, name)[outside], getattr(other, name)[outside]), (one.day, name)


@few
@given(programmes(), seeds)
def test_a_programme_is_felt_where_it_is(row, seed):
    start = START.isoformat()
    end = (START + dt.timedelta(days=60)).isoformat()
    # Without chance: where there are few stalls, a programme may by chance change nothing.
    certain = {**ALIVE, "adoption.deterministic": True}
    freely, changed = (
        with_programmes(certain, seed=seed),
        with_programmes(certain, {**row, "start": start, "end": end}, seed=seed),
    )
    reaches = changed.reached_communes(row["place"]).any()
    felt = not same(days(freely, 61)[-1], days(changed, 61)[-1])
    if row["kind"] == "stall_stands":
        assert felt == changed.reached_markets(row["place"]).any()  # which communes have one, the seed says
    elif row["kind"] in ("promotion", "cash_shock"):
        assert felt
    else:
        assert felt == reaches


@few
@given(seeds)
def test_the_same_seed_gives_the_same_state(seed):
    one, other = (days(world(ALIVE, seed), 30) for _ in range(2))
    assert all(same(here, there) for here, there in zip(one, other, strict=True))


@few
@given(st.lists(seeds, min_size=2, max_size=2, unique=True))
def test_another_seed_gives_another_state(pair):
    one, other = (days(world(ALIVE, seed), 30)[-1] for seed in pair)
    assert one.active.tolist() != other.active.tolist()
