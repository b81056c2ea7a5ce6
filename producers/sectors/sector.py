"""The shape of a sector: what it is given, what it makes, and the draws that sectors share.

In: a world, the conditions of a day. Out: `Demand`, what there is to pay on that day; and the QR codes issued.
Every sector is a `SectorModel`, made from a world. It says who pays what and when; how it is paid is decided for all
sectors alike in `producers.simulation.paying`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from producers.sectors.alias import AliasTable
from producers.simulation.calendar import HOUR_MS, Day
from producers.simulation.columns import LUCK, Demand, FloatArray, IntArray
from producers.simulation.conditions import Conditions
from producers.simulation.paying import Rule
from producers.simulation.world import CellSpec, World
from schemas.events import Sector
from schemas.types import MAX_PAYMENT_VND

CUSTOMER_DIGITS = 7
ROUND_VND = 1_000
"""Prices outside markets are multiples of it."""


@dataclass(frozen=True)
class IssuedCodes:
    """QR codes that come into use, as columns of one length: of the bills of one till, or static ones of many."""

    source: IntArray
    bill: IntArray
    """As in Demand: NO_BILL for the static code of a counter."""
    amount_vnd: IntArray
    """0 for a static code."""
    issued_at: int
    """UTC epoch milliseconds."""


class SectorModel(Protocol):
    """What makes the demand of one sector. Nothing but the world and the arguments changes what it returns."""

    sector: Sector
    rule: Rule
    """How the demand is paid."""

    def demand(self, conditions: Conditions) -> Demand:
        """Return what there is to pay on a day, in order of cells, in any order of time."""

    def codes(self, day: Day) -> Iterator[IssuedCodes]:
        """Yield the codes of bills that are issued on a day."""


def bill_code(period: int, customer: IntArray) -> IntArray:
    """Return the number that names a bill within its cell: period (such as 202511), then customer from 1 on."""
    return np.asarray(period * 10**CUSTOMER_DIGITS + customer, dtype=np.int64)


def moments(random: np.random.Generator, count: int, hours: AliasTable) -> IntArray:
    """Draw times of day in milliseconds after midnight.

    Args:
        random: generator of this purpose.
        count: how many.
        hours: the distribution of the 24 hours. Within an hour times are uniform.
    """
    hour, within = random.random((2, count))
    return np.asarray(hours.draw(0, hour) * HOUR_MS + (within * HOUR_MS).astype(np.int64))


def cumulative(weights: Iterable[float]) -> FloatArray:
    """Return the cumulative distribution of weights, its last value exactly 1."""
    total = np.cumsum(np.asarray(list(weights), dtype=np.float64))
    return np.asarray(total / total[-1])


def log_normal_vnd(random: np.random.Generator, count: int, median: float, sigma: float) -> IntArray:
    """Draw log-normal amounts to `ROUND_VND`, at least one of it, at most what a payment may be."""
    raw = median * np.exp(sigma * random.standard_normal(count))
    steps = np.clip(np.rint(raw / ROUND_VND), 1, MAX_PAYMENT_VND // ROUND_VND)
    return np.asarray(steps, dtype=np.int64) * ROUND_VND


def luck(random: np.random.Generator, count: int) -> FloatArray:
    """Draw what payments bring along, shape (LUCK, count)."""
    return random.random((LUCK, count))


def undecided(count: int) -> FloatArray:
    """Return the column `given` for payments that adoption decides."""
    return np.full(count, np.nan)


def hours_of(world: World, name: str) -> AliasTable:
    """Return the distribution of an hour profile of the scenario."""
    return AliasTable([world.scenario.hours[name].value])


def scaled(world: World, count: float) -> int:
    """Return how many of something are simulated."""
    return round(count * world.scenario.scale.value)


def tills_of(cell: CellSpec, count: int) -> IntArray:
    """Return the column `source` of a cell with one till."""
    return np.full(count, cell.first_source, dtype=np.int64)
