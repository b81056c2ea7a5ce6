"""How far a commune is: the index of five shares, and whether the commune is green.

In: a day of adoption. Out: `CommuneStatus`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from producers.simulation.adoption import AdoptionDay, share
from producers.simulation.columns import BoolArray, FloatArray
from producers.simulation.population import logistic, logit
from producers.simulation.random import generator
from producers.simulation.world import World


@dataclass(frozen=True)
class CommuneStatus:
    """The status of each commune, in order of `World.places`."""

    index: FloatArray
    """0 to 1."""
    green: BoolArray
    """Whether the index has reached the threshold."""


def coverage(world: World) -> FloatArray:
    """Return the mobile coverage of each commune as a share of its area; it stands still."""
    rule = world.scenario.status
    normal = generator(world.seed, world.scenario.province.id, "coverage").standard_normal(len(world.places))
    return logistic(logit(np.array(rule.coverage_median.value)) + rule.coverage_spread.value * normal)


def status(world: World, day: AdoptionDay, coverage: FloatArray) -> CommuneStatus:
    """Return the status on a day: the weighted mean of the five shares of `StatusIndex`.

    A commune without stalls has a share of 0 of them.
    """
    rule, commune = world.scenario.status, [market.commune for market in world.markets]
    showing, stalls = (
        np.bincount(np.array(commune, dtype=np.int64), weights=by_market, minlength=len(world.places))
        for by_market in (day.showing, day.stalls)
    )
    index = (
        rule.accounts.value * share(day.eligible, day.adults)
        + rule.active.value * day.active_share
        + rule.stalls.value * share(showing, stalls)
        + rule.dossiers.value * day.dossiers_online
        + rule.coverage.value * coverage
    )
    return CommuneStatus(index, index >= rule.threshold.value)
