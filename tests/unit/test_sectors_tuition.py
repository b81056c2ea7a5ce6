"""School fees: each pupil pays each term's bill once, in time, and every bill paid has a code."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter

import numpy as np
import pytest

from producers.sectors.sector import CUSTOMER_DIGITS
from producers.sectors.tuition import ISSUE_DAYS, Tuition, issue_offset, last_term
from producers.simulation.calendar import day_numbers, term_start
from tests.sector_days import TOWN, by_day, day, near_median, near_share, over
from tests.worlds import world

SMALL = TOWN | {"province.households.value": 400}
LATE = {"tuition.pay_days_mean.value": 60.0, "tuition.pay_days_max.value": 90}
FROM, DAYS = day("2025-09-01"), 2 * 365
TERMS = (20251, 20252, 20261, 20262)


def pupils(of) -> int:
    rule = of.scenario.tuition
    return sum(
        round(place.households * rule.pupils_per_household.value * of.scenario.scale.value) for place in of.places
    )


@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_each_bill_is_paid_exactly_once_however_late(scale):
    small = world(SMALL | LATE | {"scale.value": scale})
    paid = over(Tuition(small), small, FROM, DAYS)
    bills = Counter(zip(paid.source.tolist(), paid.bill.tolist(), strict=True))
    assert set(bills.values()) == {1}
    terms = Counter(bill // 10**CUSTOMER_DIGITS for _, bill in bills)
    assert terms == dict.fromkeys(TERMS, pupils(small))


def test_bills_are_issued_early_in_the_term_and_paid_in_time():
    small = world(SMALL | LATE)
    paid = over(Tuition(small), small, FROM, DAYS)
    offsets = {cell.first_source: issue_offset(small.seed, cell.id) for cell in small.cells_of("tuition")}
    terms = paid.bill // 10**CUSTOMER_DIGITS
    begins = np.array([term_start(*divmod(term, 10)).number for term in terms.tolist()])
    offset = np.array([offsets[source] for source in paid.source.tolist()])
    waited = day_numbers(paid.occurred_at) - begins - offset
    assert waited.min() == 0
    assert waited.max() == 90
    assert near_share((waited == 90).sum(), len(waited), math.exp(-90 / 60))


def test_communes_issue_on_each_of_the_first_days():
    offsets = [issue_offset(1, f"commune-{number}") for number in range(400)]
    assert set(offsets) == set(range(ISSUE_DAYS))


def test_fees_are_log_normal_to_a_thousand():
    town = world(TOWN)
    rule = town.scenario.tuition
    paid = over(Tuition(town), town, FROM, 90)
    assert not (paid.amount_vnd % 1000).any()
    assert near_median(paid.amount_vnd, rule.fee_median_vnd.value, rule.fee_sigma.value)
    assert np.isnan(paid.given).all()


SPAN = {
    "2025-08-20": 130,
    "2025-09-08": 120,
    "2025-10-20": 80,
    "2026-01-16": 120,
    "2026-03-01": 160,
    "2026-07-01": 180,
}
"""Days from which on all bills issued are paid at the end, and no term has begun since."""


@pytest.mark.parametrize("start", SPAN)
def test_every_bill_paid_has_one_code_issued_before(start):
    small = world(SMALL | LATE | {"start": dt.date.fromisoformat(start)})
    model, issued, paid = Tuition(small), {}, 0
    for number, demand in enumerate(by_day(model, small, day(start), SPAN[start])):
        for codes in model.codes(day(start) + number):
            rows = zip(codes.source.tolist(), codes.bill.tolist(), codes.amount_vnd.tolist(), strict=True)
            for source, bill, amount in rows:
                assert (source, bill) not in issued
                issued[source, bill] = amount, codes.issued_at
        columns = (demand.source, demand.bill, demand.amount_vnd, demand.occurred_at)
        for source, bill, amount, at in zip(*(column.tolist() for column in columns), strict=True):
            paid += 1
            assert issued[source, bill][0] == amount
            assert issued[source, bill][1] <= at
    assert paid == len(issued) > 0


def test_bills_issued_on_the_first_day_have_one_code():
    small = world(SMALL)
    cell = small.cells_of("tuition")[0]
    start = term_start(2025, 1) + issue_offset(small.seed, cell.id)
    begun = world(SMALL | {"start": start.date})
    issued = [codes for codes in Tuition(begun).codes(start) if codes.source[0] == cell.first_source]
    assert len(issued) == 1
    assert issued[0].issued_at == start.midnight_at


def test_terms_differ_in_fees_and_in_who_is_late():
    small = world(SMALL)
    terms = [over(Tuition(small), small, term_start(2025, term), 100) for term in (1, 2)]
    autumn, spring = (one.luck[:, np.argsort(bill_order(one))].tolist() for one in terms)
    assert autumn != spring
    autumn, spring = (one.amount_vnd[np.argsort(bill_order(one))].tolist() for one in terms)
    assert autumn != spring


def bill_order(found) -> np.ndarray:
    """A number for each payment, of its commune and pupil."""
    return found.source * 10**CUSTOMER_DIGITS + found.bill % 10**CUSTOMER_DIGITS


def test_the_holidays_bring_nothing():
    small = world(SMALL | LATE)
    assert not len(over(Tuition(small), small, day("2026-05-01"), 120))


@pytest.mark.parametrize(
    ("date", "term"),
    [
        ("2025-09-04", 20242),
        ("2025-09-05", 20251),
        ("2025-12-31", 20251),
        ("2026-01-15", 20251),
        ("2026-01-16", 20252),
        ("2026-05-31", 20252),
        ("2026-06-01", 20252),
        ("2026-09-04", 20252),
    ],
)
def test_the_last_term_that_has_begun(date, term):
    assert last_term(day(date)) == term
