"""One-stop shops: the fees of dossiers, at the counter on working days, online on any day.

In: a world, the conditions of a day. Out: the fees paid on that day; those of online dossiers are cashless for sure.
Each dossier has one draw that says up to which share of online dossiers it is handed in at the counter. So when the
share rises dossiers move online, and nothing else changes. Dossiers without a fee are not simulated.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import cast

import numpy as np

from producers.sectors.arrivals import arrivals, mean_a_day, weekdays
from producers.sectors.periods import Periods
from producers.sectors.sector import IssuedCodes, cumulative, hours_of, moments, tills_of, undecided
from producers.simulation.calendar import Day, month_of
from producers.simulation.columns import LUCK, NO_BILL, Demand, join_demand, no_demand, take_demand
from producers.simulation.conditions import Conditions
from producers.simulation.lunar import is_working_day
from producers.simulation.paying import Rule
from producers.simulation.random import generator
from producers.simulation.world import CellSpec, World
from schemas.events import Sector

_ONLINE, _ONLINE_AT = LUCK, LUCK + 1
"""Rows that a dossier has beside its luck until its day: the draw for online, and when on the day it would be."""


class PublicService:
    """The one-stop shops of a world. Implements `producers.sectors.sector.SectorModel`."""

    sector: Sector = "public_service"

    def __init__(self, world: World) -> None:
        self._world = world
        self._parameters = world.scenario.public_service
        self.rule = Rule.of(self._parameters.cashless)
        self._hours = hours_of(world, self._parameters.hours)
        self._online_hours = hours_of(world, self._parameters.online_hours)
        self._fees = np.array([fee.amount_vnd for fee in self._parameters.fees], dtype=np.int64)
        self._fee_weights = cumulative(fee.weight for fee in self._parameters.fees)
        self._cells = world.cells_of(self.sector)
        self._periods = Periods(self._month)

    def demand(self, conditions: Conditions) -> Demand:
        """Return the fees paid on a day."""
        day = conditions.day
        drawn = self._periods.on(day, (month_of(day),))
        if not len(drawn):
            return no_demand()
        share = conditions.adoption.dossiers_online[self._world.commune_of_source[drawn.source]]
        online = drawn.luck[_ONLINE] < share
        at = np.where(online, day.midnight_at + drawn.luck[_ONLINE_AT].astype(np.int64), drawn.occurred_at)
        given = np.where(online, 1.0, np.nan)
        dossiers = Demand(drawn.source, at, drawn.amount_vnd, drawn.bill, given, drawn.luck[:LUCK])
        return dossiers if is_working_day(day) else take_demand(dossiers, online)

    def codes(self, day: Day) -> Iterator[IssuedCodes]:
        """Yield nothing: people scan the code of the counter."""
        return iter(())

    def _month(self, month: Hashable) -> Demand:
        return join_demand(self._dossiers(cell, cast("int", month)) for cell in self._cells)

    def _dossiers(self, cell: CellSpec, month: int) -> Demand:
        """Draw the dossiers with a fee of a cell and month as if all were at the counter and it never closed."""
        rule = self._parameters
        mean = mean_a_day(self._world, cell, rule.dossiers_per_1000_adults_day.value) * rule.paid_share.value
        random = generator(self._world.seed, cell.id, "dossiers", day=month)
        midnight = arrivals(random, month, np.full(len(weekdays(month)), mean))
        count = len(midnight)
        fee = np.searchsorted(self._fee_weights, random.random(count), side="right")
        at_counter, online_at = moments(random, count, self._hours), moments(random, count, self._online_hours)
        return Demand(
            source=tills_of(cell, count),
            occurred_at=midnight + at_counter,
            amount_vnd=self._fees[fee],
            bill=np.full(count, NO_BILL, dtype=np.int64),
            given=undecided(count),
            luck=np.concatenate([random.random((_ONLINE + 1, count)), online_at[None, :]]),
        )
