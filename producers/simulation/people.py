"""People: not eligible → eligible → active, by commune and segment; what teams add on their way from door to door.

In: the day's forces, visits and draws. Out: counts of adults in each state, shape (communes, segments).
Those who are eligible and not active are *unreached*, *reached* (a team was in their household, or is not to come
again), or *won over*: by a team, and about to become active.
"""

from __future__ import annotations

import numpy as np

from producers.simulation.chance import Chance
from producers.simulation.columns import FloatArray
from producers.simulation.population import Population
from producers.simulation.programmes import YEAR_DAYS, Forces, Visits
from schemas.scenario.adoption import Adoption

_GROWING, _ADOPTING, _LAPSING, _REACHED = range(4)
"""Moves drawn together; the last, of those reached who become active by themselves, only where there are any."""


class People:
    """The adults of all communes on one day; `step` moves them to the next."""

    def __init__(self, population: Population, adoption: Adoption, delays: tuple[float, ...]) -> None:
        rates = adoption.people
        self._innovation, self._imitation, self._pull = (
            one.value / YEAR_DAYS for one in (rates.innovation, rates.imitation, rates.market_pull)
        )
        self._pace, self._oldest, self._delays = population.pace, population.oldest, delays
        self._households = population.households
        self.in_commune = population.adults.sum(axis=1)
        """Adults, by commune."""
        self._whole = np.maximum(self.in_commune, 1.0)
        ceiling = population.adults * rates.eligible_ceiling.value
        self._never = population.adults - (ceiling if adoption.deterministic else np.floor(ceiling))
        self._count = np.empty((4, *population.adults.shape))
        self._hazard = np.empty_like(self._count)
        self._hazard[_GROWING] = rates.eligible_growth.value / YEAR_DAYS
        self._hazard[_LAPSING] = rates.lapse.value / YEAR_DAYS
        self.adults = population.adults
        self.active = population.active
        self.active_in_commune = self.active.sum(axis=1)
        """Active adults, by commune."""
        self._outside = population.adults - population.eligible
        self._unreached = population.eligible - population.active
        self._reached = np.zeros_like(self.active)
        self._won = np.zeros((len(delays), *self.active.shape))
        self.visited = np.zeros_like(self._households)
        """Households visited so far, by commune."""

    @property
    def eligible(self) -> FloatArray:
        """Adults with account and smartphone, the active included."""
        return self.adults - self._outside

    @property
    def active_share(self) -> FloatArray:
        """F, by commune."""
        return np.asarray(self.active_in_commune / self._whole)

    def step(self, using_share: FloatArray, forces: Forces, visits: Visits | None, chance: Chance) -> None:
        """Move to the next day.

        Args:
            using_share: v, the share of stalls that use a QR, by commune.
            forces: what acts on the day.
            visits: the teams' visits of the day, if any.
            chance: the day's draws.
        """
        felt = self._innovation + forces.people_added + self._imitation * self.active_share + self._pull * using_share
        self._hazard[_ADOPTING] = self._hazard[_REACHED] = self._pace * (forces.people_factor * felt)[:, None]
        entering = self._move(chance) + self._pension(forces, chance)
        if visits or self.visited.any():
            entering = self._teams(entering, visits, chance)
        self._unreached = self._unreached + entering
        self.active_in_commune = self.active.sum(axis=1)

    def _move(self, chance: Chance) -> FloatArray:
        """Move all by themselves; return who comes to be eligible and inactive."""
        np.maximum(self._outside - self._never, 0.0, out=self._count[_GROWING])
        self._count[_ADOPTING], self._count[_LAPSING], self._count[_REACHED] = (
            self._unreached,
            self.active,
            self._reached,
        )
        moves = len(self._count) if self._reached.any() else _REACHED
        grown, adopted, lapsed, *others = chance.leave("people", self._count[:moves], self._hazard[:moves])
        self._outside = self._outside - grown
        self._unreached = self._unreached - adopted
        self.active = self.active + adopted - lapsed
        for reached in others:
            self._reached = self._reached - reached
            self.active = self.active + reached
        return np.asarray(grown + lapsed)

    def _pension(self, forces: Forces, chance: Chance) -> FloatArray:
        """Return who becomes eligible because the pension is paid into an account."""
        if not forces.pensions.any():
            return np.zeros_like(self._outside)
        paid = chance.leave("pensions", self._outside, forces.pensions[:, None] * self._oldest)
        self._outside = self._outside - paid
        return paid

    def _teams(self, entering: FloatArray, visits: Visits | None, chance: Chance) -> FloatArray:
        """Move those whom teams reach and have reached; return who of those entering lives where none has been."""
        self._activate(chance)
        if visits:
            self._visit(visits, chance)
        share = self.visited / np.maximum(self._households, 1.0)
        known = chance.split("entering visited households", entering, share[:, None])
        self._reached = self._reached + known
        return entering - known

    def _activate(self, chance: Chance) -> None:
        hazard = self._hazard[_ADOPTING]
        for number, delay in enumerate(self._delays):
            started = chance.leave(f"won over, {delay} days", self._won[number], hazard + 1 / delay)
            self._won[number] -= started
            self.active = self.active + started

    def _visit(self, visits: Visits, chance: Chance) -> None:
        left = self._households - self.visited
        today = np.minimum(visits.wanted, left)
        share = np.divide(today, left, out=np.zeros_like(left), where=left > 0)
        met = chance.split("visited", self._unreached, share[:, None])
        self._unreached = self._unreached - met
        self.visited = self.visited + today
        remaining = np.ones_like(share)
        for number, delay in enumerate(self._delays):
            part = np.divide(visits.won[number], remaining, out=np.zeros_like(share), where=remaining > 0)
            won = chance.split(f"won over at a visit, {delay} days", met, part[:, None])
            self._won[number] += won
            met = met - won
            remaining = remaining - visits.won[number]
        self._reached = self._reached + met
