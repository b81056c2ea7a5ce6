"""Which interventions are in force on a day.

In: a scenario, a day. Out: their number by kind.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter

from producers.simulation.calendar import Day
from producers.simulation.conditions import meets, tet_factor
from schemas.scenario import Scenario
from schemas.scenario.actions import ACTIONS
from schemas.scenario.interventions import Intervention, LunarMarketDays, Outage, Tet


def in_force(scenario: Scenario, day: Day) -> dict[str, int]:
    """Return how many interventions of each kind act on a day, all kinds named; an outage acts on each day it touches.

    Tết acts where its factor is not 1.
    """
    found: Counter[str] = Counter(row.kind for row in scenario.intervention if _acts(row, day))
    return {kind: found[kind] for kind in ACTIONS}


def _acts(row: Intervention, day: Day) -> bool:
    match row:
        case Tet():
            return tet_factor(row, day) != 1.0
        case LunarMarketDays():
            return meets(row, day)
        case Outage():
            return row.start.date() <= day.date and row.end > dt.datetime.combine(day.date, dt.time())
        case _:
            return row.start <= day.date < row.end
