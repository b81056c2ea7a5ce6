"""What holds on a day: adoption, and the interventions in force, as arrays that payments are decided by.

In: a world, the adoption state of a day. Out: `Conditions`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from producers.simulation.adoption import AdoptionDay
from producers.simulation.calendar import DAY_MS, UTC_OFFSET_MS, Day
from producers.simulation.columns import BoolArray, FloatArray, IntArray
from producers.simulation.lunar import days_to_tet, is_lunar_market_day
from producers.simulation.random import generator
from producers.simulation.world import NO_MARKET, World
from schemas.events import Sector
from schemas.scenario.interventions import CashShock, FraudWave, LunarMarketDays, Outage, ScamWarning, Tet

PURCHASES: frozenset[Sector] = frozenset({"market_stall", "ecommerce"})
"""Sectors whose demand Tết moves: people choose the day; the others keep their calendar."""


@dataclass(frozen=True)
class OutageToday:
    """A time without cashless payment."""

    sources: BoolArray
    """Which tills it reaches."""
    begin_at: int
    end_at: int
    retry_seconds: float | None
    """Mean time from the end to the retry; None where people pay in cash instead."""


@dataclass(frozen=True)
class Conditions:
    """A day as payers and tills find it."""

    day: Day
    adoption: AdoptionDay
    active_share: FloatArray
    """Share of adults who pay cashless, by commune."""
    accepts: BoolArray
    """Whether each till takes cashless payments: a stall that uses its QR; all counters and billers."""
    demand_factor: FloatArray
    """Factor on purchases, by cell."""
    choice_logits: FloatArray
    """Added to the log odds of paying cashless, by commune."""
    outages: tuple[OutageToday, ...]
    swapped: FloatArray | None
    """Chance that a scanned code is a stranger's, by till; None where there is no such code."""

    def out(self, source: IntArray, at: IntArray) -> BoolArray:
        """Return whether cashless payment is impossible at tills and times, of one shape."""
        down = np.zeros(len(source), dtype=bool)
        for outage in self.outages:
            down |= (at >= outage.begin_at) & (at < outage.end_at) & outage.sources[source]
        return down


class ConditionsModel:
    """Makes the conditions of any day of a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rank = stall_ranks(world)
        self._is_stall = world.market_of_source != NO_MARKET
        rows = world.scenario.intervention
        self._outages = [(row, self._sources(row.place)) for row in rows if isinstance(row, Outage)]
        self._waves = [(row, self._swapped_by(row)) for row in rows if isinstance(row, FraudWave)]

    def on(self, adoption: AdoptionDay) -> Conditions:
        """Return the conditions of the day that an adoption state belongs to."""
        day = adoption.day
        return Conditions(
            day=day,
            adoption=adoption,
            active_share=adoption.active_share,
            accepts=~self._is_stall | self.using(adoption),
            demand_factor=self._demand_factor(day),
            choice_logits=self._choice_logits(day),
            outages=tuple(self._outages_on(day)),
            swapped=self._swapped(adoption),
        )

    def using(self, adoption: AdoptionDay) -> BoolArray:
        """Return which tills are stalls that use a QR: in each market the first so many by rank."""
        return np.asarray(self._is_stall & (self._rank < adoption.using[self._world.market_of_source]))

    def showing(self, adoption: AdoptionDay) -> BoolArray:
        """Return which tills are stalls that show a QR."""
        return np.asarray(self._is_stall & (self._rank < adoption.showing[self._world.market_of_source]))

    def shows_code(self, adoption: AdoptionDay) -> BoolArray:
        """Return which tills show a static code: all counters, and the stalls that show a QR."""
        return np.where(self._is_stall, self.showing(adoption), self._world.is_counter)

    def _demand_factor(self, day: Day) -> FloatArray:
        world = self._world
        factor = np.ones(len(world.cells))
        for row in world.scenario.intervention:
            if isinstance(row, Tet) and (times := tet_factor(row, day)) != 1.0:
                communes = world.reached_communes(row.place)
                factor[[cell.sector in PURCHASES and bool(communes[cell.commune]) for cell in world.cells]] *= times
            elif isinstance(row, LunarMarketDays) and meets(row, day):
                markets = world.reached_markets(row.place)
                reached = [cell.market != NO_MARKET and bool(markets[cell.market]) for cell in world.cells]
                factor[reached] *= row.factor.value
        return factor

    def _choice_logits(self, day: Day) -> FloatArray:
        logits = np.zeros(len(self._world.places))
        for row in self._world.scenario.intervention:
            if isinstance(row, CashShock) and row.start <= day.date < row.end:
                logits[self._world.reached_communes(row.place)] += row.choice.value
        return logits

    def _outages_on(self, day: Day) -> Iterator[OutageToday]:
        for row, sources in self._outages:
            begin_at, end_at = _local_ms(row.start), _local_ms(row.end)
            if begin_at < (day + 1).midnight_at and end_at > day.midnight_at:
                mean = row.retry_after_seconds.value if row.then == "retry" else None
                yield OutageToday(sources, begin_at, end_at, mean)

    def _swapped(self, adoption: AdoptionDay) -> FloatArray | None:
        date = adoption.day.date
        waves = [swapped for row, swapped in self._waves if row.start <= date < row.end]
        if not waves:
            return None
        chance: FloatArray = (np.any(waves, axis=0) & self.showing(adoption)).astype(np.float64)
        for row in self._world.scenario.intervention:
            if isinstance(row, ScamWarning) and row.start <= date < row.end:
                chance[self._sources(row.place)] *= row.fraud.value
        return chance

    def _swapped_by(self, row: FraudWave) -> BoolArray:
        """Return the tills whose code a wave swaps, if they show one; the same stalls whatever the shard."""
        stalls = sum(market.sources for market in self._world.markets)
        chosen = np.zeros(self._world.source_count, dtype=bool)
        hit = generator(self._world.seed, row.id, "swapped codes").random(stalls) < row.stalls.value
        chosen[self._is_stall] = hit[self._world.till_of_source[self._is_stall]]
        return chosen & self._sources(row.place)

    def _sources(self, place: tuple[str, ...]) -> BoolArray:
        world = self._world
        communes, markets = world.reached_communes(place), world.reached_markets(place)
        by_market = np.concatenate([markets, [False]])  # the last one stands for NO_MARKET
        return np.asarray(communes[world.commune_of_source] | by_market[world.market_of_source])


def stall_ranks(world: World) -> IntArray:
    """Return the order in which a market's stalls put up and use their QR, by till; fixed by the seed."""
    ranks = np.zeros(world.source_count, dtype=np.int64)
    for cell in world.cells_of("market_stall"):
        order = generator(world.seed, cell.id, "stall order").permutation(cell.sources)
        ranks[cell.first_source : cell.first_source + cell.sources] = order
    return ranks


def meets(row: LunarMarketDays, day: Day) -> bool:
    """Whether a row of market days holds on a day."""
    within = (row.start is None or row.start <= day.date) and (row.end is None or day.date < row.end)
    return within and is_lunar_market_day(day, row.days.value)


def tet_factor(row: Tet, day: Day) -> float:
    """Return the factor of a row of Tết on purchases of a day."""
    distance = days_to_tet(day) if row.on is None else day.number - Day.of(row.on).number
    if -row.days_before.value <= distance < 0:
        return row.factor.value
    return row.holiday_factor.value if 0 <= distance < row.holiday_days.value else 1.0


def _local_ms(moment: dt.datetime) -> int:
    """Return a local time as UTC epoch milliseconds."""
    within = moment - dt.datetime.combine(moment.date(), dt.time())
    return Day.of(moment.date()).number * DAY_MS - UTC_OFFSET_MS + round(within.total_seconds() * 1000)
