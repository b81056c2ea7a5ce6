"""The life of a payment: an attempt settles or fails, is tried again or paid in cash; a settled one may be reversed.

In: payments as they were first tried. Out: the same rows with their status, and new rows behind them.
Every purchase ends settled: demand is kept. All of it happens on the payment's own day.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from producers.simulation.columns import (
    CASH,
    FAILED,
    NOTHING,
    REVERSED,
    SETTLED,
    VIETQR,
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
from producers.simulation.random import further
from schemas.events import FAILURE_REASONS
from schemas.scenario.payment_life import PaymentLife

CASH_AFTER_MS = 5_000
"""From a failed attempt to the notes on the table; assumed."""
DRAWS_PER_ATTEMPT = 4


def live(first: Payments, luck: FloatArray, failure_rate: float, life: PaymentLife, conditions: Conditions) -> Payments:
    """Let payments succeed or fail.

    Args:
        first: what was tried, all settled; its labels are kept.
        luck: shape (LUCK, n), the payments' own draws.
        failure_rate: share of cashless attempts that fail.
        life: the rest of the rules.
        conditions: of the day.
    """
    cashless = first.method != CASH
    failed = np.flatnonzero(cashless & (luck[2] < failure_rate))
    undone = np.flatnonzero(cashless & (luck[2] >= 1 - life.reversal_rate.value * (1 - failure_rate)))
    attempts = _Attempts(first, life, conditions)
    attempts.fail(failed, further(luck[0, failed], DRAWS_PER_ATTEMPT * life.max_attempts.value), failure_rate)
    attempts.reverse(undone, further(luck[0, undone], 1)[0])
    payments = attempts.payments()
    if conditions.swapped is None:
        return payments
    return _with_fraud(payments, attempts.purchase(), luck, conditions.swapped)


@dataclass
class _New:
    """New rows of one kind, as columns."""

    parent: IntArray
    at: IntArray
    method: SmallArray
    status: int
    refers_to: IntArray
    attempt: int
    reason: IntArray
    label: int = NOTHING


class _Attempts:
    """Collects what follows on first attempts."""

    def __init__(self, first: Payments, life: PaymentLife, conditions: Conditions) -> None:
        self._first, self._life, self._conditions = first, life, conditions
        self._status = first.status.copy()
        self._reason: list[tuple[IntArray, IntArray]] = []
        self._new: list[_New] = []
        self._count = len(first)
        self._last_ms = (conditions.day + 1).midnight_at - 1
        self._reasons = np.cumsum([life.reasons.value.get(reason, 0.0) for reason in FAILURE_REASONS])

    def fail(self, rows: IntArray, luck: FloatArray, failure_rate: float) -> None:
        """Let first attempts fail, and follow the payers until they have paid."""
        self._status[rows] = FAILED
        self._reason.append((rows, self._why(luck[0])))
        parent, before, at = rows, rows, self._first.occurred_at[rows]
        for attempt in range(2, self._life.max_attempts.value + 1):
            again, delay, fate, why = luck[(attempt - 1) * DRAWS_PER_ATTEMPT :][:DRAWS_PER_ATTEMPT]
            later = self._within(at - np.log1p(-delay) * self._life.retry_after_seconds.value * 1000)
            tries = again < self._life.retry_share.value
            tries &= ~self._conditions.out(self._first.source[parent], later)
            self._pay_cash(parent[~tries], before[~tries], at[~tries], attempt)
            fails = tries & (fate < failure_rate)
            settles = tries & ~fails
            self._add(parent[settles], later[settles], SETTLED, before[settles], attempt=attempt)
            placed = self._add(
                parent[fails], later[fails], FAILED, before[fails], attempt=attempt, reason=self._why(why[fails])
            )
            parent, before, at, luck = parent[fails], placed, later[fails], luck[:, fails]
        self._pay_cash(parent, before, at, self._life.max_attempts.value + 1)

    def reverse(self, rows: IntArray, luck: FloatArray) -> None:
        """Let settled payments be reversed."""
        delay = -np.log1p(-luck) * self._life.reversal_after_seconds.value * 1000
        at = self._within(self._first.occurred_at[rows] + 1 + delay)
        possible = ~self._conditions.out(self._first.source[rows], at)
        self._add(rows[possible], at[possible], REVERSED, rows[possible])

    def payments(self) -> Payments:
        """Return first attempts and all that followed."""
        first, new = self._first, self._new
        if not new:
            return first
        parent = np.concatenate([part.parent for part in new])
        begins = len(first) + np.concatenate([[0], np.cumsum([len(part.parent) for part in new])])[:-1]
        rows = np.arange(len(parent)) + len(first)
        failed, reasons = (np.concatenate(column) for column in zip(*self._reason, strict=True))
        nothing = np.full(len(failed), NOTHING, dtype=np.int64)
        labelled = [(part, int(begin)) for part, begin in zip(new, begins, strict=True) if part.label != NOTHING]
        return Payments(
            source=np.concatenate([first.source, first.source[parent]]),
            occurred_at=np.concatenate([first.occurred_at, *(part.at for part in new)]),
            amount_vnd=np.concatenate([first.amount_vnd, first.amount_vnd[parent]]),
            bill=np.concatenate([first.bill, first.bill[parent]]),
            method=np.concatenate([first.method, *(part.method for part in new)]),
            status=np.concatenate([self._status, *(np.full(len(part.at), part.status, np.int8) for part in new)]),
            notes=Notes(
                row=np.concatenate([failed, rows]),
                refers_to=np.concatenate([nothing, *(part.refers_to for part in new)]),
                attempt=np.concatenate([nothing * 0 + 1, *(np.full(len(part.at), part.attempt) for part in new)]),
                reason=np.concatenate([reasons, *(part.reason for part in new)]),
            ),
            labels=Labels(
                np.concatenate([first.labels.row, *(np.arange(len(part.at)) + begin for part, begin in labelled)]),
                np.concatenate([first.labels.label, *(np.full(len(part.at), part.label) for part, _ in labelled)]),
            ),
        )

    def purchase(self) -> IntArray:
        """Return, for each payment, the row of the first attempt at its purchase."""
        return np.concatenate([np.arange(len(self._first)), *(part.parent for part in self._new)])

    def _pay_cash(self, parent: IntArray, before: IntArray, at: IntArray, attempt: int) -> None:
        label = label_number("cash_after_failure")
        self._add(parent, self._within(at + CASH_AFTER_MS), SETTLED, before, attempt=attempt, label=label, cash=True)

    def _add(
        self,
        parent: IntArray,
        at: IntArray,
        status: int,
        refers_to: IntArray,
        *,
        attempt: int = 1,
        reason: IntArray | None = None,
        label: int = NOTHING,
        cash: bool = False,
    ) -> IntArray:
        """Add rows; return their numbers."""
        if not len(parent):
            return no_numbers()
        method = self._first.method[parent]
        why = np.full(len(parent), NOTHING, dtype=np.int64) if reason is None else reason
        paid = np.full_like(method, CASH) if cash else method
        self._new.append(_New(parent, at, paid, status, refers_to, attempt, why, label))
        rows = np.arange(len(parent)) + self._count
        self._count += len(parent)
        return rows

    def _why(self, luck: FloatArray) -> IntArray:
        return np.asarray(np.searchsorted(self._reasons, luck * self._reasons[-1], side="right"), dtype=np.int64)

    def _within(self, at: FloatArray | IntArray) -> IntArray:
        """Return whole milliseconds, at the latest the last one of the day."""
        return np.minimum(np.rint(at).astype(np.int64), self._last_ms)


def _with_fraud(payments: Payments, purchase: IntArray, luck: FloatArray, swapped: FloatArray) -> Payments:
    """Label the payments whose payers scanned a swapped code, in all their attempts, and what became of them.

    Args:
        payments: first attempts, and behind them all that followed.
        purchase: of each payment, the row of its first attempt.
        luck: shape (LUCK, n), the first attempts' own draws.
        swapped: chance that a scanned code is a stranger's, by till.
    """
    count = luck.shape[1]
    chance = swapped[payments.source[:count]]
    scanned = np.flatnonzero((payments.method[:count] == VIETQR) & (chance > 0))
    misled = np.zeros(count, dtype=bool)
    misled[scanned] = further(luck[1, scanned], 1)[0] < chance[scanned]
    rows = np.flatnonzero(misled[purchase] & (payments.method == VIETQR))
    labels = payments.labels
    fraud = np.full(len(rows), label_number("fraud"), dtype=np.int64)
    more = Labels(np.concatenate([labels.row, rows]), np.concatenate([labels.label, fraud]))
    return replace(payments, labels=more)
