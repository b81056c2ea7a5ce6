"""Interventions as the adoption model feels them: hazards and factors of a day, and the teams' visits.

In: a world. Out: `Forces`, the same between two days on which an intervention begins or ends; visits, day by day.
A commune named as a place stands for its people and its markets; a market, for its stalls only: what reaches people
does nothing there. Hazards are for one day.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from producers.simulation.binomial import hazard_of
from producers.simulation.calendar import Day
from producers.simulation.columns import FloatArray
from producers.simulation.world import World
from schemas.scenario.interventions import (
    CashShock,
    DigitalTeam,
    PensionsToAccounts,
    Promotion,
    ScamWarning,
    StallStands,
)

YEAR_DAYS = 365.0
HALF_YEAR_DAYS = YEAR_DAYS / 2
Lasting = CashShock | DigitalTeam | PensionsToAccounts | Promotion | ScamWarning | StallStands
_WHOLE = 1e-9
"""What binary fractions may lack to a whole visit."""


@dataclass(frozen=True)
class Forces:
    """What moves people, shape (communes,), and stalls, shape (markets,), besides themselves."""

    people_added: FloatArray
    people_factor: FloatArray
    stalls_added: FloatArray
    stalls_factor: FloatArray
    stands: FloatArray
    """κ: hazard of making a QR by a campaign."""
    starters: FloatArray
    """The part of it by which stalls come to use it, shape (delays, markets)."""
    pensions: FloatArray
    """Hazard of the move of pensions into accounts."""


@dataclass(frozen=True)
class Visits:
    """The teams' visits of a day."""

    wanted: FloatArray
    """Households that they can visit, shape (communes,)."""
    won: FloatArray
    """Share of the eligible inactive adults there whom they win over, shape (delays, communes)."""


class Programmes:
    """The interventions of a world that move adoption."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rows = [row for row in world.scenario.intervention if isinstance(row, Lasting)]
        self._changes = sorted({Day.of(day).number for row in self._rows for day in (row.start, row.end)})
        self._forces: dict[int, Forces] = {}
        self._teams = [_Team(row, world) for row in self._rows if isinstance(row, DigitalTeam)]
        self.team_delays = _delays(team.row for team in self._teams)
        """Mean delays in days of those whom teams win over, each once."""
        self.stand_delays = _delays(row for row in self._rows if isinstance(row, StallStands))
        """Mean delays in days of stalls that a campaign makes use their QR, each once."""

    def forces(self, day: Day) -> Forces:
        """Return what acts on a day."""
        period = bisect_right(self._changes, day.number)
        if period not in self._forces:
            active = [row for row in self._rows if row.start <= day.date < row.end]
            self._forces[period] = _forces(self._world, active, self.stand_delays)
        return self._forces[period]

    def visits(self, day: Day) -> Visits | None:
        """Return the teams' visits of a day; none if no team is at work."""
        teams = [team for team in self._teams if team.start <= day.number < team.end]
        if not teams:
            return None
        wanted = np.zeros(len(self._world.places))
        won = np.zeros((len(self.team_delays), len(self._world.places)))
        for team in teams:
            visits = team.visits(day)
            wanted += visits
            won[self.team_delays.index(team.row.delay_days.value)] += visits * team.won
        return Visits(wanted, np.divide(won, wanted, out=won, where=wanted > 0))


class _Team:
    """One row of teams: its members stay in their communes, spread by households."""

    def __init__(self, row: DigitalTeam, world: World) -> None:
        self.row, self.start, self.end = row, Day.of(row.start).number, Day.of(row.end).number
        households = np.array([place.households for place in world.places]) * world.reached_communes(row.place)
        members = row.members.value * households / max(int(households.sum()), 1)
        self._daily = members * row.visits_per_member_day.value
        self._whole = not world.scenario.adoption.deterministic
        delay = row.delay_days.value
        self.won = min(1.0, row.effect.value / -np.expm1(-HALF_YEAR_DAYS / delay))
        """Share of those reached who become active sooner or later: so that `effect` do within six months."""

    def visits(self, day: Day) -> FloatArray:
        """Return the households that they can visit in each commune; whole, fractions are kept for the next day."""
        if not self._whole:
            return self._daily
        before, after = (np.floor(self._daily * (day.number - self.start + more) + _WHOLE) for more in (0, 1))
        return np.asarray(after - before)


def _delays(rows: Iterable[DigitalTeam | StallStands]) -> tuple[float, ...]:
    return tuple(sorted({row.delay_days.value for row in rows}))


def _forces(world: World, rows: list[Lasting], delays: tuple[float, ...]) -> Forces:
    communes, markets = len(world.places), len(world.markets)
    forces = Forces(
        people_added=np.zeros(communes),
        people_factor=np.ones(communes),
        stalls_added=np.zeros(markets),
        stalls_factor=np.ones(markets),
        stands=np.zeros(markets),
        starters=np.zeros((len(delays), markets)),
        pensions=np.zeros(communes),
    )
    for row in rows:
        people, stalls = world.reached_communes(row.place), world.reached_markets(row.place)
        match row:
            case Promotion():
                forces.people_added[people] += row.people.value / YEAR_DAYS
                forces.stalls_added[stalls] += row.stalls.value / YEAR_DAYS
            case CashShock():
                forces.people_factor[people] *= row.hazard.value
                forces.stalls_factor[stalls] *= row.hazard.value
            case ScamWarning():
                forces.people_factor[people] *= row.hazard.value
            case PensionsToAccounts():
                forces.pensions[people] += _spread_evenly(row.share.value, row)
            case StallStands():
                hazard = _spread_evenly(row.make_share.value, row)
                forces.stands[stalls] += hazard
                forces.starters[delays.index(row.delay_days.value), stalls] += hazard * row.use_share.value
            case DigitalTeam():
                pass  # by visits
    return forces


def _spread_evenly(share: float, row: PensionsToAccounts | StallStands) -> float:
    """Return the hazard of a day by which a share has moved when all days of a row are over."""
    return float(hazard_of(np.array(share))) / (row.end - row.start).days
