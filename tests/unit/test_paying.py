"""Who pays cashless: the formula by hand, the mix of methods, and what an outage does to demand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.simulation.columns import CASH, LUCK, NO_BILL, SETTLED, Demand
from producers.simulation.conditions import Conditions, OutageToday
from producers.simulation.paying import Rule, pay, probability
from producers.simulation.random import generator
from schemas.events import METHODS, TRUTH_LABELS
from schemas.scenario.sectors import CashlessChoice
from tests.province_days import within
from tests.sector_days import conditions, day
from tests.worlds import document, world

SMALL = world()
TODAY = day("2025-11-17")
LIFE = SMALL.scenario.payment_life
SURE = Rule(0.0, 0.0, 1, np.array([1.0, 1.0, 1.0, 1.0]), 0.0)
NO_REVERSAL = LIFE.model_copy(update={"reversal_rate": LIFE.reversal_rate.model_copy(update={"value": 0.0})})
HOUR = 3_600_000


def demand_of(count: int, *, given: float = math.nan, source: int = 0, amount: int = 50_000, at: int = 0) -> Demand:
    """Payments at one till, of one amount and time, with luck of their own."""
    same = np.full(count, source)
    times = np.full(count, TODAY.midnight_at + at)
    luck = generator(7, "test", str(amount), str(given)).random((LUCK, count))
    return Demand(same, times, np.full(count, amount), np.full(count, NO_BILL), np.full(count, given), luck)


def share_of(demand: Demand, rule: Rule, today: Conditions) -> float:
    return float((pay(demand, rule, LIFE, SMALL, today).method[: len(demand)] != CASH).mean())


# -- the formula ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("active", "logits", "rule", "amount", "expected"),
    [
        (0.4, 0.0, {}, 50_000, 0.2),  # 0.4 · 1/2
        (0.4, 0.0, {"payers": 3}, 50_000, 0.392),  # 1 − 0.6³ = 0.784
        (1.0, 0.0, {"preference": math.log(3)}, 50_000, 0.75),  # odds 3 : 1
        (1.0, 0.0, {"slope": 1.0}, 150_000, 0.75),  # the amount is 3 times the reference
        (1.0, 0.0, {"slope": 2.0}, 25_000, 0.2),  # odds 1/4
        (0.5, math.log(4), {"payers": 2}, 50_000, 0.6),  # 0.75 · 4/5
        (0.0, 9.0, {"payers": 5, "preference": 9.0}, 50_000, 0.0),
    ],
)
def test_the_probability_by_hand(active, logits, rule, amount, expected):
    today = replace(conditions(SMALL, TODAY, active=active), choice_logits=np.full(len(SMALL.places), logits))
    found = probability(demand_of(2, amount=amount), replace(SURE, **rule), SMALL, today)
    assert found == pytest.approx([expected] * 2)


def test_a_till_that_does_not_accept_has_cash_only():
    accepts = np.ones(SMALL.source_count, dtype=bool)
    accepts[3] = False
    today = replace(conditions(SMALL, TODAY, active=1.0), accepts=accepts)
    rule = replace(SURE, preference=10.0)
    assert probability(demand_of(1, source=3), rule, SMALL, today).tolist() == [0.0]
    assert share_of(demand_of(500, source=3), rule, today) == 0
    assert share_of(demand_of(500, source=4), rule, today) > 0.99


def test_each_commune_has_its_own_share_and_shock():
    active = np.linspace(0.1, 0.7, len(SMALL.places))
    logits = np.linspace(-1, 1, len(SMALL.places))
    today = replace(conditions(SMALL, TODAY, active=active), choice_logits=logits)
    for cell in SMALL.cells:
        (found,) = probability(demand_of(1, source=cell.first_source), SURE, SMALL, today)
        assert found == pytest.approx(active[cell.commune] / (1 + math.exp(-logits[cell.commune])))


@pytest.mark.parametrize("given", [0.0, 0.25, 1.0])
def test_what_the_sector_knows_goes_before_adoption(given):
    today = conditions(SMALL, TODAY, active=0.0)
    assert probability(demand_of(3, given=given), SURE, SMALL, today).tolist() == [given] * 3
    assert abs(share_of(demand_of(10_000, given=given), SURE, today) - given) <= 4 * math.sqrt(given / 10_000)


@pytest.mark.parametrize("amount", [12_500, 50_000, 200_000])
def test_big_amounts_go_cashless_first(amount):
    choice = CashlessChoice.model_validate(document()["electricity"]["cashless"])
    rule, count = Rule.of(choice), 40_000
    expected = (1 - 0.5**choice.payers.value) / (
        1 + math.exp(-choice.preference.value) * (amount / 50_000) ** -choice.amount_slope.value
    )
    assert within(share_of(demand_of(count, amount=amount), rule, conditions(SMALL, TODAY)), expected, count)


# -- methods -------------------------------------------------------------------------------------------------


def test_cashless_methods_have_the_weights_of_the_mix():
    choice = CashlessChoice.model_validate(document()["market_stall"]["cashless"])
    paid = pay(demand_of(50_000, given=0.5), Rule.of(choice), LIFE, SMALL, conditions(SMALL, TODAY))
    cashless = paid.method[:50_000][paid.method[:50_000] != CASH]
    for method, weight in choice.mix.value.items():
        assert within(float((cashless == METHODS.index(method)).mean()), weight, len(cashless))


def test_a_method_without_weight_is_never_chosen():
    rule = document()["water"]["cashless"] | {"mix": {"value": {"card": 1.0}, "source": "test"}}
    paid = pay(demand_of(2000), Rule.of(CashlessChoice.model_validate(rule)), LIFE, SMALL, conditions(SMALL, TODAY))
    assert {METHODS[number] for number in paid.method.tolist()} == {"cash", "card"}


def test_incomes_go_by_bank_transfer():
    rule = Rule.transfer(0.25)
    paid = pay(demand_of(500, given=1.0), rule, LIFE, SMALL, conditions(SMALL, TODAY))
    assert {METHODS[number] for number in paid.method[:500].tolist()} == {"bank_transfer"}
    assert rule.failure_rate == 0.25


def test_the_last_luck_below_one_is_a_method():
    demand = replace(demand_of(4, given=1.0), luck=np.full((LUCK, 4), np.nextafter(1.0, 0)))
    rule = Rule.of(CashlessChoice.model_validate(document()["market_stall"]["cashless"]))
    assert set(pay(demand, rule, NO_REVERSAL, SMALL, conditions(SMALL, TODAY)).method.tolist()) == {CASH + 4}


def test_no_demand_is_no_payment():
    assert len(pay(demand_of(0), SURE, LIFE, SMALL, conditions(SMALL, TODAY))) == 0


# -- outages -------------------------------------------------------------------------------------------------


def outage(begin: float, end: float, retry: float | None, sources: np.ndarray | None = None) -> OutageToday:
    reached = np.ones(SMALL.source_count, dtype=bool) if sources is None else sources
    begin_at, end_at = (TODAY.midnight_at + round(hour * HOUR) for hour in (begin, end))
    return OutageToday(reached, begin_at, end_at, retry)


def under(*outages: OutageToday) -> Conditions:
    return replace(conditions(SMALL, TODAY, active=1.0), outages=outages)


def day_of_demand(count: int) -> Demand:
    """Payments over a whole day, at tills in turn."""
    times = np.arange(count) * (24 * HOUR // count) + TODAY.midnight_at
    return replace(demand_of(count, given=0.7), occurred_at=times, source=np.arange(count) % SMALL.source_count)


def label_names(found, row: int) -> list[str]:
    rows = zip(found.labels.row.tolist(), found.labels.label.tolist(), strict=True)
    return [TRUTH_LABELS[label] for place, label in rows if place == row]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 23), st.integers(1, 6), st.sampled_from([None, 60.0, 3600.0])), max_size=3),
    st.integers(0, 3),
)
def test_an_outage_leaves_no_cashless_payment_and_keeps_demand(listed, reached):
    sources = np.arange(SMALL.source_count) % 4 <= reached
    outages = [outage(begin, begin + length, retry, sources) for begin, length, retry in listed]
    demand = day_of_demand(2000)
    calm, found = (pay(demand, SURE, NO_REVERSAL, SMALL, under(*some)) for some in ([], outages))
    assert len(found) == len(calm) == 2000
    for name in ("source", "amount_vnd", "bill"):
        assert getattr(found, name).tolist() == getattr(calm, name).tolist()
    assert (found.status == SETTLED).all()
    assert not under(*outages).out(found.source, found.occurred_at)[found.method != CASH].any()
    assert (found.occurred_at < (TODAY + 1).midnight_at).all()
    hit = under(*outages).out(demand.source, demand.occurred_at) & (calm.method != CASH)
    for row in range(2000):
        moved = found.occurred_at[row] > calm.occurred_at[row]
        if not hit[row]:
            assert (found.method[row], moved, label_names(found, row)) == (calm.method[row], False, [])
        else:
            assert (found.method[row] != CASH and moved) or found.method[row] == CASH
            assert set(label_names(found, row)) <= {"outage_cash", "outage_retry"}
            assert label_names(found, row)


def test_those_who_do_not_try_again_pay_cash_at_once():
    demand = day_of_demand(2000)
    calm, found = (pay(demand, SURE, NO_REVERSAL, SMALL, under(*some)) for some in ([], [outage(9, 12, None)]))
    assert found.occurred_at.tolist() == demand.occurred_at.tolist()
    inside = (demand.occurred_at >= TODAY.midnight_at + 9 * HOUR) & (demand.occurred_at < TODAY.midnight_at + 12 * HOUR)
    assert found.labels.row.tolist() == np.flatnonzero(inside & (calm.method != CASH)).tolist()
    assert {label_names(found, row)[0] for row in found.labels.row.tolist()} == {"outage_cash"}


def test_retries_follow_the_end_by_the_mean_given_and_in_cash_beyond_the_day():
    count, mean = 20_000, 1800.0
    demand = demand_of(count, given=1.0, at=10 * HOUR)
    found = pay(demand, SURE, NO_REVERSAL, SMALL, under(outage(9, 11, mean)))
    waited = (found.occurred_at - TODAY.midnight_at - 11 * HOUR) / 1000
    assert waited.min() >= 0
    assert abs(waited.mean() - mean) < 4 * mean / math.sqrt(count)
    late = demand_of(count, given=1.0, at=23 * HOUR)
    found = pay(late, SURE, NO_REVERSAL, SMALL, under(outage(22, 23.5, mean)))
    cash = found.method == CASH
    assert within(float(cash.mean()), math.exp(-1), count)
    assert (found.occurred_at[cash] == late.occurred_at[cash]).all()
    assert [TRUTH_LABELS[label] for label in found.labels.label.tolist()].count("outage_cash") == cash.sum()
