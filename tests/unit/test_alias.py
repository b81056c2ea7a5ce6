"""Alias tables against the weights that they were given."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.sectors.alias import AliasTable
from producers.simulation.random import generator
from tests.province_days import chi_square, chi_square_limit

weights = st.lists(st.floats(0, 100), min_size=1, max_size=30).filter(lambda one: sum(one) > 0.01)
DRAWS = 40_000


def shares(table: AliasTable, distribution: int, size: int) -> np.ndarray:
    """The share of each outcome, exactly: the length of the uniforms that lead to it, on a fine grid."""
    grid = (np.arange(DRAWS) + 0.5) / DRAWS
    return np.bincount(table.draw(np.full(DRAWS, distribution), grid), minlength=size) / DRAWS


@given(st.lists(weights, min_size=1, max_size=4))
def test_every_distribution_has_the_shares_of_its_weights(listed):
    table = AliasTable(listed)
    for number, one in enumerate(listed):
        found = shares(table, number, len(one))
        assert len(found) == len(one)
        assert np.abs(found - np.array(one) / sum(one)).max() <= (len(one) + 2) / DRAWS


@pytest.mark.parametrize("size", [2, 40, 400])
def test_draws_follow_the_weights(size):
    by_rank = np.arange(1, size + 1) ** -0.8
    uniform = generator(1, "test", str(size)).random(DRAWS)
    drawn = AliasTable([[1.0], by_rank]).draw(np.ones(DRAWS, dtype=np.int64), uniform)
    assert chi_square(np.bincount(drawn, minlength=size), by_rank) < chi_square_limit(size)


@given(weights, st.integers(0, 2**53 - 1))
def test_what_has_no_weight_is_never_drawn(one, draw):
    (drawn,) = AliasTable([one]).draw(np.array([0]), np.array([draw / 2**53])).tolist()
    assert one[drawn] > 0


def test_the_last_uniform_below_one_is_an_outcome():
    table = AliasTable([[1.0, 2.0, 3.0], [1.0]])
    assert table.draw(np.array([0, 1]), np.nextafter(np.ones(2), 0)).tolist() == [2, 0]


def test_without_distributions_there_is_nothing_to_draw():
    assert AliasTable([]).draw(np.empty(0, dtype=np.int64), np.empty(0)).tolist() == []
