"""Who could adopt, and who has at the start: people by commune and segment, stalls by market.

In: a world. Out: `Population`, fixed, and the counts with which the adoption model begins.
Each commune and each market is counted by itself, so that what is known of one changes no other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from producers.simulation.columns import FloatArray, IntArray
from producers.simulation.random import generator
from producers.simulation.segments import Segments, one_segment, segments_of
from producers.simulation.world import World

_WIDE = 60.0
"""Log odds beyond which a share is 0 or 1 for every purpose."""
_HALVINGS = 60


@dataclass(frozen=True)
class Population:
    """People, shape (communes, segments), and stalls, shape (markets,), at the start of a scenario."""

    households: FloatArray
    """By commune."""
    adults: FloatArray
    shift: FloatArray
    """How far each commune is ahead of the median one, as log odds of what it starts with."""
    pace: FloatArray
    """σ_s·u_c: factor on the hazard of becoming active."""
    oldest: FloatArray
    """Share of the oldest age group."""
    eligible: FloatArray
    active: FloatArray
    commune_of_market: IntArray
    stalls: FloatArray
    showing: FloatArray
    using: FloatArray


def populate(world: World) -> Population:
    """Count people and stalls at the start; whole numbers, or expectations if the scenario is deterministic."""
    adoption = world.scenario.adoption
    kinds = [one_segment if adoption.homogeneous else segments_of] * len(world.places)
    tables = [kind(place.settlement) for kind, place in zip(kinds, world.places, strict=True)]
    totals = np.array([place.adults for place in world.places], dtype=float)
    expected = totals[:, None] * _stacked(tables, "share")
    adults = expected if adoption.deterministic else _rounded(expected)
    shift, variance = _commune_shift(world)
    eligible, active = _initial_people(world, tables, adults, shift)
    stalls, showing, using = _initial_stalls(world)
    return Population(
        households=np.array([place.households for place in world.places], dtype=float),
        adults=adults,
        shift=shift,
        pace=_stacked(tables, "susceptibility") * np.exp(shift - variance / 2)[:, None],
        oldest=_stacked(tables, "oldest"),
        eligible=eligible,
        active=active,
        commune_of_market=np.array([market.commune for market in world.markets], dtype=np.int64),
        stalls=stalls,
        showing=showing,
        using=using,
    )


def logistic(logit: FloatArray) -> FloatArray:
    """Return the share of given log odds."""
    return 1 / (1 + np.exp(-logit))


def logit(share: FloatArray) -> FloatArray:
    """Return the log odds of a share between 0 and 1."""
    return np.log(share / (1 - share))


def _stacked(tables: list[Segments], name: str) -> FloatArray:
    return np.stack([getattr(table, name) for table in tables])


def _commune_shift(world: World) -> tuple[FloatArray, float]:
    """Return the communes' lead, normal around 0, and its variance: exp(lead - variance / 2) has the mean 1."""
    adoption, count = world.scenario.adoption, len(world.places)
    sigma = 0.0 if adoption.homogeneous else adoption.commune_spread.value
    normal = generator(world.seed, world.scenario.province.id, "commune pace").standard_normal(count)
    return sigma * normal, sigma**2


def _initial_people(
    world: World, tables: list[Segments], adults: FloatArray, shift: FloatArray
) -> tuple[FloatArray, FloatArray]:
    eligible_share, active_share = _starts(world, shift)
    by_eligible, by_active = (np.log(_stacked(tables, name)) for name in ("eligible_odds", "active_odds"))
    totals = adults.sum(axis=1)
    eligible = adults * _spread(adults, by_eligible, eligible_share * totals)
    active = eligible * _spread(eligible, by_active, np.minimum(active_share, eligible_share) * totals)
    if world.scenario.adoption.deterministic:
        return eligible, active
    counted = _rounded(active)
    return np.minimum(counted + _rounded(np.maximum(eligible - active, 0.0)), adults), counted


def _starts(world: World, shift: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return eligible and active shares by commune: the ones known there, else the province's, moved by its lead."""
    people, known = world.scenario.adoption.people, {one.id: one for one in world.scenario.commune}
    eligible = np.minimum(_moved(people.eligible_start.value, shift), people.eligible_ceiling.value)
    active = _moved(people.active_start.value, shift)
    for number, place in enumerate(world.places):
        commune = known.get(place.id)
        if commune and commune.eligible_start:
            eligible[number] = commune.eligible_start.value
        if commune and commune.active_start:
            active[number] = commune.active_start.value
    return eligible, active


def _moved(share: float, shift: FloatArray) -> FloatArray:
    return logistic(logit(np.full(len(shift), share)) + shift)


def _spread(weights: FloatArray, log_odds: FloatArray, totals: FloatArray) -> FloatArray:
    """Return shares with the given relative odds whose sum over the segments, weighted, is each commune's total."""
    low, high = np.full_like(totals, -_WIDE), np.full_like(totals, _WIDE)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        short = (weights * logistic(middle[:, None] + log_odds)).sum(axis=1) < totals
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    return logistic(((low + high) / 2)[:, None] + log_odds)


def _rounded(expected: FloatArray) -> FloatArray:
    """Round the segments of each commune by largest remainder, so that their sum is the commune's, rounded."""
    whole = np.floor(expected)
    missing = np.rint(expected.sum(axis=1)) - whole.sum(axis=1)
    rank = np.argsort(np.argsort(whole - expected, axis=1, kind="stable"), axis=1)
    return np.asarray(whole + (rank < missing[:, None]))


def _initial_stalls(world: World) -> tuple[FloatArray, FloatArray, FloatArray]:
    stalls, showing, using = (
        np.array([getattr(market, name) for market in world.markets], dtype=float)
        for name in ("sources", "showing_start", "using_start")
    )
    showing, using = stalls * showing, stalls * np.minimum(using, showing)
    if not world.scenario.adoption.deterministic:
        showing, using = np.rint(showing), np.rint(using)
    return stalls, showing, using
