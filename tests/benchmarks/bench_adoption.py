"""How fast a province adopts: years in, the time and the memory that a province of 148 communes takes for them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from producers.scenario_files import load_scenario
from producers.simulation.adoption import AdoptionModel
from producers.simulation.world import World, build_world
from tests.benchmarks.measuring import Row, Stopwatch, in_own_process

PROVINCE = "phu-tho"
COMMUNES, ADULTS = 148, 1_500_000
YEAR_DAYS = 365.25
RUNS = 5
"""The fastest of so many is told: others of the machine only ever slow it down."""


def run(years: float = 5.0) -> Iterator[Row]:
    """Simulate the adoption of a province over some years, with the programmes that its scenario has."""
    yield in_own_process(adopt, years=years)


def adopt(years: float) -> Row:
    """Step adoption day by day; an event is the state of a commune or a market on a day."""
    world = province()
    days = round(years * YEAR_DAYS)
    rows = []
    for _ in range(RUNS):
        watch = Stopwatch()
        steps = sum(1 for _ in islice(AdoptionModel(world).days(), days + 1)) - 1
        rows.append(watch.row("adoption", "model", steps * (len(world.places) + len(world.markets)), days=steps))
    fastest: Row = min(rows, key=lambda row: row["seconds"])
    return fastest | {"communes": len(world.places), "adults": sum(place.adults for place in world.places)}


def province() -> World:
    """Return a province of the size that the targets of docs/benchmarks.md name."""
    scenario = load_scenario(PROVINCE)
    figures = scenario.province
    households = round(ADULTS / figures.adults_per_household.value)
    resized = {"communes": COMMUNES, "households": households}
    changes = {name: getattr(figures, name).model_copy(update={"value": value}) for name, value in resized.items()}
    sized = scenario.model_copy(update={"province": figures.model_copy(update=changes)})
    return build_world(sized, sized.seed)
