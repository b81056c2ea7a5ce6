"""What to produce.

In: nothing. Out: `Plan`.
"""

from __future__ import annotations

from dataclasses import dataclass

from producers.simulation.world import World


@dataclass(frozen=True)
class Plan:
    """A run, or one shard of it."""

    world: World
    run: str
    days: int | None = None
    """Simulated days; without end if None."""
    seconds: float | None = None
    """Wall time; without end if None."""
    shard: str = "1/1"
    """``I/N``: which part of the province the world is."""


def default_run(world: World) -> str:
    """Return the name of a run where none is given: the same scenario and seed give the same payments and ids."""
    return f"{world.scenario.name}-s{world.seed}"
