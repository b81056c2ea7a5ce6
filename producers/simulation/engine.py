"""The loop of days: all sectors together, in order of time, numbered at their sources.

In: a world. Out: one `DayOfPayments` after another: payments sorted by time, sequence numbers without gaps, codes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from producers.sectors.bills import UtilityBills
from producers.sectors.market_stall import MarketStalls
from producers.sectors.sector import Draws, IssuedCodes, SectorModel, concatenate
from producers.simulation.calendar import Day
from producers.simulation.world import BILL_SECTORS, IntArray, World


@dataclass(frozen=True)
class DayOfPayments:
    """A simulated day."""

    day: Day
    codes: tuple[IssuedCodes, ...]
    """Come into use at the beginning of the day."""
    payments: Draws
    """Sorted by time; at the same millisecond by source."""
    sequence: IntArray
    """Number of each payment at its source: 1, 2, 3, …"""


def sectors_of(world: World) -> tuple[SectorModel, ...]:
    """Return the sectors that a world has."""
    return (MarketStalls(world), *(UtilityBills(world, sector) for sector in BILL_SECTORS))


def simulate(world: World, *, days: int | None = None) -> Iterator[DayOfPayments]:
    """Yield the days of a scenario, from its start on.

    Args:
        world: the places and tills, with the scenario and the seed.
        days: how many; without end if None.
    """
    sectors = sectors_of(world)
    emitted = np.zeros(world.source_count, dtype=np.int64)
    first = Day.of(world.scenario.start)
    number = 0
    while days is None or number < days:
        day = first + number
        payments = _in_order(concatenate(sector.draw(day) for sector in sectors))
        sequence = _numbered(payments.source, emitted)
        codes = tuple(code for sector in sectors for code in sector.codes(day))
        yield DayOfPayments(day, codes, payments, sequence)
        number += 1


def _in_order(draws: Draws) -> Draws:
    order = np.lexsort((draws.source, draws.occurred_at))
    return Draws(*(getattr(draws, name)[order] for name in draws.__dataclass_fields__))


def _numbered(source: IntArray, emitted: IntArray) -> IntArray:
    """Number payments at their sources, after the ``emitted`` ones, which are brought up to date."""
    order = np.argsort(source, kind="stable")
    grouped = source[order]
    counts = np.bincount(source, minlength=len(emitted))
    begin = np.concatenate([[0], np.cumsum(counts)[:-1]])
    sequence = np.empty(len(source), dtype=np.int64)
    sequence[order] = np.arange(len(source)) - begin[grouped] + emitted[grouped] + 1
    emitted += counts
    return sequence
