"""Two worlds that differ in one intervention are one world before it starts, and outside its reach for ever."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.engine import DayOfPayments, ProvinceSimulation
from producers.simulation.calendar import Day
from producers.simulation.columns import CASH, SETTLED
from schemas.events import SECTORS, TRUTH_LABELS
from tests.province_days import CLEAN, TROUBLED, Row, by_source
from tests.worlds import world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from producers.simulation.world import World

seeds = st.integers(0, 2**63 - 1)
few = settings(max_examples=2, deadline=None)
START, DAYS = dt.date(2025, 12, 27), 13
"""The interventions begin on the sixth day of the scenario."""
BEGIN, END = dt.datetime.combine(START, dt.time(8)), dt.datetime.combine(START, dt.time(14))
TOWN = CLEAN | TROUBLED | {"province.households.value": 1200, "market_stall.payments_per_stall_day.value": 6.0}
TOWN |= {"start": dt.date(2025, 12, 22), "income.first_day.value": 2, "income.last_day.value": 2}
COMMUNE, MARKET = "kien-luong", "tron"
"""The market lies in the commune."""


def figures(**values: object) -> dict[str, object]:
    return {name: {"value": value, "source": "assumed"} for name, value in values.items()}


SPAN = {"start": START, "end": START + dt.timedelta(days=7)}
KINDS: dict[str, dict[str, Any]] = {
    "digital_team": SPAN | figures(members=100, visits_per_member_day=3.0, effect=0.9, delay_days=1.0),
    "stall_stands": SPAN | figures(make_share=0.9, use_share=0.9, delay_days=1.0),
    "promotion": SPAN | figures(people=50.0, stalls=50.0),
    "pensions_to_accounts": SPAN | figures(share=0.9),
    "cash_shock": SPAN | figures(choice=3.0, hazard=20.0),
    "scam_warning": SPAN | figures(hazard=0.0, fraud=0.1),
    "fraud_wave": SPAN | figures(stalls=0.9),
    "outage": {"scope": "switch", "start": BEGIN, "end": END, "then": "cash"} | figures(retry_after_seconds=60.0),
    "tet": figures(factor=2.0, days_before=60, holiday_factor=0.5, holiday_days=15),
    "lunar_market_days": figures(days=[1, 2, 10], factor=3.0),
}
LASTING = [kind for kind in KINDS if "start" in KINDS[kind]]


def with_one(kind: str | None, place: tuple[str, ...], seed: int, **more: Any) -> World:
    rows = [] if kind is None else [{"id": "test", "kind": kind, "place": place, "source": "assumed"} | KINDS[kind]]
    return world(TOWN | more | {"intervention": rows}, seed)


def both(
    kind: str, place: tuple[str, ...], seed: int, **more: Any
) -> Iterator[tuple[World, DayOfPayments, DayOfPayments]]:
    """The days of two worlds, without and with an intervention."""
    plain, changed = with_one(None, place, seed, **more), with_one(kind, place, seed, **more)
    for one, other in zip(*(ProvinceSimulation(of).days(DAYS) for of in (plain, changed)), strict=True):
        yield plain, one, other


def adopted(of: World, day: DayOfPayments) -> dict[str, dict[str, list[float]]]:
    """The adoption of a day by commune, its markets among it."""
    found: dict[str, dict[str, list[float]]] = {place.id: {} for place in of.places}
    for field in fields(day.adoption):
        if field.name == "day":
            continue
        values = getattr(day.adoption, field.name).tolist()
        by_market = field.name in {"stalls", "showing", "using"}
        communes = [market.commune for market in of.markets] if by_market else range(len(of.places))
        for commune, value in zip(communes, values, strict=True):
            found[of.places[commune].id].setdefault(field.name, []).append(value)
    return found


def codes(of: World, day: DayOfPayments) -> dict[str, Counter[tuple[int, ...]]]:
    """The codes issued on a day, by source."""
    found: dict[str, Counter[tuple[int, ...]]] = {}
    for issued in day.codes:
        columns = (issued.source.tolist(), issued.bill.tolist(), issued.amount_vnd.tolist())
        for source, *rest in zip(*columns, strict=True):
            found.setdefault(of.source_ids[source], Counter())[(*rest, issued.issued_at)] += 1
    return found


def outside(of: World, found: dict[str, Any], reached: set[str]) -> dict[str, Any]:
    """What is said of sources that do not lie in the communes reached."""
    communes = {
        name: of.places[commune].id for name, commune in zip(of.source_ids, of.commune_of_source.tolist(), strict=True)
    }
    return {name: one for name, one in found.items() if communes[name] not in reached}


def same_everywhere(of: World, one: DayOfPayments, other: DayOfPayments, reached: set[str]) -> bool:
    kept = [
        (
            outside(of, by_source(of, day), reached),
            outside(of, codes(of, day), reached),
            {place: values for place, values in adopted(of, day).items() if place not in reached},
        )
        for day in (one, other)
    ]
    return kept[0] == kept[1]


@pytest.mark.parametrize("kind", KINDS)
@few
@given(seeds)
def test_outside_the_communes_reached_nothing_changes(kind, seed):
    for of, one, other in both(kind, (COMMUNE,), seed):
        assert same_everywhere(of, one, other, {COMMUNE})


@pytest.mark.parametrize("kind", LASTING)
@few
@given(seeds)
def test_before_it_starts_nothing_changes(kind, seed):
    for of, one, other in both(kind, (), seed):
        if one.day.number < Day.of(START).number:
            assert same_everywhere(of, one, other, set())


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "scam_warning"])
def test_where_it_reaches_something_changes(kind):
    """So that the other tests do not compare worlds without any difference; a warning is seen in adoption alone."""
    differ = [by_source(of, one) != by_source(of, other) for of, one, other in both(kind, (COMMUNE,), 57)]
    assert any(differ)


def test_a_warning_is_seen_where_it_reaches():
    eager = {"adoption.people.innovation.value": 20.0}
    days = both("scam_warning", (COMMUNE,), 57, **eager)
    assert any(adopted(of, one) != adopted(of, other) for of, one, other in days)


@pytest.mark.parametrize("kind", ["stall_stands", "promotion", "fraud_wave", "lunar_market_days", "outage"])
@few
@given(seeds)
def test_what_is_for_one_market_stays_in_its_commune(kind, seed):
    for of, one, other in both(kind, (MARKET,), seed):
        assert same_everywhere(of, one, other, {COMMUNE})


@pytest.mark.parametrize("kind", ["fraud_wave", "outage"])
@few
@given(seeds)
def test_what_does_not_move_adoption_changes_only_the_tills_it_reaches(kind, seed):
    for of, one, other in both(kind, (MARKET,), seed):
        for found in (by_source, codes):
            here, there = (
                {name: rows for name, rows in found(of, day).items() if not name.startswith(f"{MARKET}/")}
                for day in (one, other)
            )
            assert here == there
        assert adopted(of, one) == adopted(of, other)


@few
@given(seeds)
def test_fraud_changes_no_payment_but_only_its_label(seed):
    for _, one, other in both("fraud_wave", (), seed):
        for name in ("source", "occurred_at", "amount_vnd", "bill", "method", "status"):
            assert getattr(one.payments, name).tolist() == getattr(other.payments, name).tolist()
        before, after = (
            Counter(zip(d.payments.labels.row, d.payments.labels.label, strict=True)) for d in (one, other)
        )
        assert {TRUTH_LABELS[label] for _, label in after - before} <= {"fraud"}
        assert not before - after
        assert one.sequence.tolist() == other.sequence.tolist()


# -- outages -------------------------------------------------------------------------------------------------

SMOOTH = {"payment_life.reversal_rate.value": 0.0, "income.failure_rate.value": 0.0}
SMOOTH |= {f"{sector}.cashless.failure_rate.value": 0.0 for sector in SECTORS if sector != "income"}
"""No failures: each payment stands for itself."""


def settled(of: World, day: DayOfPayments) -> dict[str, Counter[tuple[int, int]]]:
    """What each till was paid in the end."""
    found = by_source(of, day)
    return {
        name: Counter((row.amount_vnd, row.bill) for row in rows if row.status == SETTLED)
        for name, rows in found.items()
    }


@pytest.mark.parametrize("then", ["cash", "retry"])
@few
@given(seeds)
def test_an_outage_keeps_demand_and_lets_nobody_pay_cashless_inside(then, seed):
    begin_at = Day.of(START).midnight_at + 8 * 3_600_000
    end_at = Day.of(START).midnight_at + 14 * 3_600_000
    rows = [
        {"id": "test", "kind": "outage", "place": (COMMUNE,), "source": "assumed"} | KINDS["outage"] | {"then": then}
    ]
    plain, out = world(TOWN | {"intervention": []}, seed), world(TOWN | {"intervention": rows}, seed)
    for one, other in zip(*(ProvinceSimulation(of).days(DAYS) for of in (plain, out)), strict=True):
        assert settled(plain, one) == settled(out, other)
        paid = other.payments
        here = np.array([out.places[commune].id == COMMUNE for commune in out.commune_of_source[paid.source].tolist()])
        inside = here & (paid.occurred_at >= begin_at) & (paid.occurred_at < end_at)
        assert (paid.method[inside] == CASH).all()
        assert inside.any() == (one.day == Day.of(START))


@pytest.mark.parametrize("then", ["cash", "retry"])
@few
@given(seeds)
def test_payments_outside_of_an_outage_are_as_they_were(then, seed):
    begin_at, end_at = (Day.of(START).midnight_at + hour * 3_600_000 for hour in (8, 14))
    row = {"id": "test", "kind": "outage", "source": "assumed"} | KINDS["outage"] | {"then": then}
    plain, out = (world(TOWN | SMOOTH | {"intervention": rows}, seed) for rows in ([], [row]))
    labels = {TRUTH_LABELS.index(label) for label in ("outage_cash", "outage_retry")}

    def kept(rows: list[Row], other: bool) -> Counter[tuple[object, ...]]:
        """Payments that the outage did not touch, whatever their number."""
        touched = (
            (lambda row: bool(labels & set(row.labels)))
            if other
            else (lambda row: begin_at <= row.occurred_at < end_at and row.method != CASH)
        )
        return Counter(row[1:] for row in rows if not touched(row))

    moved = 0
    for one, other in zip(*(ProvinceSimulation(of).days(DAYS) for of in (plain, out)), strict=True):
        here, there = by_source(plain, one), by_source(out, other)
        assert here.keys() == there.keys()
        for name, rows in here.items():
            assert kept(rows, other=False) == kept(there[name], other=True)
            hit = [found for found in there[name] if labels & set(found.labels)]
            moved += len(hit)
            for found in hit:
                cash = TRUTH_LABELS.index("outage_cash") in found.labels
                assert cash == (found.method == CASH)
                assert begin_at <= found.occurred_at < end_at if cash else found.occurred_at >= end_at
    assert moved > 10
