"""Arrivals: the number that is due in each second is the integral of the rate, whatever the profile."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from producers.load.arrivals import MaxArrivals, RateArrivals, SpeedArrivals
from producers.load.profiles import Phase, Profile, constant
from schemas.errors import BadInputError
from tests.load_parts import FakeClock

rates = st.one_of(st.just(0.0), st.floats(0.01, 3000))
phases = st.builds(
    lambda seconds, begin, end: Phase(seconds=seconds, begin=begin, end=end), st.floats(0.01, 5), rates, rates
)
profiles = (
    st.lists(phases, min_size=1, max_size=6)
    .filter(lambda some: sum(phase.records for phase in some) > 0)
    .map(lambda some: Profile(phases=tuple(some)))
)


def all_of(arrivals: RateArrivals, sizes: list[int]) -> np.ndarray:
    """Ask for arrivals in chunks until they end."""
    found, place = [], 0
    while True:
        size = sizes[place % len(sizes)]
        found.append(arrivals.of(np.zeros(size, dtype=np.int64)))
        if len(found[-1]) < size:
            return np.concatenate(found)
        place += 1


@settings(max_examples=150)
@given(profiles, st.lists(st.integers(1, 4000), min_size=1, max_size=5))
def test_evenly_spaced_records_of_a_second_are_the_integral_of_the_rate(profile, sizes):
    arrivals = RateArrivals(profile)
    due = all_of(arrivals, sizes)
    assert abs(len(due) - profile.records) <= 1
    assert not len(due) or (due[0] >= 0 and due[-1] <= profile.seconds + 1e-9)
    assert (np.diff(due) >= 0).all()
    asked = [arrivals.asked(second) for second in range(math.ceil(profile.seconds) + 1)]
    assert sum(asked) == pytest.approx(profile.records, rel=1e-9, abs=1e-6)
    counts = np.bincount(np.minimum(due, profile.seconds).astype(np.int64), minlength=len(asked))
    assert (np.abs(counts - asked) <= 1 + 1e-6).all()


@settings(max_examples=50)
@given(profiles, st.integers(0, 5), st.lists(st.integers(1, 4000), min_size=1, max_size=5))
def test_poisson_arrivals_do_not_depend_on_how_they_are_asked_for(profile, seed, sizes):
    due = all_of(RateArrivals(profile, "poisson", seed), sizes)
    again = all_of(RateArrivals(profile, "poisson", seed), [100_000])
    assert due == pytest.approx(again)
    assert (np.diff(due) >= 0).all()
    assert abs(len(due) - profile.records) <= 6 * math.sqrt(profile.records) + 6


def test_poisson_arrivals_are_poisson():
    steady = RateArrivals(constant(1000), "poisson", seed=1).of(np.zeros(20_000, dtype=np.int64))
    assert stats.kstest(np.diff(steady), "expon", args=(0, 1 / 1000)).pvalue > 0.01
    assert stats.kstest(np.diff(RateArrivals(constant(1000)).of(np.zeros(2000))), "expon", args=(0, 1e-3)).pvalue < 1e-9
    profile = Profile(phases=(Phase(seconds=10, begin=0, end=2000),))
    ramp = RateArrivals(profile, "poisson", seed=1).of(np.zeros(20_000, dtype=np.int64))
    # where the rate rises in a straight line, the share that has come is the square of the share of time
    assert stats.kstest(ramp, lambda at: np.clip(at / 10, 0, 1) ** 2).pvalue > 0.01


def test_a_ramp_is_exact():
    arrivals = RateArrivals(Profile(phases=(Phase(seconds=60, begin=1000, end=20_000),)))
    due = arrivals.of(np.zeros(700_000, dtype=np.int64))
    assert len(due) == 630_000
    counts = np.bincount(due.astype(np.int64))
    # the integral over [s, s + 1) of 1 000 + 19 000 / 60 · t
    assert (np.abs(counts - (1000 + 19_000 / 60 * (np.arange(60) + 0.5))) <= 1).all()


@settings(max_examples=100)
@given(
    st.lists(st.integers(0, 100_000), min_size=1, max_size=200), st.floats(0.1, 1000), st.integers(1, 7), st.booleans()
)
def test_records_keep_their_distances_at_a_speed(timestamps, speed, size, ordered):
    if ordered:
        timestamps = sorted(timestamps)
    at = np.array(timestamps, dtype=np.int64) + 1_763_312_400_000
    arrivals = SpeedArrivals(speed)
    due = np.concatenate([arrivals.of(at[low : low + size]) for low in range(0, len(at), size)])
    assert due[0] == 0
    assert (np.diff(due) >= 0).all()
    assert due == pytest.approx(np.maximum.accumulate(np.maximum(at - at[0], 0)) / 1000 / speed)
    assert arrivals.asked(0) is None


def test_speeds_and_nothing_at_all():
    assert len(SpeedArrivals(2).of(np.zeros(0, dtype=np.int64))) == 0
    for speed in (0, -1, math.inf, math.nan):
        with pytest.raises(BadInputError, match="above 0, or max"):
            SpeedArrivals(speed)
    clock = FakeClock()
    clock.pass_(3.0)
    assert MaxArrivals(clock).of(np.array([5, 6])).tolist() == [3.0, 3.0]
    assert MaxArrivals(clock).asked(1) is None
