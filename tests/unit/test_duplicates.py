"""The filter of repeated payments against a plain set of what has been seen."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from streams.duplicates import MAX_GAPS, Gaps, admit


class Filter:
    """The filter of one source."""

    def __init__(self) -> None:
        self.highest: dict[str, int] = {}
        self.gaps: dict[str, Gaps] = {}

    def admit(self, sequence: int) -> bool:
        return admit(self.highest, self.gaps, "till", sequence)

    def admitted(self, *sequences: int) -> list[int]:
        return [sequence for sequence in sequences if self.admit(sequence)]

    @property
    def missing(self) -> set[int]:
        return {n for low, high in self.gaps.get("till", []) for n in range(low, high + 1)}


@given(st.lists(st.integers(1, 2 * MAX_GAPS), max_size=300))
def test_any_order_with_repeats_is_as_a_set(sequences):
    """Among 128 numbers there are never more than 64 gaps."""
    seen: set[int] = set()
    till = Filter()
    for sequence in sequences:
        assert till.admit(sequence) == (sequence not in seen)
        seen.add(sequence)
        assert till.missing == set(range(1, max(seen) + 1)) - seen


@given(st.permutations(range(1, 100)), st.data())
def test_gaps_that_close_leave_nothing(order, data):
    till = Filter()
    repeats = data.draw(st.lists(st.sampled_from(order), max_size=50))
    assert till.admitted(*order) == order
    assert till.admitted(*repeats) == []
    assert (till.highest, till.gaps) == ({"till": 99}, {})


@given(st.integers(0, 2**32), st.integers(1, 4))
def test_beyond_the_limit_nothing_counts_twice(seed, stride):
    """Numbers are refused wrongly only below the gaps that are kept: in those given up."""
    rng = random.Random(seed)
    order = rng.sample(range(1, 1000), 400)
    if stride > 1:  # all the gaps at once, then what is in them
        order.sort(key=lambda sequence: sequence % stride)
    till, seen = Filter(), set()
    gave_up = False
    for sequence in [*order, *rng.sample(order, 100)]:
        lowest_kept = till.gaps["till"][0][0] if till.gaps else till.highest.get("till", 0) + 1
        admitted = till.admit(sequence)
        assert not (admitted and sequence in seen)
        if not admitted and sequence not in seen:
            gave_up = True
            assert sequence < lowest_kept
        if admitted:
            seen.add(sequence)
        assert len(till.gaps.get("till", [])) <= MAX_GAPS
    assert gave_up


def test_as_many_gaps_as_allowed_are_all_kept():
    till = Filter()
    odd = list(range(1, 2 * MAX_GAPS + 2, 2))
    even = list(range(2, 2 * MAX_GAPS + 1, 2))
    assert till.admitted(*odd, *even) == odd + even


def test_one_gap_more_gives_up_the_oldest():
    till = Filter()
    odd = range(1, 2 * MAX_GAPS + 4, 2)
    till.admitted(*odd)
    assert till.admitted(2, 4, 4) == [4]


def test_a_gap_that_is_split_beyond_the_limit_gives_up_the_oldest():
    till = Filter()
    till.admitted(*range(2, 2 * MAX_GAPS - 1, 2), 2 * MAX_GAPS + 10)  # as many gaps as allowed, the last one wide
    assert len(till.gaps["till"]) == MAX_GAPS
    assert till.admit(2 * MAX_GAPS + 5)
    assert len(till.gaps["till"]) == MAX_GAPS
    assert till.admitted(1, 3, 2 * MAX_GAPS + 4, 2 * MAX_GAPS + 6) == [3, 2 * MAX_GAPS + 4, 2 * MAX_GAPS + 6]


def test_sources_do_not_mix():
    highest: dict[str, int] = {}
    gaps: dict[str, Gaps] = {}
    assert [admit(highest, gaps, source, 1) for source in ("a", "b", "a")] == [True, True, False]
    assert admit(highest, gaps, "a", 3)
    assert [admit(highest, gaps, source, 2) for source in ("b", "a", "a")] == [True, True, False]


def test_a_far_number_costs_one_gap():
    till = Filter()
    assert till.admitted(1, 2**53 - 1, 2**52) == [1, 2**53 - 1, 2**52]
    assert till.gaps == {"till": [[2, 2**52 - 1], [2**52 + 1, 2**53 - 2]]}
