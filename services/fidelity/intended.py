"""What the scenario intends, worked out from its figures alone: demand factors, times of day, chances of cashless.

In: a span, for its places, days and state of adoption. Out: means, cumulative profiles and probabilities of its rows.
Written from docs/fidelity.md and the schema, not from the simulator: two that agree are hardly both wrong.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from producers.simulation.calendar import HOUR_MS, Day
from producers.simulation.columns import BoolArray, FloatArray, IntArray
from producers.simulation.conditions import stall_ranks
from producers.simulation.lunar import is_working_day, lunar_date, tet
from schemas.events import Sector
from schemas.scenario import HOURS, Scenario
from schemas.scenario.interventions import CashShock, LunarMarketDays, Tet
from schemas.scenario.sectors import CashlessChoice
from services.fidelity.span import Span

_EDGES = np.arange(HOURS + 1) * HOUR_MS
_CUSTOMER: Final = 10**7
_REFERENCE_VND: Final = 50_000
Dated = Tet | LunarMarketDays


def reached_cells(span: Span, row: Dated) -> BoolArray:
    """Return which cells a row names, by themselves, their commune or the province."""
    world, named = span.world, set(row.place)
    everywhere = not named or world.scenario.province.id in named
    return np.array([everywhere or {cell.id, world.places[cell.commune].id} & named != set() for cell in world.cells])


def times_of_day(row: Dated, day: Day) -> float:
    """Return the factor of a row on a day."""
    if isinstance(row, LunarMarketDays):
        too_early, too_late = row.start and day.date < row.start, row.end and day.date >= row.end
        return row.factor.value if lunar_date(day).day in row.days.value and not (too_early or too_late) else 1.0
    new_years = [tet(day.date.year + more) for more in (0, 1)] if row.on is None else [Day.of(row.on)]
    for first in new_years:
        after = day.number - first.number
        if -row.days_before.value <= after < 0:
            return row.factor.value
        if 0 <= after < row.holiday_days.value:
            return row.holiday_factor.value
    return 1.0


def demand_factor(span: Span, sector: Sector, but: Dated | None = None) -> FloatArray:
    """Return the factors on purchases, shape (days, cells), those of one row aside; other sectors have none."""
    factor = np.ones((len(span.days), len(span.world.cells)))
    for row in span.scenario.intervention:
        moved = isinstance(row, Tet) and sector in {"market_stall", "ecommerce"}
        moved |= isinstance(row, LunarMarketDays) and sector == "market_stall"
        if moved and isinstance(row, Dated) and row is not but:
            times = np.array([times_of_day(row, day) for day in span.days])
            factor *= np.where(reached_cells(span, row)[None, :], times[:, None], 1.0)
    return factor


def mean_counts(span: Span, sector: Sector, but: Dated | None = None) -> FloatArray:
    """Return the mean number of purchases, shape (days, cells of the sector)."""
    scenario, cells = span.scenario, span.world.cells_of(sector)
    numbers = [number for number, cell in enumerate(span.world.cells) if cell.sector == sector]
    adults = np.array([span.world.places[cell.commune].adults for cell in cells]) / 1000
    commune = np.array([cell.commune for cell in cells])
    match sector:
        case "market_stall":
            a_day = np.array([cell.sources * cell.payments_per_source_day for cell in cells])
            mean = a_day * np.array(scenario.market_stall.weekday.value)[span.weekdays][:, None]
        case "hospital":
            a_day = adults * scenario.hospital.visits_per_1000_adults_day.value
            mean = a_day * np.array(scenario.hospital.weekday.value)[span.weekdays][:, None]
        case "public_service":
            rule = scenario.public_service
            a_day = adults * rule.dossiers_per_1000_adults_day.value * rule.paid_share.value
            open_ = working_days(span)[:, None]
            mean = a_day * np.where(open_, 1.0, span.by_day("dossiers_online")[:, commune])
        case "ecommerce":
            ahead, at_door = _orders(span)
            a_day = adults * scenario.ecommerce.orders_per_1000_adults_day.value
            mean = a_day * (ahead + at_door)[:, commune]
        case _:
            raise ValueError(f"{sector}: bills and incomes come by the calendar, not by chance")
    return np.asarray(mean * scenario.scale.value * demand_factor(span, sector, but)[:, numbers])


def working_days(span: Span) -> BoolArray:
    """Return which days offices are open."""
    return np.array([is_working_day(day) for day in span.days])


def _orders(span: Span) -> tuple[FloatArray, FloatArray]:
    """Return what is paid ahead and at the door, in orders of a mean day, shape (days, communes)."""
    rule = span.scenario.ecommerce
    weekday = np.array(rule.weekday.value)
    delays = range(1, rule.delivery_days_max.value + 1)
    delivered = np.mean([weekday[(span.weekdays - delay) % len(weekday)] for delay in delays], axis=0)
    ahead = rule.prepaid_share.value * span.by_day("active_share")
    return ahead * weekday[span.weekdays][:, None], (1 - ahead) * delivered[:, None]


def other_share(span: Span, sector: Sector) -> FloatArray:
    """Return the share of a day's payments that is made online or ahead, cashless for sure; (days, communes)."""
    if sector == "public_service":
        return np.where(working_days(span)[:, None], span.by_day("dossiers_online"), 1.0)
    if sector == "ecommerce":
        ahead, at_door = _orders(span)
        return np.asarray(ahead / np.maximum(ahead + at_door, 1e-300))
    return np.zeros((len(span.days), len(span.world.places)))


def rescaled(span: Span, sector: Sector, rows: IntArray) -> FloatArray:
    """Return the times of rows, each by its own cumulative intensity: uniform, if times are as intended."""
    scenario, within = span.scenario, span.within[rows]
    if sector == "market_stall":
        known, profile = np.unique([cell.hours for cell in span.world.cells], return_inverse=True)
        of_row, times = profile[span.world.cell_of_source[span.source[rows]]], np.empty(len(rows))
        for number in np.unique(of_row).tolist():
            times[of_row == number] = cumulative(scenario, str(known[number]), within[of_row == number])
        return times
    own = getattr(scenario, sector)
    if sector == "public_service":
        usual, other = own.hours, own.online_hours
    elif sector == "ecommerce":
        usual, other = own.delivery_hours, own.hours
    else:
        return cumulative(scenario, own.hours, within)
    share = other_share(span, sector)[span.day[rows], span.world.commune_of_source[span.source[rows]]]
    return (1 - share) * cumulative(scenario, usual, within) + share * cumulative(scenario, other, within)


def cumulative(scenario: Scenario, profile: str, within: IntArray) -> FloatArray:
    """Return the share of a day that is over by times, in milliseconds after midnight, by an hour profile."""
    weights = np.array(scenario.hours[profile].value, dtype=np.float64)
    over = np.concatenate([[0.0], np.cumsum(weights)]) / weights.sum()
    return np.asarray(np.interp(within, _EDGES, over))


def cashless_chance(span: Span, sector: Sector, rows: IntArray) -> FloatArray:
    """Return the probability that each of the rows, first attempts of a sector, is tried cashless."""
    world, scenario = span.world, span.scenario
    day, source = span.day[rows], span.source[rows]
    commune = world.commune_of_source[source]
    if sector == "income":
        return span.by_day("account_share")[day, commune]
    rule: CashlessChoice = getattr(scenario, sector).cashless
    able = 1 - (1 - span.by_day("active_share")[day, commune]) ** rule.payers.value
    logits = rule.preference.value + rule.amount_slope.value * np.log(span.amount_vnd[rows] / _REFERENCE_VND)
    chance = able / (1 + np.exp(-logits - _shock(span)[day, commune]))
    if sector == "market_stall":
        chance = chance * (stall_ranks(world)[source] < span.by_day("using")[day, world.market_of_source[source]])
    if (others := getattr(getattr(scenario, sector), "business", None)) is not None:
        chance = np.where(is_business(span, sector, rows), others.cashless_share.value, chance)
    sure = other_share(span, sector)[day, commune]
    return np.asarray(sure + (1 - sure) * chance)


def is_business(span: Span, sector: Sector, rows: IntArray) -> BoolArray:
    """Return which bills are of other customers than households: their numbers come after those of households."""
    rule = getattr(span.scenario, sector)
    share = rule.customers_per_household.value
    customers = [round(place.households * share * span.scenario.scale.value) for place in span.world.places]
    commune = span.world.commune_of_source[span.source[rows]]
    return np.asarray(span.bill[rows] % _CUSTOMER > np.array(customers)[commune])


def _shock(span: Span) -> FloatArray:
    """Return the logits that shortages of cash add, shape (days, communes)."""
    logits = np.zeros((len(span.days), len(span.world.places)))
    for row in span.scenario.intervention:
        if isinstance(row, CashShock):
            short = np.array([row.start <= day.date < row.end for day in span.days])
            logits += row.choice.value * short[:, None] * span.world.reached_communes(row.place)[None, :]
    return logits
