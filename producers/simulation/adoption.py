"""How people and stalls adopt, day by day: the equations of docs/model.md.

In: a world. Out: `AdoptionDay`s, one after the other without end; the first shows the initial state.
Every transition of every cell has one uniform a day, at a place that the world fixes. So no cell's luck depends on
another's state, and what an intervention does not reach stays as it was, to the last count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from producers.simulation.calendar import Day
from producers.simulation.chance import Chance
from producers.simulation.columns import FloatArray, IntArray
from producers.simulation.people import People
from producers.simulation.population import logistic, logit, populate
from producers.simulation.programmes import YEAR_DAYS, Programmes
from producers.simulation.stalls import Stalls
from producers.simulation.world import World

Counts = IntArray | FloatArray
"""Whole numbers, or expectations if the scenario is deterministic."""


@dataclass(frozen=True)
class AdoptionDay:
    """The state at the beginning of a day: communes in order of `World.places`, markets of `World.markets`."""

    day: Day
    adults: Counts
    eligible: Counts
    """Adults with account and smartphone, the active included."""
    active: Counts
    """Adults who pay cashless."""
    reached: Counts
    """Households that teams have visited so far."""
    stalls: Counts
    """By market."""
    showing: Counts
    """Stalls that show a QR, those that use it included."""
    using: Counts
    """Stalls that take payments by it."""
    account_share: FloatArray
    """Share of pensions and allowances paid into accounts, by commune."""
    dossiers_online: FloatArray
    """Share of dossiers handed in online, by commune."""

    @property
    def active_share(self) -> FloatArray:
        """F: share of adults who pay cashless, by commune."""
        return share(self.active, self.adults)

    @property
    def using_share(self) -> FloatArray:
        """v: share of stalls that use a QR, by market."""
        return share(self.using, self.stalls)


def share(part: Counts, whole: Counts) -> FloatArray:
    """Return part / whole; 0 of nothing."""
    return np.divide(part, whole, out=np.zeros(len(whole)), where=np.asarray(whole) > 0)


class AdoptionModel:
    """The adoption of a whole province, whatever the shard."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._population = populate(world)

    def days(self) -> Iterator[AdoptionDay]:
        """Return the days from the start of the scenario, without end; each call begins anew."""
        scenario, population, programmes = self._world.scenario, self._population, Programmes(self._world)
        people = People(population, scenario.adoption, programmes.team_delays)
        stalls = Stalls(population, scenario.adoption, programmes.stand_delays)
        by_hand = np.full(len(self._world.places), 1 - scenario.income.account_share_start.value)
        online, start = self._dossiers_online_start(), Day.of(scenario.start)
        growth = scenario.public_service.online_growth.value / YEAR_DAYS
        day = start
        while True:
            dossiers = logistic(online + growth * (day.number - start.number))
            yield self._seen(day, people, stalls, 1 - by_hand, dossiers)
            forces, visits = programmes.forces(day), programmes.visits(day)
            chance = Chance(self._world.seed, day, scenario.adoption.deterministic)
            active_share, using_share = people.active_share, stalls.using_share
            people.step(using_share, forces, visits, chance)
            stalls.step(active_share, forces, chance)
            by_hand = by_hand * np.exp(-forces.pensions)
            day += 1

    def _dossiers_online_start(self) -> FloatArray:
        """Return the log odds, by commune: the ones known there, else the province's, moved by the commune's lead."""
        scenario, known = self._world.scenario, {one.id: one for one in self._world.scenario.commune}
        odds = logit(np.array(scenario.public_service.online_start.value)) + self._population.shift
        for number, place in enumerate(self._world.places):
            commune = known.get(place.id)
            if commune and commune.dossiers_online_start:
                odds[number] = logit(np.array(commune.dossiers_online_start.value))
        return odds

    def _seen(
        self, day: Day, people: People, stalls: Stalls, account_share: FloatArray, dossiers_online: FloatArray
    ) -> AdoptionDay:
        return AdoptionDay(
            day,
            adults=self._counted(people.in_commune),
            eligible=self._counted(people.eligible.sum(axis=1)),
            active=self._counted(people.active_in_commune),
            reached=self._counted(people.visited),
            stalls=self._counted(stalls.stalls),
            showing=self._counted(stalls.showing),
            using=self._counted(stalls.using),
            account_share=account_share,
            dossiers_online=dossiers_online,
        )

    def _counted(self, count: FloatArray) -> Counts:
        return count if self._world.scenario.adoption.deterministic else count.astype(np.int64)
