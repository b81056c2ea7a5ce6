"""What comes by chance on each day of a month: visits, dossiers, orders.

In: a world, a cell, how many come on a mean day. Out: the midnights of the days on which they come.
"""

from __future__ import annotations

import numpy as np

from producers.simulation.calendar import DAY_MS, day_in_month, days_in_month
from producers.simulation.columns import FloatArray, IntArray
from producers.simulation.world import CellSpec, World

WEEK = 7


def mean_a_day(world: World, cell: CellSpec, per_1000_adults: float) -> float:
    """Return how many come to a cell on a mean day, simulated ones only."""
    return world.places[cell.commune].adults * per_1000_adults / 1000 * world.scenario.scale.value


def weekdays(month: int) -> IntArray:
    """Return the weekday of each day of a month, Monday 0; the month is year × 100 + month."""
    return (day_in_month(month, 1).weekday + np.arange(days_in_month(month))) % WEEK


def arrivals(random: np.random.Generator, month: int, mean: FloatArray) -> IntArray:
    """Draw on which days of a month something comes: Poisson, each day for itself.

    Args:
        random: generator of this purpose.
        month: year × 100 + month.
        mean: of each day, shape (days,).

    Returns:
        Local midnights as UTC epoch milliseconds, one for each that comes, in order.
    """
    day = np.repeat(np.arange(len(mean)), random.poisson(mean))
    return day_in_month(month, 1).midnight_at + day * DAY_MS
