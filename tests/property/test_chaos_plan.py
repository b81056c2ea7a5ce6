"""A plan of faults is the same for the same seed, has what was asked for, and every kind before any comes again."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chaos.faults import WORKERS, Fault, Kind, plan

kinds = st.sets(st.sampled_from(Kind), min_size=1)
counts = st.integers(0, 60)
times = st.floats(0.1, 1000)
seeds = st.integers(0, 2**32)
SESSION = 3.0


def planned(seed: int, some: set[Kind], count: int, seconds: float) -> tuple[Fault, ...]:
    return plan(seed, some, count=count, seconds=seconds, session_seconds=SESSION)


@given(seeds, kinds, counts, times)
def test_plan_has_what_was_asked_for(seed: int, some: set[Kind], count: int, seconds: float) -> None:
    faults = planned(seed, some, count, seconds)
    assert faults == plan(seed, sorted(some, reverse=True), count=count, seconds=seconds, session_seconds=SESSION)
    assert len(faults) == count
    assert [fault.at for fault in faults] == sorted(fault.at for fault in faults)
    assert all(0 <= fault.at <= seconds + 0.001 and fault.seconds >= 0 for fault in faults)
    by_kind = Counter(fault.kind for fault in faults)
    assert set(by_kind) <= some
    often = [by_kind[kind] for kind in some]
    assert max(often) - min(often) <= 1


@given(seeds, times)
def test_pauses_outlast_the_session_and_workers_go_round(seed: int, seconds: float) -> None:
    faults = planned(seed, set(Kind), 4 * len(Kind), seconds)
    paused = [fault for fault in faults if fault.kind in {Kind.PAUSE_WORKER, Kind.PAUSE_PRODUCER}]
    assert paused
    assert all(fault.seconds > SESSION for fault in paused)
    assert tuple(fault.target for fault in faults if fault.kind is Kind.SCALE_WORKERS)[:3] == WORKERS


def test_another_seed_is_another_plan() -> None:
    assert len({planned(seed, set(Kind), 10, 60.0) for seed in range(50)}) == 50


def test_without_a_kind_there_is_no_plan() -> None:
    with pytest.raises(ValueError, match="no kind"):
        planned(0, set(), 1, 1.0)
