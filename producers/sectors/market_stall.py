"""Market stalls: purchases by Zipf popularity, hourly profile and log-normal amounts, rounded as people pay.

In: a world and a day. Out: the day's payments at all stalls.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from producers.sectors.sector import (
    NO_BILL,
    Draws,
    IssuedCodes,
    choose_method,
    concatenate,
    cumulative,
    moments,
    years_between,
)
from producers.simulation.calendar import Day
from producers.simulation.random import generator
from producers.simulation.world import CellSpec, FloatArray, IntArray, World
from schemas.events import Sector
from schemas.scenario import MarketStalls as StallRule

FINE_ROUNDING_BELOW_VND = 20_000
"""Below it amounts go to 500 VND, from it on to 1 000 VND: smaller notes are hardly used."""


class MarketStalls:
    """The stalls of all markets of a world. Implements `producers.sectors.sector.SectorModel`."""

    sector: Sector = "market_stall"

    def __init__(self, world: World) -> None:
        self._world = world
        self._cells = [cell for cell in world.cells if cell.sector == self.sector]

    def draw(self, day: Day) -> Draws:
        """Return the purchases of a day at all stalls."""
        return concatenate(_market(self._world, cell, day) for cell in self._cells)

    def codes(self, day: Day) -> Iterator[IssuedCodes]:
        """Yield the stalls' static codes on the first day."""
        if day == Day.of(self._world.scenario.start):
            for cell in self._cells:
                source = np.arange(cell.first_source, cell.first_source + cell.sources)
                unused = np.zeros(cell.sources, dtype=np.int64)
                yield IssuedCodes(source, unused + NO_BILL, unused, day.midnight_at)


def _market(world: World, cell: CellSpec, day: Day) -> Draws:
    rule = world.scenario.market_stall
    random = generator(world.seed, cell.id, "purchases", day=day.number)
    count = _purchases(random, world, cell, day)
    stall = np.searchsorted(_popularity(cell.sources, rule.zipf_exponent.value), random.random(count))
    profile = cumulative(world.scenario.hours[cell.hours].value)
    at = day.midnight_at + moments(random, count, profile)
    amount = rounded_amounts(random.standard_normal(count), rule)
    method, status = choose_method(
        random,
        rule.cashless,
        share=cell.cashless_share,
        years=years_between(Day.of(world.scenario.start), day),
        relative_amount=amount / rule.amount_median_vnd.value,
    )
    no_bill = np.full(count, NO_BILL, dtype=np.int64)
    return Draws(cell.first_source + stall.astype(np.int64), at, method, status, amount, no_bill)


def _purchases(random: np.random.Generator, world: World, cell: CellSpec, day: Day) -> int:
    rule = world.scenario.market_stall
    effect = random.gamma(rule.day_shape.value) / rule.day_shape.value
    mean = cell.sources * cell.payments_per_source_day * world.scenario.scale.value
    return int(random.poisson(mean * rule.weekday.value[day.weekday] * effect))


@lru_cache(maxsize=4096)
def _popularity(stalls: int, exponent: float) -> FloatArray:
    return cumulative(np.arange(1, stalls + 1, dtype=np.float64) ** -exponent)


def rounded_amounts(normal: FloatArray, rule: StallRule) -> IntArray:
    """Turn standard normal draws into amounts in VND: log-normal, rounded to 500 or 1 000 VND, cut at both ends."""
    raw = rule.amount_median_vnd.value * np.exp(rule.amount_sigma.value * normal)
    cut = np.clip(raw, rule.amount_min_vnd.value, rule.amount_max_vnd.value)
    step = np.where(cut < FINE_ROUNDING_BELOW_VND, 500, 1000)
    rounded = np.rint(cut / step) * step
    return np.asarray(np.clip(rounded, rule.amount_min_vnd.value, rule.amount_max_vnd.value), dtype=np.int64)
