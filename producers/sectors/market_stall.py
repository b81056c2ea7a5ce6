"""Market stalls: purchases by Zipf popularity, hourly profile and log-normal amounts, rounded as people pay.

In: a world, the conditions of a day. Out: the day's purchases at all stalls.
Each market draws from its own generator; what the draws mean is worked out for all markets at once.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from producers.sectors.alias import AliasTable
from producers.sectors.sector import IssuedCodes, undecided
from producers.simulation.calendar import HOUR_MS, Day
from producers.simulation.columns import LUCK, NO_BILL, Demand, FloatArray, IntArray, no_demand
from producers.simulation.conditions import Conditions
from producers.simulation.paying import Rule
from producers.simulation.random import generator
from producers.simulation.world import CellSpec, World
from schemas.events import Sector
from schemas.scenario.sectors import MarketStalls as StallParameters

FINE_ROUNDING_BELOW_VND = 20_000
"""Below it amounts go to 500 VND, from it on to 1 000 VND: smaller notes are hardly used."""
FINE_VND, COARSE_VND = 500, 1000
_STALL, _HOUR, _MINUTE = range(LUCK, LUCK + 3)
_DRAWS = LUCK + 3


class MarketStalls:
    """The stalls of all markets of a world. Implements `producers.sectors.sector.SectorModel`."""

    sector: Sector = "market_stall"

    def __init__(self, world: World) -> None:
        self._world = world
        self._parameters = world.scenario.market_stall
        self.rule = Rule.of(self._parameters.cashless)
        self._cells = world.cells_of(self.sector)
        exponent = self._parameters.zipf_exponent.value
        self._stalls = AliasTable([np.arange(1, cell.sources + 1) ** -exponent for cell in self._cells])
        self._hours = AliasTable([world.scenario.hours[cell.hours].value for cell in self._cells])
        self._first = np.array([cell.first_source for cell in self._cells], dtype=np.int64)
        self._place = {cell.id: number for number, cell in enumerate(world.cells)}

    def demand(self, conditions: Conditions) -> Demand:
        """Return the purchases of a day at all stalls, market by market."""
        begun = [self._begun(cell, conditions) for cell in self._cells]
        counts = np.array([count for _, count in begun], dtype=np.int64)
        if not counts.any():
            return no_demand()
        normal, uniform = _draws(begun)
        hour = self._hours.draw_in_turn(counts, uniform[_HOUR])
        at = conditions.day.midnight_at + hour * HOUR_MS + (uniform[_MINUTE] * HOUR_MS).astype(np.int64)
        return Demand(
            source=np.repeat(self._first, counts) + self._stalls.draw_in_turn(counts, uniform[_STALL]),
            occurred_at=at,
            amount_vnd=rounded_amounts(normal, self._parameters),
            bill=np.full(len(normal), NO_BILL, dtype=np.int64),
            given=undecided(len(normal)),
            luck=uniform[:LUCK],
        )

    def codes(self, day: Day) -> Iterator[IssuedCodes]:
        """Yield nothing: there are no bills."""
        return iter(())

    def _begun(self, cell: CellSpec, conditions: Conditions) -> tuple[np.random.Generator, int]:
        """Draw how many purchases a market's day brings; return the generator that draws them, and their number."""
        rule, day = self._parameters, conditions.day
        random = generator(self._world.seed, cell.id, "purchases", day=day.number)
        effect = random.gamma(rule.day_shape.value) / rule.day_shape.value
        mean = cell.sources * cell.payments_per_source_day * self._world.scenario.scale.value
        mean *= rule.weekday.value[day.weekday] * float(conditions.demand_factor[self._place[cell.id]])
        return random, int(random.poisson(mean * effect))


def _draws(begun: list[tuple[np.random.Generator, int]]) -> tuple[FloatArray, FloatArray]:
    """Draw a normal and uniforms of each purchase, market by market, shape (n,) and (_DRAWS, n)."""
    total = sum(count for _, count in begun)
    normal, uniform, begin = np.empty(total), np.empty((_DRAWS, total)), 0
    for random, count in begun:
        end = begin + count
        random.standard_normal(out=normal[begin:end])
        uniform[:, begin:end] = random.random((_DRAWS, count))
        begin = end
    return normal, uniform


def rounded_amounts(normal: FloatArray, rule: StallParameters) -> IntArray:
    """Turn standard normal draws into amounts in VND: log-normal, rounded to 500 or 1 000 VND, cut at both ends."""
    raw = rule.amount_median_vnd.value * np.exp(rule.amount_sigma.value * normal)
    cut = np.clip(raw, rule.amount_min_vnd.value, rule.amount_max_vnd.value)
    step = np.where(cut < FINE_ROUNDING_BELOW_VND, FINE_VND, COARSE_VND)
    rounded = np.rint(cut / step) * step
    return np.asarray(np.clip(rounded, rule.amount_min_vnd.value, rule.amount_max_vnd.value), dtype=np.int64)
