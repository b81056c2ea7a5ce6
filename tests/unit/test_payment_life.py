"""The life of a payment: chains of attempts end settled, reversals give settled money back, rates are those given."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.simulation.columns import CASH, FAILED, LUCK, NOTHING, REVERSED, SETTLED, VIETQR, Payments
from producers.simulation.conditions import Conditions, OutageToday
from producers.simulation.payment_life import CASH_AFTER_MS, live
from producers.simulation.random import generator
from schemas.events import FAILURE_REASONS, METHODS, TRUTH_LABELS
from schemas.scenario.payment_life import PaymentLife
from tests.province_days import payments_of, within
from tests.sector_days import conditions, day
from tests.worlds import world

SMALL = world()
TODAY = day("2025-11-17")
CALM = conditions(SMALL, TODAY)
HOUR = 3_600_000
COUNT = 20_000


def life(**values: object) -> PaymentLife:
    """The rules of the scenario, some of their values others."""
    rule = SMALL.scenario.payment_life
    changed = {name: getattr(rule, name).model_copy(update={"value": value}) for name, value in values.items()}
    return rule.model_copy(update=changed)


def first_of(count: int, *, method: int = VIETQR, hour: float = 8.0) -> Payments:
    numbers = np.arange(count)
    at = np.full(count, TODAY.midnight_at + round(hour * HOUR)) + numbers
    same = np.full(count, method)
    return payments_of(numbers % SMALL.source_count, at, 1_000 + numbers, numbers, same)


def luck_of(count: int, seed: int = 1) -> np.ndarray:
    return generator(seed, "test").random((LUCK, count))


def lived(
    rule: PaymentLife, rate: float, *, count: int = COUNT, today: Conditions = CALM, hour: float = 8.0, seed: int = 1
) -> Payments:
    return live(first_of(count, hour=hour), luck_of(count, seed), rate, rule, today)


def columns(found: Payments, name: str) -> np.ndarray:
    """A column of notes with a value for each payment."""
    usual = {"refers_to": NOTHING, "attempt": 1, "reason": NOTHING}[name]
    dense = np.full(len(found), usual)
    dense[found.notes.row] = getattr(found.notes, name)
    return dense


def labels(found: Payments, name: str) -> list[int]:
    return sorted(found.labels.row[found.labels.label == TRUTH_LABELS.index(name)].tolist())


# -- chains --------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
    st.integers(1, 5),
    st.sampled_from([0.001, 40.0, 50_000.0]),
    st.integers(0, 2**32),
)
def test_every_purchase_ends_settled_once_and_reversals_follow_settled_ones(shares, most, after, seed):
    rate, retry, undone = shares
    rule = life(
        retry_share=retry,
        reversal_rate=undone,
        max_attempts=most,
        retry_after_seconds=after,
        reversal_after_seconds=after,
    )
    count = 200
    first = first_of(count, hour=23.0)
    found = live(first, luck_of(count, seed), rate, rule, CALM)
    refers, attempt, reason = (columns(found, name) for name in ("refers_to", "attempt", "reason"))
    purchase = np.arange(len(found))
    for row in range(count, len(found)):
        before = int(refers[row])
        assert 0 <= before < row
        purchase[row] = purchase[before]
        assert found.occurred_at[row] >= found.occurred_at[before]
        for name in ("source", "amount_vnd", "bill"):
            assert getattr(found, name)[row] == getattr(found, name)[before]
        if found.status[row] == REVERSED:
            assert found.status[before] == SETTLED
            assert found.method[row] == found.method[before] != CASH
            assert attempt[row] == 1
        else:
            assert found.status[before] == FAILED
            assert attempt[row] == attempt[before] + 1
            assert found.method[row] in {CASH, found.method[before]}
    assert (purchase < count).all()
    assert (found.occurred_at < (TODAY + 1).midnight_at).all()
    assert (refers[:count] == NOTHING).all()
    settled = Counter(purchase[found.status == SETTLED].tolist())
    assert settled == dict.fromkeys(range(count), 1)
    followed = refers[found.status != REVERSED]
    followed = followed[followed != NOTHING]
    assert sorted(followed.tolist()) == np.flatnonzero(found.status == FAILED).tolist()
    assert len(set(refers[found.status == REVERSED].tolist())) == (found.status == REVERSED).sum()
    failed = found.status == FAILED
    assert (reason[failed] >= 0).all()
    assert (reason[~failed] == NOTHING).all()
    assert not failed[found.method == CASH].any()
    assert attempt[found.method != CASH].max() <= most
    after_failure = (found.method == CASH) & (attempt > 1)
    assert labels(found, "cash_after_failure") == np.flatnonzero(after_failure).tolist()


def test_cash_never_fails_and_is_never_reversed():
    first = first_of(1000, method=CASH)
    found = live(first, luck_of(1000), 1.0, life(reversal_rate=1.0), CALM)
    assert len(found) == 1000
    assert (found.status == SETTLED).all()
    assert len(found.notes.row) == len(found.labels.row) == 0


def test_nothing_befalls_payments_without_rates():
    found = lived(life(reversal_rate=0.0), 0.0)
    assert len(found) == COUNT
    assert (found.status == SETTLED).all()


# -- rates ---------------------------------------------------------------------------------------------------


def test_attempts_fail_and_are_repeated_at_the_rates_given():
    found = lived(life(retry_share=0.7, reversal_rate=0.0, max_attempts=3), 0.3)
    attempt, cashless = columns(found, "attempt"), found.method != CASH
    tried = [int((cashless & (attempt == number)).sum()) for number in (1, 2, 3)]
    failed = [int(((found.status == FAILED) & (attempt == number)).sum()) for number in (1, 2, 3)]
    assert tried[0] == COUNT
    for fails, tries in zip(failed, tried, strict=True):
        assert within(fails / tries, 0.3, tries)
    for tries, fails in ((tried[1], failed[0]), (tried[2], failed[1])):
        assert within(tries / fails, 0.7, fails)
    assert int((~cashless).sum()) == COUNT - int((cashless & (found.status == SETTLED)).sum())


def test_reasons_have_their_weights():
    weights = {"network": 4.0, "wrong_qr": 1.0, "bank_away": 5.0}
    found = lived(life(reasons=weights), 0.5)
    reasons = columns(found, "reason")
    reasons = reasons[reasons != NOTHING]
    for name in FAILURE_REASONS:
        expected = weights.get(name, 0.0) / 10
        share = float((reasons == FAILURE_REASONS.index(name)).mean())
        assert within(share, expected, len(reasons)) if expected else share == 0


def test_settled_payments_are_reversed_at_the_rate_given():
    found = lived(life(reversal_rate=0.2), 0.25)
    settled = int((found.status[:COUNT] == SETTLED).sum())
    assert within(int((found.status == REVERSED).sum()) / settled, 0.2, settled)


def test_delays_have_the_means_given():
    rule = life(retry_share=1.0, max_attempts=2, retry_after_seconds=40.0, reversal_rate=0.3)
    found = lived(rule, 0.4)
    refers, attempt = columns(found, "refers_to"), columns(found, "attempt")
    waited = (found.occurred_at - found.occurred_at[np.maximum(refers, 0)]) / 1000
    again = (attempt == 2) & (found.method != CASH)
    undone = found.status == REVERSED
    for chosen, mean in ((again, 40.0), (undone, 3600.0)):
        assert abs(waited[chosen].mean() - mean) < 4 * mean / math.sqrt(chosen.sum())
    assert set(waited[(attempt == 3)].tolist()) == {CASH_AFTER_MS / 1000}


def test_what_happens_late_happens_on_the_same_day():
    found = lived(life(retry_share=1.0, retry_after_seconds=7200.0, reversal_rate=0.3), 0.3, hour=23.9, count=2000)
    last = (TODAY + 1).midnight_at - 1
    assert found.occurred_at.max() == last
    assert (found.occurred_at == last).sum() > 500


# -- independence and outages --------------------------------------------------------------------------------


def test_the_fate_of_a_payment_moves_no_other():
    rule = life(reversal_rate=0.1)
    whole, luck = first_of(300), luck_of(300)
    found = live(whole, luck, 0.4, rule, CALM)
    chains: dict[int, list[tuple[object, ...]]] = {}
    parent = np.arange(len(found))
    refers = columns(found, "refers_to")
    for row in range(len(found)):
        parent[row] = parent[refers[row]] if refers[row] != NOTHING else row
        said = (found.occurred_at[row], found.method[row], found.status[row], columns(found, "reason")[row])
        chains.setdefault(int(parent[row]), []).append(tuple(map(int, said)))
    for row in range(0, 300, 7):
        rows = np.array([row])
        alone = live(whole.take(rows), luck[:, rows], 0.4, rule, CALM)
        listed = zip(alone.occurred_at, alone.method, alone.status, columns(alone, "reason"), strict=True)
        assert sorted(tuple(map(int, one)) for one in listed) == sorted(chains[row])


def test_nobody_tries_again_or_gets_back_during_an_outage():
    reached = np.ones(SMALL.source_count, dtype=bool)
    down = OutageToday(reached, TODAY.midnight_at + 8 * HOUR + 2_500, TODAY.midnight_at + 12 * HOUR, None)
    found = lived(
        life(retry_share=1.0, retry_after_seconds=600.0, reversal_rate=0.4),
        0.4,
        count=2000,
        today=replace(CALM, outages=(down,)),
    )
    inside = (found.occurred_at >= down.begin_at) & (found.occurred_at < down.end_at)
    assert inside.sum() > 300
    assert (found.method[inside] == CASH).all()
    assert (found.status == REVERSED).any()


# -- fraud ---------------------------------------------------------------------------------------------------


def test_who_scans_a_swapped_code_is_led_astray_in_all_attempts_and_their_reversals():
    methods = np.arange(COUNT) % len(METHODS)
    first = replace(first_of(COUNT), method=methods.astype(np.int8))
    swapped = np.where(np.arange(SMALL.source_count) % 2, 0.3, 0.0)
    found = live(first, luck_of(COUNT), 0.2, life(), replace(CALM, swapped=swapped))
    fraud = np.array(labels(found, "fraud"))
    possible = (found.method[:COUNT] == VIETQR) & (swapped[first.source] > 0)
    assert set(fraud[fraud < COUNT].tolist()) <= set(np.flatnonzero(possible).tolist())
    assert within((fraud < COUNT).sum() / possible.sum(), 0.3, int(possible.sum()))
    notes = found.notes
    followed = 0
    for row, refers_to in zip(notes.row.tolist(), notes.refers_to.tolist(), strict=True):
        if refers_to != NOTHING and found.method[row] == VIETQR:
            assert (row in fraud) == (refers_to in fraud)
            followed += row in fraud
    assert followed > 10
    assert (found.method[fraud] == VIETQR).all()
    same = live(first, luck_of(COUNT), 0.2, life(), CALM)
    assert labels(same, "fraud") == []
    assert same.occurred_at.tolist() == found.occurred_at.tolist()


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_all_or_none_are_led_astray(chance):
    today = replace(CALM, swapped=np.full(SMALL.source_count, chance))
    found = live(first_of(500), luck_of(500), 0.0, life(reversal_rate=0.0), today)
    assert labels(found, "fraud") == (list(range(500)) if chance else [])
