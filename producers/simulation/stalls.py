"""Stalls: no QR → show a QR → use it, by market; what campaigns add.

In: the day's forces and draws. Out: counts of stalls in each state, shape (markets,).
Those that show a QR and do not use it are *idle*, or *starters*: made one by a campaign, and about to use it.
"""

from __future__ import annotations

import numpy as np

from producers.simulation.chance import Chance
from producers.simulation.columns import FloatArray
from producers.simulation.population import Population
from producers.simulation.programmes import YEAR_DAYS, Forces
from schemas.scenario.adoption import Adoption

_SHOWING, _STARTING, _LAPSING = range(3)


class Stalls:
    """The stalls of all markets on one day; `step` moves them to the next."""

    def __init__(self, population: Population, adoption: Adoption, delays: tuple[float, ...]) -> None:
        rates = adoption.stalls
        self._innovation, self._imitation, self._pull, self._activation, lapse = (
            one.value / YEAR_DAYS
            for one in (rates.innovation, rates.imitation, rates.customer_pull, rates.activation, rates.lapse)
        )
        self._commune, self._communes, self._delays = population.commune_of_market, len(population.households), delays
        self.stalls, self.showing, self.using = population.stalls, population.showing, population.using
        self._starters = np.zeros((len(delays), len(self.stalls)))
        self._in_commune = np.maximum(self._sums(self.stalls), 1.0)
        self._hazard = np.empty((3, len(self.stalls)))
        self._hazard[_STARTING], self._hazard[_LAPSING] = self._activation, lapse

    @property
    def using_share(self) -> FloatArray:
        """v of all stalls of a commune, by commune; 0 where there are none."""
        return self._sums(self.using) / self._in_commune

    def _sums(self, by_market: FloatArray) -> FloatArray:
        return np.bincount(self._commune, weights=by_market, minlength=self._communes).astype(np.float64)

    def step(self, active_share: FloatArray, forces: Forces, chance: Chance) -> None:
        """Move to the next day.

        Args:
            active_share: F, the share of adults who are active, by commune.
            forces: what acts on the day.
            chance: the day's draws.
        """
        seen = self.using / np.maximum(self.stalls, 1.0)
        felt = (
            self._innovation + forces.stalls_added + self._imitation * seen + self._pull * active_share[self._commune]
        )
        self._hazard[_SHOWING] = forces.stalls_factor * felt + forces.stands
        idle = self.showing - self.using - self._starters.sum(axis=0)
        count = np.stack([self.stalls - self.showing, idle, self.using])
        made, started, lapsed = chance.leave("stalls", count, self._hazard)
        started = started + self._campaigns(made, forces, chance)
        self.showing = self.showing + made
        self.using = self.using + started - lapsed

    def _campaigns(self, made: FloatArray, forces: Forces, chance: Chance) -> FloatArray:
        """Split off those of the QRs made today that campaigns will bring to use; return the starters of today."""
        started, remaining = np.zeros_like(made), self._hazard[_SHOWING].copy()
        for number, delay in enumerate(self._delays):
            waiting, willing = self._starters[number], forces.starters[number]
            if waiting.any():
                begun = chance.leave(
                    f"starters, {delay} days", waiting, np.full_like(made, self._activation + 1 / delay)
                )
                started += begun
                waiting -= begun
            if willing.any():
                part = np.divide(willing, remaining, out=np.zeros_like(made), where=remaining > 0)
                joined = chance.split(f"made by a campaign, {delay} days", made, part)
                waiting += joined
                made = made - joined
                remaining = remaining - willing
        return started
