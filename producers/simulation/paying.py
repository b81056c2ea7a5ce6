"""Demand to payments: who pays cashless, by which method, and what becomes of it.

In: the demand of one sector on a day, its rule, the day's conditions. Out: `Payments`, not yet in order.
The model (docs/model.md): P(cashless) = (1 − (1 − F)^payers) · accepts · logistic(a + b·ln(amount / 50 000)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from producers.simulation.columns import (
    CASH,
    SETTLED,
    Demand,
    FloatArray,
    IntArray,
    Labels,
    Notes,
    Payments,
    SmallArray,
    label_number,
    no_numbers,
)
from producers.simulation.conditions import Conditions
from producers.simulation.payment_life import live
from producers.simulation.random import further
from producers.simulation.world import World
from schemas.events import METHODS
from schemas.scenario.payment_life import PaymentLife
from schemas.scenario.sectors import CashlessChoice

REFERENCE_VND = 50_000
"""The amount for which a rule's preference is given."""


@dataclass(frozen=True)
class Rule:
    """How one sector's demand is paid, as numbers."""

    preference: float
    slope: float
    payers: int
    mix: FloatArray
    """Cumulative weights of the cashless methods."""
    failure_rate: float

    @classmethod
    def of(cls, choice: CashlessChoice) -> Rule:
        """Read the rule of a sector from the scenario."""
        weights = np.cumsum([choice.mix.value.get(method, 0.0) for method in METHODS[1:]])
        return cls(
            choice.preference.value,
            choice.amount_slope.value,
            choice.payers.value,
            weights / weights[-1],
            choice.failure_rate.value,
        )

    @classmethod
    def transfer(cls, failure_rate: float) -> Rule:
        """Return the rule of what goes into accounts by bank transfer, with a probability that the sector gives."""
        weights = np.cumsum([float(method == "bank_transfer") for method in METHODS[1:]])
        return cls(0.0, 0.0, 1, weights, failure_rate)


def pay(demand: Demand, rule: Rule, life: PaymentLife, world: World, conditions: Conditions) -> Payments:
    """Decide how a sector's demand of a day is paid.

    Args:
        demand: what there is to pay.
        rule: the sector's.
        life: failures, retries, reversals.
        world: whose tills they are.
        conditions: of the day.

    Returns:
        First the demand, row by row, as it was paid at first; then repeated attempts, cash and reversals.
    """
    cashless = demand.luck[0] < probability(demand, rule, world, conditions)
    method = np.where(cashless, 1 + _which(rule.mix, demand.luck[1]), CASH).astype(np.int8)
    at, method, labels = _through_outages(demand, method, conditions)
    settled = np.full(len(demand), SETTLED, dtype=np.int8)
    none = no_numbers()
    first = Payments(
        demand.source, at, demand.amount_vnd, demand.bill, method, settled, Notes(none, none, none, none), labels
    )
    return live(first, demand.luck, rule.failure_rate, life, conditions)


def probability(demand: Demand, rule: Rule, world: World, conditions: Conditions) -> FloatArray:
    """Return the probability that each payment is cashless, outages aside."""
    commune, source = world.commune_of_source, demand.source
    able = 1 - (1 - conditions.active_share) ** rule.payers
    possible, moved = able[commune] * conditions.accepts, conditions.choice_logits[commune]  # by till: they are fewer
    amount = np.log(demand.amount_vnd / REFERENCE_VND)
    odds = rule.preference + rule.slope * amount + moved.take(source)
    chance = possible.take(source) / (1 + np.exp(-odds))
    return np.where(np.isnan(demand.given), chance, demand.given)


def _which(mix: FloatArray, luck: FloatArray) -> SmallArray:
    """Return the index of each draw in cumulative weights; they are few, so comparing beats a search."""
    which = np.zeros(len(luck), dtype=np.int8)
    for weight in mix[:-1]:
        which += luck >= weight
    return which


def _through_outages(demand: Demand, method: SmallArray, conditions: Conditions) -> tuple[IntArray, SmallArray, Labels]:
    """Take cashless payments out of outages: later on the same day, or in cash at once. Demand is kept."""
    at = demand.occurred_at
    rows: list[IntArray] = []
    numbers: list[IntArray] = []
    for outage in conditions.outages:
        inside = (at >= outage.begin_at) & (at < outage.end_at) & outage.sources[demand.source] & (method != CASH)
        hit = np.flatnonzero(inside)
        if not len(hit):
            continue
        at, method = at.copy(), method.copy()
        later = _postponed(demand.luck[2, hit], outage.end_at, outage.retry_seconds)
        again = (later < (conditions.day + 1).midnight_at) & ~conditions.out(demand.source[hit], later)
        at[hit[again]] = later[again]
        method[hit[~again]] = CASH
        rows.append(hit)
        numbers.append(np.where(again, label_number("outage_retry"), label_number("outage_cash")))
    if not rows:
        return at, method, Labels(no_numbers(), no_numbers())
    return at, method, Labels(np.concatenate(rows), np.concatenate(numbers))


def _postponed(luck: FloatArray, end_at: int, mean_seconds: float | None) -> IntArray:
    """Return when payments are tried again; beyond all days where nobody tries."""
    if mean_seconds is None:
        return np.full(len(luck), np.iinfo(np.int64).max, dtype=np.int64)
    return np.asarray(end_at + np.rint(-np.log1p(-further(luck, 1)[0]) * mean_seconds * 1000), dtype=np.int64)
