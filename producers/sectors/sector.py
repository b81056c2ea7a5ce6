"""The shape of a sector: what it is given, what it makes, and the choices that all sectors share.

In: a world and a day. Out: `Draws`, the payments of that day as columns, in any order; and the QR codes issued.
Every sector is a `SectorModel`, made from a world.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np

from producers.simulation.calendar import HOUR_MS, Day
from producers.simulation.world import FloatArray, IntArray
from schemas.events import METHODS, Sector
from schemas.scenario import HOURS, CashlessChoice

CASH = METHODS.index("cash")
SETTLED, FAILED = 0, 1
NO_BILL = -1
CUSTOMER_DIGITS = 7
DAYS_PER_YEAR = 365.0


@dataclass(frozen=True)
class Draws:
    """Payments as columns of one length. Dtypes are int64; see `schemas.events.Payment` for meanings."""

    source: IntArray
    occurred_at: IntArray
    method: IntArray
    """Index into METHODS."""
    status: IntArray
    """0 settled, 1 failed."""
    amount_vnd: IntArray
    bill: IntArray
    """Year, month and customer of the bill as one number, or NO_BILL."""

    def __len__(self) -> int:
        return len(self.source)


@dataclass(frozen=True)
class IssuedCodes:
    """QR codes that come into use, as columns of one length."""

    source: IntArray
    bill: IntArray
    """As in Draws: NO_BILL for the static code of a stall."""
    amount_vnd: IntArray
    """0 for a static code."""
    issued_at: int
    """UTC epoch milliseconds."""


class SectorModel(Protocol):
    """What makes the payments of one sector. Both methods depend on nothing but their argument and the world."""

    sector: Sector

    def draw(self, day: Day) -> Draws:
        """Return the payments of a day, in any order."""

    def codes(self, day: Day) -> Iterator[IssuedCodes]:
        """Yield the QR codes that come into use on a day."""


def concatenate(parts: Iterable[Draws]) -> Draws:
    """Join draws end to end."""
    listed = list(parts)
    if not listed:
        empty = np.empty(0, dtype=np.int64)
        return Draws(*([empty] * len(fields(Draws))))
    return Draws(*(np.concatenate([getattr(part, f.name) for part in listed]) for f in fields(Draws)))


def bill_code(month: int, customer: IntArray) -> IntArray:
    """Return the number that names a bill within its cell: month, then customer."""
    return np.asarray(month * 10**CUSTOMER_DIGITS + customer, dtype=np.int64)


def logit(share: float) -> float:
    """Return the log odds of a share."""
    return float(np.log(share / (1 - share)))


def moments(random: np.random.Generator, count: int, profile: FloatArray) -> IntArray:
    """Draw times of day in milliseconds after midnight.

    Args:
        random: generator of this purpose.
        count: how many.
        profile: cumulative weights of the 24 hours, ending at 1. Within an hour times are uniform.
    """
    draw = random.random(count)
    hour = np.minimum(np.searchsorted(profile, draw, side="right"), HOURS - 1)
    begin = np.concatenate([[0.0], profile[:-1]])[hour]
    within = (draw - begin) / (profile[hour] - begin)
    return np.asarray(hour * HOUR_MS + np.minimum(within * HOUR_MS, HOUR_MS - 1), dtype=np.int64)


def cumulative(weights: Iterable[float]) -> FloatArray:
    """Return the cumulative distribution of weights, its last value exactly 1."""
    total = np.cumsum(np.asarray(list(weights), dtype=np.float64))
    return np.asarray(total / total[-1])


def choose_method(
    random: np.random.Generator,
    choice: CashlessChoice,
    *,
    share: float,
    years: float,
    relative_amount: FloatArray,
) -> tuple[IntArray, IntArray]:
    """Choose method and status of each payment.

    Args:
        random: generator of this purpose.
        choice: parameters of the sector.
        share: cashless share at the start for an amount at the median.
        years: years since the start; the share drifts in logits.
        relative_amount: amount over the median, per payment.

    Returns:
        Indices into METHODS, and 0 settled or 1 failed.
    """
    odds = logit(share) + choice.drift_per_year.value * years
    probability = 1 / (1 + np.exp(-(odds + choice.amount_slope.value * np.log(relative_amount))))
    count = len(relative_amount)
    cashless = random.random(count) < probability
    mix = cumulative(choice.mix.value.get(method, 0.0) for method in METHODS[1:])
    which = np.minimum(np.searchsorted(mix, random.random(count), side="right"), len(mix) - 1)
    method = np.where(cashless, which + 1, CASH).astype(np.int64)
    failed = cashless & (random.random(count) < choice.failure_rate.value)
    return method, failed.astype(np.int64)


def years_between(start: Day, day: Day) -> float:
    """Return the time between two days in years of 365 days."""
    return (day.number - start.number) / DAYS_PER_YEAR
