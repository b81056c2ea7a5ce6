"""How records are sent: every payment once as itself, in order of sending, and the truth about each fault."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.engine import ProvinceSimulation
from producers.simulation.calendar import DAY_MS
from producers.simulation.columns import NO_BILL
from producers.simulation.transmission import (
    DUPLICATE,
    FAULTS,
    LATE,
    MALFORMED,
    OUT_OF_ORDER,
    PLAIN,
    Transmission,
    transmit,
    with_faults,
)
from schemas.events import TRUTH_LABELS
from schemas.scenario.payment_life import StreamFaults
from tests.province_days import FAULTY, by_source, payments_of, sent, within
from tests.sector_days import day
from tests.worlds import world

SMALL = world()
TODAY = day("2025-11-17")
RATES = ("duplicate_rate", "out_of_order_rate", "late_rate", "malformed_rate")
COUNT = 50_000


def faults(**values: float) -> StreamFaults:
    """The faults of the scenario, some of their figures others."""
    rule = SMALL.scenario.stream_faults
    changed = {name: getattr(rule, name).model_copy(update={"value": value}) for name, value in values.items()}
    return rule.model_copy(update=changed)


def sending_of(count: int, rule: StreamFaults, *, at: np.ndarray | None = None, seed: int = 57) -> Transmission:
    """Send payments in turn of all tills, evenly over the morning."""
    times = TODAY.midnight_at + (np.arange(count) * (DAY_MS // 4 // max(count, 1)) if at is None else at)
    source, number = np.arange(count) % SMALL.source_count, np.arange(count) // SMALL.source_count + 1
    same = np.ones(count, dtype=np.int64)
    payments = payments_of(source, times, same, same * NO_BILL, same * 0)
    sending, labelled = transmit(TODAY, payments, number, replace(SMALL, seed=seed), rule)
    assert labelled.labels.row.tolist() == sorted(labelled.labels.row.tolist())
    alone = with_faults(payments, number, replace(SMALL, seed=seed), rule)
    assert (alone.labels.row == labelled.labels.row).all()
    assert (alone.labels.label == labelled.labels.label).all()
    told = [TRUTH_LABELS[label] for label in labelled.labels.label.tolist()]
    found = {
        int(row): FAULTS[fault - 1] for row, fault in zip(sending.row, sending.fault.tolist(), strict=True) if fault
    }
    assert dict(zip(labelled.labels.row.tolist(), told, strict=True)) == found
    return sending


shares = st.floats(0, 0.25)
times = st.lists(st.integers(0, DAY_MS - 1) | st.integers(0, 5) | st.integers(DAY_MS - 5, DAY_MS - 1), max_size=60)


@settings(max_examples=80, deadline=None)
@given(times, st.tuples(shares, shares, shares, shares), st.sampled_from([0.001, 5.0, 90_000.0]), st.integers(0, 2**32))
def test_every_payment_is_sent_once_as_itself_in_order_within_its_day(listed, rates, seconds, seed):
    delays = dict.fromkeys(("duplicate_after_seconds", "out_of_order_seconds", "late_seconds"), seconds)
    at = np.array(sorted(listed), dtype=np.int64)
    sending = sending_of(len(at), faults(**dict(zip(RATES, rates, strict=True)), **delays), at=at, seed=seed)
    is_copy = np.isin(sending.fault, [DUPLICATE, MALFORMED])
    assert sorted(sending.row[~is_copy].tolist()) == list(range(len(at)))
    assert (np.diff(sending.sent_at) >= 0).all()
    due = TODAY.midnight_at + at[sending.row]
    assert (sending.sent_at >= due).all()
    assert (sending.sent_at < (TODAY + 1).midnight_at).all()
    assert (
        sending.sent_at[np.isin(sending.fault, [PLAIN, MALFORMED])] == due[np.isin(sending.fault, [PLAIN, MALFORMED])]
    ).all()
    plain = sending.row[sending.fault == PLAIN]
    assert plain.tolist() == sorted(plain.tolist())
    place = {int(row): number for number, (row, copy) in enumerate(zip(sending.row, is_copy, strict=True)) if not copy}
    for number in np.flatnonzero(is_copy).tolist():
        own = place[int(sending.row[number])]
        assert number < own if sending.fault[number] == MALFORMED else number > own
        assert sending.fault[own] == PLAIN


def test_each_fault_has_its_rate():
    rule = faults(duplicate_rate=0.1, out_of_order_rate=0.2, late_rate=0.05, malformed_rate=0.15)
    sending = sending_of(COUNT, rule)
    for kind, rate in ((DUPLICATE, 0.1), (OUT_OF_ORDER, 0.2), (LATE, 0.05), (MALFORMED, 0.15)):
        assert within(int((sending.fault == kind).sum()) / COUNT, rate, COUNT)


def test_delays_have_the_means_given():
    rule = faults(
        **dict.fromkeys(RATES, 0.25), duplicate_after_seconds=5.0, out_of_order_seconds=20.0, late_seconds=600.0
    )
    sending = sending_of(COUNT, rule)
    due = TODAY.midnight_at + sending.row * (DAY_MS // 4 // COUNT)
    waited = (sending.sent_at - due) / 1000
    for kind, least, mean in ((DUPLICATE, 0, 5.0), (OUT_OF_ORDER, 0, 20.0), (LATE, 600, 600.0)):
        seconds = waited[sending.fault == kind] - least
        assert seconds.min() >= 0
        assert abs(seconds.mean() - mean) < 4 * mean / math.sqrt(len(seconds)) + 0.001


def test_without_faults_payments_go_as_they_come():
    sending = sending_of(1000, faults(**dict.fromkeys(RATES, 0.0)))
    assert sending.row.tolist() == list(range(1000))
    assert set(sending.fault.tolist()) == {PLAIN}


def test_a_day_without_payments_sends_nothing():
    assert len(sending_of(0, faults(**dict.fromkeys(RATES, 0.25)))) == 0


def test_labels_of_faults_stand_beside_those_that_were_there():
    troubled = world(FAULTY | {f"{sector}.cashless.failure_rate.value": 0.5 for sector in ("market_stall", "water")})
    for today in ProvinceSimulation(troubled).days(3):
        labelled, sending = sent(troubled, today)
        before, after = today.payments.labels, labelled.payments.labels
        befallen = np.flatnonzero(sending.fault)
        pairs = zip(before.row.tolist(), before.label.tolist(), strict=True)
        expected = [
            *pairs,
            *((int(sending.row[n]), TRUTH_LABELS.index(FAULTS[sending.fault[n] - 1])) for n in befallen),
        ]
        assert sorted(zip(after.row.tolist(), after.label.tolist(), strict=True)) == sorted(expected)
        assert len(befallen) > 20


@pytest.mark.parametrize("count", [2, 5])
def test_whether_a_payment_meets_a_fault_does_not_depend_on_the_shard(count):
    def befallen(of) -> dict[tuple[str, int], tuple[int, ...]]:
        found = {}
        for today in ProvinceSimulation(of).days(2):
            labelled, _ = sent(of, today)
            rows = by_source(of, labelled)
            found |= {(name, row.sequence): row.labels for name, listed in rows.items() for row in listed}
        return found

    parts = [befallen(world(FAULTY, shard=(index, count))) for index in range(1, count + 1)]
    assert {place: labels for part in parts for place, labels in part.items()} == befallen(world(FAULTY))


def test_another_seed_has_other_faults():
    rule = faults(**dict.fromkeys(RATES, 0.1))
    one, other = (sending_of(5000, rule, seed=seed) for seed in (1, 2))
    hit = [set(sending.row[sending.fault != PLAIN].tolist()) for sending in (one, other)]
    assert len(hit[0] & hit[1]) < 0.6 * len(hit[0])
