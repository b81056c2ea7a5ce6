"""Provinces in which only what a test asks for moves adoption.

In: changes, by dotted path into the scenario. Out: worlds, and days of adoption.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from producers.simulation.adoption import AdoptionDay, AdoptionModel
from tests.worlds import FEW, scenario, world

if TYPE_CHECKING:
    from collections.abc import Mapping

    from producers.simulation.world import World

RATES = (
    "people.eligible_growth",
    "people.innovation",
    "people.imitation",
    "people.market_pull",
    "people.lapse",
    "stalls.innovation",
    "stalls.imitation",
    "stalls.customer_pull",
    "stalls.activation",
    "stalls.lapse",
)
STILL: dict[str, Any] = {**FEW, "intervention": [], **{f"adoption.{name}.value": 0.0 for name in RATES}}
"""Nobody moves."""
ALIVE: dict[str, Any] = {**FEW, "intervention": [], "province.households.value": 7_000}
"""All move by themselves, and no programme is under way."""
COLUMNS = ("adults", "eligible", "active", "reached", "stalls", "showing", "using", "account_share", "dossiers_online")
BY_MARKET = ("stalls", "showing", "using")


def days(world: World, count: int) -> list[AdoptionDay]:
    """The first days of a world."""
    return list(islice(AdoptionModel(world).days(), count))


def day(world: World, number: int) -> AdoptionDay:
    """One day of a world, counted from its start."""
    return next(islice(AdoptionModel(world).days(), number, None))


def programme(kind: str, start: str, end: str, *, place: tuple[str, ...] = (), **figures: Any) -> dict[str, Any]:
    """A row of an intervention; figures are assumed."""
    named = {name: {"value": value, "source": "assumed"} for name, value in figures.items()}
    return {"id": kind.replace("_", "-"), "kind": kind, "start": start, "end": end, "place": place} | {
        "source": "assumed",
        **named,
    }


def with_programmes(changes: Mapping[str, Any], *rows: dict[str, Any], seed: int = 57) -> World:
    """A world with these interventions only."""
    return world({**changes, "intervention": list(rows)}, seed)


def same(one: AdoptionDay, other: AdoptionDay) -> bool:
    """Whether two states are equal to the last count."""
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in COLUMNS)


__all__ = ["ALIVE", "BY_MARKET", "COLUMNS", "STILL", "day", "days", "programme", "same", "scenario", "with_programmes"]
