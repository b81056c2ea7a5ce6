"""The inverse of the binomial against scipy's, and the edges where there is nothing to invert."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from producers.simulation.binomial import hazard_of, mean, quantile

uniforms = st.floats(0, 1, exclude_max=True)
counts = st.integers(0, 2_000_000)
hazards = st.one_of(st.floats(0, 1e-3), st.floats(0, 3), st.floats(3, 60))
cells = st.lists(st.tuples(uniforms, counts, hazards), min_size=1, max_size=40)


def columns(rows):
    return tuple(np.array(column, dtype=float) for column in zip(*rows, strict=True))


@given(cells)
def test_it_is_the_smallest_count_whose_probability_suffices(rows):
    uniform, count, hazard = columns(rows)
    found, share = quantile(uniform, count, hazard), -np.expm1(-hazard)
    slack = 1e-11  # sums of terms here, an incomplete beta function there
    assert (binom.cdf(found, count, share) >= uniform - slack).all()
    assert (binom.cdf(found - 1, count, share) < uniform + slack)[uniform > 0].all()
    assert ((found >= 0) & (found <= count) & (found == np.rint(found))).all()


@pytest.mark.parametrize("hazard", [1e-5, 1e-3, 0.05, 0.7, 4.0])
def test_it_equals_scipy_on_uniforms_such_as_are_drawn(hazard):
    random = np.random.Generator(np.random.Philox(57))
    uniform, count = random.random(20_000), np.floor(10 ** random.uniform(0, 5, 20_000))
    expected = binom.ppf(uniform, count, -np.expm1(-hazard))
    assert (quantile(uniform, count, np.full_like(uniform, hazard)) == expected).all()


@given(uniforms, uniforms, counts, hazards)
def test_it_rises_with_the_uniform(one, other, count, hazard):
    low, high = quantile(np.array(sorted((one, other))), np.full(2, float(count)), np.full(2, hazard))
    assert low <= high


@given(cells)
def test_no_cell_depends_on_its_neighbours(rows):
    uniform, count, hazard = columns(rows)
    together = quantile(uniform, count, hazard)
    alone = [quantile(*(column[at : at + 1] for column in (uniform, count, hazard)))[0] for at in range(len(rows))]
    assert together.tolist() == alone


def test_edges():
    uniform = np.array([0.5, 0.5, 0.5, 0.5, 0.0, 1 - 2**-53])
    count = np.array([0.0, 7.0, 7.0, 0.0, 7.0, 7.0])
    hazard = np.array([1.0, 0.0, np.inf, np.inf, 1.0, 1.0])
    assert quantile(uniform, count, hazard).tolist() == [0, 0, 7, 0, 0, 7]
    assert quantile(*(np.empty(0) for _ in range(3))).tolist() == []


@pytest.mark.parametrize(("count", "hazard"), [(40, 0.02), (900, 0.0005), (5_000, 0.05)])
def test_its_mean_is_the_expectation(count, hazard):
    uniform = (np.arange(100_000) + 0.5) / 100_000
    found = quantile(uniform, np.full_like(uniform, count), np.full_like(uniform, hazard))
    assert found.mean() == pytest.approx(mean(np.array(float(count)), np.array(hazard)), rel=2e-3)


def test_shares_and_hazards():
    shares = np.array([0.0, 0.25, 1.0, 1.0 + 1e-15])
    assert mean(np.full(4, 8.0), hazard_of(shares)).tolist() == pytest.approx([0, 2, 8, 8])
