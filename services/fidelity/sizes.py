"""Sizes: whether programmes do as much as their rows say, when nothing else moves anybody.

In: a world. Out: checks, one for each row of teams, stands, promotions and pensions of its scenario.
Each row is put alone into the whole province from the first day on, and every other hazard is 0. What is left are
binomial draws whose chances follow from the row's figures alone.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from producers.simulation.adoption import AdoptionDay, AdoptionModel
from producers.simulation.columns import FloatArray
from producers.simulation.world import World
from schemas.scenario.interventions import DigitalTeam, PensionsToAccounts, Promotion, StallStands
from services.fidelity.check import Check, nothing, sum_p

YEAR_DAYS, SIX_MONTHS = 365, 182.5
_SETTLED = 10
"""So many mean delays after the last day of a campaign nobody is left who is about to begin."""
_PEOPLE = ("eligible_growth", "innovation", "imitation", "market_pull", "lapse")
_STALLS = ("innovation", "imitation", "customer_pull", "activation", "lapse")


def sizes(world: World) -> Iterator[Check]:
    """Measure each programme of the scenario; teams of one effect and delay once."""
    alike = set()
    for row in world.scenario.intervention:
        match row:
            case DigitalTeam() if (what := (row.effect.value, row.delay_days.value)) not in alike:
                alike.add(what)
                yield _team(row, world)
            case StallStands():
                yield from _stands(row, world)
            case Promotion():
                yield _promotion(row, world)
            case PensionsToAccounts():
                yield _pensions(row, world)


def still_world(world: World, row: Any, days: int, **changes: Any) -> World:
    """Return the world with nothing that moves anybody but one row, in the whole province, from the first day on."""
    scenario = world.scenario
    end = scenario.start + dt.timedelta(days=days)
    alone = row.model_copy(update={"place": (), "start": scenario.start, "end": end, **changes})
    parts = {
        part: getattr(scenario.adoption, part).model_copy(update={name: _zero(world, part, name) for name in names})
        for part, names in (("people", _PEOPLE), ("stalls", _STALLS))
    }
    adoption = scenario.adoption.model_copy(update={**parts, "homogeneous": True, "deterministic": False})
    return replace(world, scenario=scenario.model_copy(update={"intervention": (alone,), "adoption": adoption}))


def _zero(world: World, part: str, name: str) -> Any:
    return getattr(getattr(world.scenario.adoption, part), name).model_copy(update={"value": 0.0})


def _run(world: World, days: int) -> tuple[AdoptionDay, AdoptionDay]:
    """Return the first state and that after some days."""
    states = islice(AdoptionModel(world).days(), days + 1)
    first = next(states)
    return first, list(states)[-1]


def _team(row: DigitalTeam, world: World) -> Check:
    """One day of visits to half of the households; then who is active after six months."""
    households = sum(place.households for place in world.places)
    members = row.members.model_copy(update={"value": households // 2})
    visits = row.visits_per_member_day.model_copy(update={"value": 1.0})
    days = int(SIX_MONTHS) + 1
    still = still_world(world, row, 1, members=members, visits_per_member_day=visits)
    first, last = _run(still, days)
    reached = last.reached / np.maximum([place.households for place in world.places], 1)
    after, whole = (-np.expm1(-time / row.delay_days.value) for time in (days - 1, SIX_MONTHS))
    check = Check(f"{row.id}: effect", f"{row.effect.value:.5g}", f"intervention {row.id}: effect", "")
    chance = reached * row.effect.value * after / whole
    filled = _binomials(check, last.active - first.active, first.eligible - first.active, chance)
    return replace(filled, statistic=f"{filled.statistic}, {reached.mean():.0%} of households reached")


def _stands(row: StallStands, world: World) -> Iterator[Check]:
    days = (row.end - row.start).days
    still = still_world(world, row, days)
    first, last = _run(still, days + int(_SETTLED * row.delay_days.value) + 1)
    made, used = last.showing - first.showing, last.using - first.using
    for name, gained, who, share in (
        ("make_share", made, first.stalls - first.showing, row.make_share.value),
        ("use_share", used, made, row.use_share.value),
    ):
        check = Check(f"{row.id}: {name}", f"{share:.5g}", f"intervention {row.id}: {name}", "")
        yield _binomials(check, gained, who, np.full(len(made), share))


def _promotion(row: Promotion, world: World) -> Check:
    days = min((row.end - row.start).days, YEAR_DAYS)
    first, last = _run(still_world(world, row, days), days)
    share = float(-np.expm1(-row.people.value * days / YEAR_DAYS))
    check = Check(f"{row.id}: people", f"{share:.5g}", f"intervention {row.id}: people, for {days} days", "")
    gained, who = last.active - first.active, first.eligible - first.active
    return _binomials(check, gained, who, np.full(len(who), share))


def _pensions(row: PensionsToAccounts, world: World) -> Check:
    days = (row.end - row.start).days
    first, last = _run(still_world(world, row, days), days)
    moved = 1 - (1 - last.account_share) / (1 - first.account_share)
    holds = bool(np.allclose(moved, row.share.value, atol=1e-9))
    measured = f"{moved.mean():.5f}"
    return Check(f"{row.id}: share", f"{row.share.value:.5f}", f"intervention {row.id}: share", measured, holds=holds)


def _binomials(check: Check, gained: Any, of: Any, chance: FloatArray) -> Check:
    """Hold a sum of binomials of different chances against its expectation; say the size that it amounts to."""
    who = np.asarray(of, dtype=np.float64)
    mean, spread, total = who * chance, who * chance * (1 - chance), float(np.sum(gained))
    if not mean.sum():
        return nothing(check.name, check.source, "nobody is left to be won over")
    z, p = sum_p(total, float(mean.sum()), float(spread.sum()), float((spread * (1 - 2 * chance)).sum()))
    measured = float(check.expected) * total / float(mean.sum())
    return replace(check, measured=f"{measured:.5g}", statistic=f"z = {z:+.2f}, n = {who.sum():,.0f}", p=p)
