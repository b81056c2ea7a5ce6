"""Realism: every check of `quetma report fidelity` passes on the simulator and fails on one that is spoiled.

Spoiled spans are made of real ones by changing a column, or are simulated by other figures than they are held against.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from producers.scenario_files import load_scenario
from producers.simulation.adoption import AdoptionModel
from producers.simulation.calendar import HOUR_MS
from producers.simulation.columns import CASH, FAILED, NO_BILL, NOTHING, REVERSED, SETTLED, VIETQR
from producers.simulation.people import People
from producers.simulation.transmission import LATE, PLAIN
from producers.simulation.world import build_world
from schemas.events import SECTORS
from schemas.scenario.interventions import LunarMarketDays, Tet
from services.fidelity import amounts, causes, choice, demand, life, probes, sizes
from services.fidelity.check import Check
from services.fidelity.span import BROKEN, Span, observe
from tests.worlds import scenario

SEEDS = (57, 2, 3)
LEVEL = 1e-6
"""Below it a check fails here; about 600 p-values are seen."""
DAYS = 10
FAULTY = {
    "stream_faults.duplicate_rate.value": 0.01,
    "stream_faults.out_of_order_rate.value": 0.01,
    "stream_faults.late_rate.value": 0.01,
    "stream_faults.malformed_rate.value": 0.01,
    "market_stall.cashless.failure_rate.value": 0.05,
    "payment_life.reversal_rate.value": 0.01,
    "income.first_day.value": 18,
    "income.last_day.value": 25,
    "public_service.dossiers_per_1000_adults_day.value": 40.0,
}


@cache
def span(seed: int = 57) -> Span:
    """Ten days of a seventeenth of An Giang, with more faults and dossiers than there, and with pensions."""
    return observe(build_world(scenario(FAULTY), seed, (1, 17)), DAYS, wire=True)


def spoiled(**columns: np.ndarray) -> Span:
    return replace(span(), **columns)


def but(column: str, rows: np.ndarray, value: object) -> Span:
    """The span with other values in some rows."""
    found = getattr(span(), column).copy()
    found[rows] = value
    return spoiled(**{column: found})


def held_against(**changes: object) -> Span:
    """The span, held against other figures of the scenario."""
    other = scenario(FAULTY | {path.replace("__", "."): value for path, value in changes.items()})
    return spoiled(world=replace(span().world, scenario=other))


def verdicts(checks: object) -> dict[str, str]:
    listed = list(checks)
    assert len({check.name for check in listed}) == len(listed)
    return {check.name: check.verdict(LEVEL) for check in listed}


def failing(checks: object) -> set[str]:
    return {name for name, verdict in verdicts(checks).items() if verdict == "fail"}


# -- the simulator as it is ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_payments_are_as_intended(seed):
    one = span(seed)
    some = [sector for sector in SECTORS if sector != "tuition"]
    found = verdicts(
        [
            *demand.arrivals(one, some),
            *(check for sector in demand.BY_CHANCE for check in demand.counts(one, sector)),
            *amounts.amounts(one, some),
            amounts.popularity(one),
            *amounts.bills(one),
            *choice.shares(one, some),
            *causes.outages(one),
            *life.failures(one, some),
            *life.afterwards(one),
            *life.chains(one),
            *life.stream_faults(one),
        ]
    )
    assert len(found) > 60
    assert not {name: verdict for name, verdict in found.items() if verdict != "pass"}


@pytest.mark.parametrize("seed", SEEDS)
def test_programmes_are_as_big_as_they_say_and_stay_in_their_place(seed):
    found = verdicts([*sizes.sizes(span(seed).world), *probes.probes(small(seed))])
    assert {"teams-u-minh-thuong: effect", "stands: make_share", "stands: use_share"} <= set(found)
    assert {f"{probe}: in its place" for probe in ("promotion", "cash_shock", "outage retry")} <= set(found)
    assert set(found.values()) == {"pass"}


@cache
def small(seed: int = 57):
    return build_world(load_scenario("an-giang"), seed, (1, 34))


@cache
def around_tet(seed: int = 57, **changes: object) -> Span:
    """Two weeks of half the markets before Tết and the weeks around them, without anything but purchases."""
    figures = {"start": dt.date(2026, 1, 26), "market_stall.day_shape.value": 1e6} | changes
    return observe(build_world(scenario(figures), seed, (1, 17)), 30)


def test_tet_and_the_moon_move_purchases_by_their_factors():
    one = around_tet()
    found = verdicts(
        [
            *demand.dated_factors(one, "market_stall", Tet),
            *demand.dated_factors(one, "ecommerce", Tet),
            *demand.dated_factors(one, "market_stall", LunarMarketDays),
        ]
    )
    assert list(found.values()) == ["pass"] * 6


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"intervention.tet.factor.value": 1.4}, "tet: market_stall, days before"),
        ({"intervention.tet.holiday_factor.value": 0.5}, "tet: market_stall, its days"),
        ({"intervention.tet.holiday_days.value": 6}, "tet: market_stall, its days"),
        ({"intervention.full-and-new-moon.factor.value": 1.3}, "full-and-new-moon: market_stall, its days"),
        ({"intervention.full-and-new-moon.days.value": [2, 9, 16]}, "full-and-new-moon: market_stall, its days"),
    ],
)
def test_another_tet_or_moon_is_seen(row, name):
    one = around_tet()
    other = scenario({"start": one.scenario.start, "market_stall.day_shape.value": 1e6} | row)
    wrong = replace(one, world=replace(one.world, scenario=other))
    kind = Tet if name.startswith("tet") else LunarMarketDays
    assert name in failing(demand.dated_factors(wrong, "market_stall", kind))


# -- demand --------------------------------------------------------------------------------------------------


MARKETS = tuple(f"market_stall, {profile}" for profile in ("dawn", "day", "evening"))


@pytest.mark.parametrize("minutes", [30, -30])
def test_shifted_times_are_seen(minutes):
    late = spoiled(within=np.clip(span().within + minutes * 60_000, 0, 24 * HOUR_MS - 1))
    found = failing(demand.arrivals(late, ["market_stall", "electricity", "income"]))
    assert found == {f"arrivals: {name}" for name in ("electricity", "income", *MARKETS)}


def test_another_profile_is_seen():
    found = failing(demand.arrivals(held_against(hours__day__value=[1] * 24), ["market_stall"]))
    assert found == {"arrivals: market_stall, day"}


@pytest.mark.parametrize(("sector", "key"), [("public_service", "online_hours"), ("ecommerce", "hours")])
def test_what_is_made_online_has_other_hours(sector, key):
    wrong = held_against(**{f"{sector}__{key}": "dawn"})
    assert failing(demand.arrivals(wrong, [sector])) == {f"arrivals: {sector}"}


def test_days_of_another_spread_are_seen():
    for shape in (5.0, 1e4, 1e9):
        wrong = held_against(market_stall__day_shape__value=shape)
        assert "Fano factor: market_stall" in failing(demand.counts(wrong, "market_stall"))


def test_counts_that_are_too_even_are_seen():
    one = span()
    rows = one.asked("ecommerce")
    rows = rows[np.argsort(one.source[rows], kind="stable")]
    even = but("day", rows, np.arange(len(rows)) % DAYS)
    assert failing(demand.counts(even, "ecommerce")) == {"Fano factor: ecommerce"}


@pytest.mark.parametrize(
    ("sector", "key"),
    [
        ("market_stall", "weekday"),
        ("hospital", "visits_per_1000_adults_day"),
        ("public_service", "dossiers_per_1000_adults_day"),
        ("ecommerce", "orders_per_1000_adults_day"),
    ],
)
def test_more_or_less_demand_is_seen(sector, key):
    value = getattr(getattr(span().scenario, sector), key).value
    much = [2 * one for one in value] if isinstance(value, tuple) else 1.5 * value
    wrong = held_against(**{f"{sector}__{key}__value": much})
    assert f"counts: {sector}" in failing(demand.counts(wrong, sector))


# -- amounts and places --------------------------------------------------------------------------------------


def test_amounts_rounded_otherwise_are_seen():
    coarse = spoiled(amount_vnd=np.maximum(span().amount_vnd // 1000, 5) * 1000)
    every = spoiled(amount_vnd=span().amount_vnd + 1)
    sectors = ["market_stall", "hospital", "public_service", "ecommerce"]
    assert "amounts: market_stall" in failing(amounts.amounts(coarse, sectors))
    assert failing(amounts.amounts(every, sectors)) == {f"amounts: {sector}" for sector in sectors}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("market_stall__amount_sigma", 0.65),
        ("market_stall__amount_median_vnd", 52_000),
        ("hospital__copayment_share", 0.3),
        ("hospital__insured_share", 0.6),
        ("ecommerce__amount_sigma", 0.8),
    ],
)
def test_amounts_of_another_law_are_seen(key, value):
    sector = key.split("__")[0]
    wrong = held_against(**{f"{key}__value": value})
    assert failing(amounts.amounts(wrong, [sector])) == {f"amounts: {sector}"}


def test_kolmogorov_and_smirnov_would_refuse_amounts_that_are_right():
    """Why amounts are tested in bins: rounded ones are no continuous draws."""
    from scipy import stats  # noqa: PLC0415  (only here)

    rule, found = span().scenario.market_stall, span().amount_vnd[span().asked("market_stall")]
    normal = np.log(found / rule.amount_median_vnd.value) / rule.amount_sigma.value
    assert stats.kstest(normal, "norm").pvalue < LEVEL
    assert not failing(amounts.amounts(span(), ["market_stall"]))


@pytest.mark.parametrize("exponent", [0.7, 0.83])
def test_another_zipf_exponent_is_seen(exponent):
    wrong = held_against(market_stall__zipf_exponent__value=exponent)
    assert amounts.popularity(wrong).verdict(LEVEL) == "fail"


def test_stalls_by_chance_are_seen():
    rows = span().asked("market_stall")
    cell = np.array([[one.first_source, one.sources] for one in span().world.cells])
    first, many = cell[span().world.cell_of_source[span().source[rows]]].T
    anywhere = but("source", rows, first + np.random.default_rng(1).integers(0, many))
    assert amounts.popularity(anywhere).verdict(LEVEL) == "fail"


@pytest.mark.parametrize("sector", ["electricity", "water"])
def test_bills_that_no_tariff_gives_are_seen(sector):
    rows = span().asked(sector)
    one_more = but("amount_vnd", rows[:1], span().amount_vnd[rows[:1]] + 1)
    assert failing(amounts.bills(one_more)) == {f"bills: {sector}"}
    assert f"bills: {sector}" in failing(amounts.bills(held_against(**{f"{sector}__vat__value": 0.1})))
    wrong = held_against(**{f"{sector}__usage_median__value": 100.0 if sector == "electricity" else 16.0})
    assert failing(amounts.bills(wrong)) == {f"units of bills: {sector}"}


# -- shares --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sector", [sector for sector in SECTORS if sector not in {"tuition", "income"}])
def test_another_choice_is_seen(sector):
    value = getattr(span().scenario, sector).cashless.preference.value
    other = value - 0.8 if sector == "electricity" else value + 0.8  # where nearly all pay cashless, more is no change
    wrong = held_against(**{f"{sector}__cashless__preference__value": other})
    assert f"cashless share by count: {sector}" in failing(choice.shares(wrong, [sector]))


@pytest.mark.parametrize("sector", ["electricity", "income"])
def test_shares_of_chance_are_seen(sector):
    rows = span().asked(sector)
    half = but("method", rows, np.where(np.random.default_rng(1).random(len(rows)) < 0.5, VIETQR, CASH))
    found = failing(choice.shares(half, [sector]))
    assert {f"cashless share by {of}: {sector}" for of in ("count", "value")} <= found
    if sector == "electricity":
        assert "big bills first: electricity" in found


def test_stalls_that_take_cashless_without_a_qr_are_seen():
    one = span()
    nobody = [replace(day, using=day.using * 0) for day in one.adoption]
    assert "cashless share by count: market_stall" in failing(
        choice.shares(spoiled(adoption=tuple(nobody)), ["market_stall"])
    )


def test_other_methods_are_seen():
    rows = span().asked("water")
    cards = but("method", rows, np.where(span().method[rows] == VIETQR, VIETQR + 1, span().method[rows]))
    assert failing(choice.shares(cards, ["water"])) == {"methods: water"}
    wrong = held_against(water__cashless__mix__value={"card": 1.0})
    assert failing(choice.shares(wrong, ["water"])) == {"methods: water"}


# -- outages and probes --------------------------------------------------------------------------------------


def outage_rows() -> np.ndarray:
    """First attempts on the second day between 9 and 10 h, when An Giang's switch is down."""
    inside = (span().day == 1) & (span().within >= 9 * HOUR_MS) & (span().within < 10 * HOUR_MS)
    return np.flatnonzero(inside & span().first)


def test_a_cashless_payment_inside_an_outage_is_seen():
    row = outage_rows()[:1]
    assert failing(causes.outages(but("method", row, VIETQR))) == {"outage switch-down, 2025-11-18: inside"}
    tried = replace(but("method", row, VIETQR), status=but("status", row, FAILED).status)
    assert "outage switch-down, 2025-11-18: inside" in failing(causes.outages(tried))


def test_a_purchase_lost_or_changed_by_an_outage_is_seen():
    row = outage_rows()[:1]
    kept = "outage switch-down, 2025-11-18: demand"
    assert failing(causes.outages(but("status", row, FAILED))) == {kept}
    assert failing(causes.outages(but("amount_vnd", row, 1))) == {kept}


def test_an_outage_that_moves_nothing_does_not_pass():
    unmoved = spoiled(labels=np.zeros_like(span().labels))
    assert verdicts(causes.outages(unmoved))["outage switch-down, 2025-11-18: demand"] == "nothing to check"


def probed(kind: str = "promotion") -> tuple[Span, Span, probes.Probe, int]:
    world = small()
    probe = next(one for one in probes.PROBES if one.kind == kind)
    commune = world.cells[0].commune
    row = probes.row_of(probe, world, commune)
    spans = [observe(causes.with_interventions(world, rows), probes.DAYS) for rows in ((row,), ())]
    return spans[0], spans[1], probe, commune


def test_an_intervention_that_leaks_is_seen():
    one, without, probe, commune = probed()
    there = one.world.commune_of_source[one.source] == commune
    for name, rows in (
        ("promotion: elsewhere", ~there & (one.day >= probes.START)),
        ("promotion: before it starts", there & (one.day < probes.START)),
    ):
        amount = one.amount_vnd.copy()
        amount[np.flatnonzero(rows)[0]] += 1000
        assert failing(probes.compare(replace(one, amount_vnd=amount), without, probe, commune)) == {name}
    last = one.adoption[-1]
    active = last.active.copy()
    active[(commune + 1) % len(active)] += 1
    leaking = replace(one, adoption=(*one.adoption[:-1], replace(last, active=active)))
    assert failing(probes.compare(leaking, without, probe, commune)) == {"promotion: elsewhere"}


def test_an_intervention_that_does_nothing_or_the_wrong_is_seen():
    one, without, probe, commune = probed()
    name = {"promotion: in its place"}
    assert failing(probes.compare(without, without, probe, commune)) == name
    assert failing(probes.compare(one, without, replace(probe, rises=False), commune)) == name


def test_a_payment_more_or_less_differs():
    one, without, *_ = probed("fraud_wave")
    assert causes.differing(one, without).any()
    assert not causes.differing(without, without).any()
    shorter = {name: getattr(without, name)[1:] for name in without.__dataclass_fields__ if name in COLUMNS}
    differ = causes.differing(replace(without, **shorter), without)
    assert differ[0, without.source[0]]
    assert differ.sum() == 1


COLUMNS = (
    "day", "source", "within", "amount_vnd", "bill", "method", "status", "sequence", "attempt", "reason", "labels",
)  # fmt: skip


def test_a_team_of_half_the_effect_is_seen(monkeypatch):
    visit = People._visit
    half = lambda self, visits, chance: visit(self, replace(visits, won=visits.won / 2), chance)  # noqa: E731
    monkeypatch.setattr(People, "_visit", half)
    assert failing(sizes.sizes(span().world)) == {"teams-u-minh-thuong: effect"}


def test_stalls_that_come_by_themselves_are_seen(monkeypatch):
    days = AdoptionModel.days

    def more(self):
        for number, day in enumerate(days(self)):
            yield replace(day, showing=day.showing + number // 20, using=day.using + number // 40)

    monkeypatch.setattr(AdoptionModel, "days", more)
    assert {"stands: make_share", "stands: use_share"} & failing(sizes.sizes(span().world))


# -- failures, chains, the way -------------------------------------------------------------------------------


def test_other_rates_of_failures_and_reversals_are_seen():
    wrong = held_against(
        market_stall__cashless__failure_rate__value=0.03,
        payment_life__reasons__value={"network": 1, "bank_away": 1},
        payment_life__retry_share__value=0.5,
        payment_life__reversal_rate__value=0.005,
    )
    assert "failures: market_stall" in failing(life.failures(wrong))
    assert failing(life.afterwards(wrong)) == {"reasons of failures", "retries", "reversals"}


def first_of(mask: np.ndarray) -> np.ndarray:
    return np.flatnonzero(mask)[:1]


def test_broken_chains_are_seen():
    one = span()
    failed, settled = first_of(one.status == FAILED), first_of((one.status == SETTLED) & one.first)
    again, undone = first_of((one.attempt > 1) & (one.status == SETTLED)), first_of(one.status == REVERSED)
    cash = first_of((one.status == SETTLED) & (one.method == CASH))
    bill = first_of((one.status == SETTLED) & (one.bill != NO_BILL))
    cell_mates = np.flatnonzero((one.source == one.source[bill]) & (one.bill != NO_BILL) & (one.status == SETTLED))
    for wrong, names in (
        (but("status", failed, SETTLED), {"failed attempts", "attempts", "purchases"}),
        (but("status", settled, FAILED), {"failed attempts", "attempts", "purchases"}),
        (but("refers", again, BROKEN), {"references", "failed attempts"}),
        (but("refers", again, settled[0]), {"references", "failed attempts"}),
        (but("attempt", again, 5), {"attempts"}),
        (but("amount_vnd", again, 7), {"references"}),
        (but("within", again, 0), {"references"}),
        (but("reason", failed, NOTHING), {"attempts"}),
        (but("refers", undone, cash[0]), {"references", "reversals: of what"}),
        (but("bill", cell_mates[:2], one.bill[bill[0]]), {"purchases"}),
    ):
        assert failing(life.chains(wrong)) == names


def test_faults_that_are_not_as_labelled_are_seen():
    one = span()
    plain = np.flatnonzero(one.fault == PLAIN)
    for wrong, names in (
        (
            spoiled(labels=one.labels & 0),
            {f"labels: {label}" for label in ("duplicate", "out_of_order", "late", "malformed")},
        ),
        (but("fault", plain[:1], LATE), {"labels: late"}),
        (but("fault", one.fault == LATE, PLAIN), {"stream: late", "labels: late", "order of sending"}),
        (but("record", plain[:1], one.record[plain[1]]), {"records", "order of sending"}),
        (but("sent", plain[5:6], one.sent[plain[5]] - 1), {"order of sending"}),
        (held_against(stream_faults__duplicate_rate__value=0.02), {"stream: duplicate"}),
        (held_against(stream_faults__malformed_rate__value=0.0), {"stream: malformed"}),
    ):
        assert failing(life.stream_faults(wrong)) >= names
        assert len(failing(life.stream_faults(wrong)) - names) <= 1


def test_without_data_nothing_passes():
    nobody = replace(
        span(), **{name: getattr(span(), name)[:0] for name in (*COLUMNS, "refers", "record", "sent", "fault")}
    )
    every: list[Check] = [
        *demand.arrivals(nobody),
        *amounts.amounts(nobody, SECTORS),
        amounts.popularity(nobody),
        *amounts.bills(nobody),
        *choice.shares(nobody),
        *life.failures(nobody),
        *life.afterwards(nobody),
        *life.chains(nobody),
        *life.stream_faults(nobody),
    ]
    assert set(verdicts(every).values()) == {"nothing to check"}
    assert set(verdicts(demand.counts(nobody, "market_stall")).values()) == {"fail"}
