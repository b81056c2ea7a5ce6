"""Days as sectors find them, made by hand, and what sectors ask for on them.

In: a world, a span of days, shares that stay. Out: `Conditions`, and the demand of a sector on the days of the span.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import numpy as np

from producers.simulation.adoption import AdoptionDay
from producers.simulation.calendar import Day
from producers.simulation.columns import join_demand
from producers.simulation.conditions import Conditions

if TYPE_CHECKING:
    from producers.sectors.sector import SectorModel
    from producers.simulation.columns import Demand, FloatArray
    from producers.simulation.world import World

TOWN = {
    "province.communes.value": 4,
    "province.households.value": 40_000,
    "markets.count.value": 0,
    "scale.value": 1.0,
    "province.commune_sigma.value": 0.1,
}
"""Four communes of about 10 000 households each, and the named markets."""

ADULTS = 1_000
"""Of each commune, in adoption made by hand: only shares count."""


def day(text: str) -> Day:
    """The day of an ISO date."""
    return Day.of(dt.date.fromisoformat(text))


def conditions(
    world: World,
    today: Day,
    *,
    active: FloatArray | float = 0.5,
    accounts: FloatArray | float = 0.6,
    online: FloatArray | float = 0.7,
    factor: FloatArray | float = 1.0,
) -> Conditions:
    """A day without outages and fraud, on which all communes (cells, for the factor) are alike but for arrays."""
    communes, markets = np.zeros(len(world.places)), np.zeros(len(world.markets))
    adults = communes + ADULTS
    adoption = AdoptionDay(
        day=today,
        adults=adults,
        eligible=adults,
        active=adults * active,
        reached=communes,
        stalls=markets,
        showing=markets,
        using=markets,
        account_share=communes + accounts,
        dossiers_online=communes + online,
    )
    return Conditions(
        day=today,
        adoption=adoption,
        active_share=adoption.active_share,
        accepts=np.ones(world.source_count, dtype=bool),
        demand_factor=np.ones(len(world.cells)) * factor,
        choice_logits=communes,
        outages=(),
        swapped=None,
    )


def by_day(model: SectorModel, world: World, first: Day, days: int, **shares: FloatArray | float) -> list[Demand]:
    """What a sector asks for on each day of a span."""
    return [model.demand(conditions(world, first + number, **shares)) for number in range(days)]


def over(model: SectorModel, world: World, first: Day, days: int, **shares: FloatArray | float) -> Demand:
    """What a sector asks for in a span."""
    return join_demand(by_day(model, world, first, days, **shares))


def adults(world: World) -> int:
    """How many adults live in the province."""
    return sum(place.adults for place in world.places)


def near(count: float, mean: float) -> bool:
    """Whether a Poisson count is within four standard errors of its mean."""
    return bool(abs(count - mean) < 4 * np.sqrt(mean))


def near_share(count: float, of: int, share: float) -> bool:
    """Whether a binomial count is within four standard errors of its mean."""
    return bool(abs(count - of * share) < 4 * np.sqrt(of * share * (1 - share)))


def near_median(amounts_vnd: np.ndarray, median: float, sigma: float) -> bool:
    """Whether log-normal amounts, much bigger than their rounding, have a median within four standard errors."""
    error = sigma / np.sqrt(len(amounts_vnd))
    return bool(abs(np.log(amounts_vnd / median).mean()) < 4 * error)
