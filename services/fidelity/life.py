"""What becomes of payments and of their records: failures, retries, reversals, stream faults.

In: a span, for stream faults one whose records were sent. Out: checks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from producers.simulation.columns import CASH, FAILED, NO_BILL, NOTHING, REVERSED, SETTLED, BoolArray, IntArray
from producers.simulation.transmission import DUPLICATE, FAULTS, LATE, MALFORMED, OUT_OF_ORDER, PLAIN
from schemas.events import FAILURE_REASONS, SECTORS, Sector
from services.fidelity.check import Check, binomial, chi_square, exact
from services.fidelity.span import Span

_WAY = "producers.simulation.transmission"


def failures(span: Span, sectors: Sequence[Sector] = SECTORS) -> Iterator[Check]:
    """How often attempts fail, by sector."""
    attempts = (span.method != CASH) & (span.status != REVERSED)
    for sector in sectors:
        of_sector = attempts & span.of_sector(sector)
        own = getattr(span.scenario, sector)
        rate = (own if sector == "income" else own.cashless).failure_rate.value
        key = f"{sector}.{'' if sector == 'income' else 'cashless.'}failure_rate"
        hits, of = int((of_sector & (span.status == FAILED)).sum()), int(of_sector.sum())
        yield binomial(f"failures: {sector}", key, hits=hits, of=of, share=rate, what="attempts")


def afterwards(span: Span) -> Iterator[Check]:
    """Why attempts fail, what payers do then, and what is taken back; days with outages aside for the latter two."""
    life, calm = span.scenario.payment_life, span.calm[span.day]
    failed = span.status == FAILED
    weights = np.array([life.reasons.value.get(reason, 0.0) for reason in FAILURE_REASONS])
    reasons = np.bincount(np.maximum(span.reason[failed], 0), minlength=len(weights))
    yield chi_square("reasons of failures", "by weights", "payment_life.reasons", reasons, weights)
    follow = _repeats(span) & calm & (span.attempt <= life.max_attempts.value)
    again, of = int((follow & (span.method != CASH)).sum()), int(follow.sum())
    key, share = "payment_life.retry_share", life.retry_share.value
    yield binomial("retries", key, hits=again, of=of, share=share, what="failures")
    settled = calm & span.first & (span.method != CASH) & (span.status == SETTLED)
    undone, of = int((calm & (span.status == REVERSED)).sum()), int(settled.sum())
    key, share = "payment_life.reversal_rate", life.reversal_rate.value
    yield binomial("reversals", key, hits=undone, of=of, share=share, what="settled payments")


def chains(span: Span) -> Iterator[Check]:
    """Every purchase ends settled exactly once, and every reference is to what came before it.

    Each failed attempt has one follower, no other has any: so chains are lines, and end with what did not fail.
    """
    law, most = "schemas.events: Payment, STATUSES", span.scenario.payment_life.max_attempts.value
    failed, again, undone = span.status == FAILED, _repeats(span), span.status == REVERSED
    rows = np.flatnonzero(again | undone)
    what = "an earlier payment of the same till, bill and amount"
    yield exact("references", what, law, wrong=_misplaced(span, rows), of=len(rows), what="references")
    followed = _times(span, again)
    wrong = int(((followed != 1) & failed).sum() + ((followed > 0) & ~failed).sum())
    what, of = "each followed by one more, no other by any", int(failed.sum())
    yield exact("failed attempts", what, law, wrong=wrong, of=of, what="failed attempts")
    steps = np.flatnonzero(again & (span.refers >= 0))
    wrong = int((span.attempt[steps] != span.attempt[span.refers[steps]] + 1).sum())
    wrong += int(((span.reason == NOTHING) == failed).sum())
    wrong += int(((span.attempt > most) & (span.method != CASH)).sum())
    what = f"numbered on, cashless up to {most}, a reason for each failure"
    yield exact("attempts", what, "payment_life", wrong=wrong, of=len(steps), what="repeated attempts")
    yield _settled_once(span)
    back = span.refers[undone]
    sound = (back >= 0) & (span.status[back] == SETTLED) & (span.method[back] != CASH)
    wrong = int((~sound).sum()) + int((_times(span, undone) > 1).sum())
    what = "a settled cashless payment, once"
    yield exact("reversals: of what", what, law, wrong=wrong, of=len(back), what="reversals")


def _misplaced(span: Span, rows: IntArray) -> int:
    """Return how many of some rows refer to nothing, or to something that is not theirs or not before them."""
    to = np.maximum(span.refers[rows], 0)
    bad = span.refers[rows] < 0
    for name in ("source", "amount_vnd", "bill", "day"):
        column = getattr(span, name)
        bad |= column[rows] != column[to]
    bad |= (span.sequence[to] >= span.sequence[rows]) | (span.within[to] > span.within[rows])
    return int(bad.sum())


def _settled_once(span: Span) -> Check:
    """As many payments settle as were asked for, and no bill twice."""
    settled, asked = np.flatnonzero(span.status == SETTLED), int(span.first.sum())
    of_bills = settled[span.bill[settled] != NO_BILL]
    bills = np.unique(np.stack([span.source[of_bills], span.bill[of_bills]]), axis=1).shape[1]
    wrong = abs(asked - len(settled)) + len(of_bills) - bills
    law = "payment_life: demand is kept"
    return exact("purchases", "each settled exactly once", law, wrong=wrong, of=asked, what="purchases")


def _repeats(span: Span) -> BoolArray:
    return np.asarray((span.attempt > 1) & (span.status != REVERSED))


def _times(span: Span, referring: BoolArray) -> IntArray:
    """Return how often each row is referred to by some rows."""
    to = span.refers[referring]
    return np.bincount(to[to >= 0], minlength=len(span))


def stream_faults(span: Span) -> Iterator[Check]:
    """Faults of the way: as often as intended, labelled as done, every payment sent once beside its copies."""
    rates = span.scenario.stream_faults
    names = ("duplicate_rate", "out_of_order_rate", "late_rate", "malformed_rate")
    for code, (label, name) in enumerate(zip(FAULTS, names, strict=True), start=PLAIN + 1):
        rows = span.record[span.fault == code]
        count = len(span) if len(span.record) else 0
        key, rate = f"stream_faults.{name}", getattr(rates, name).value
        yield binomial(f"stream: {label}", key, hits=len(rows), of=count, share=rate, what="records")
        done = np.bincount(rows, minlength=len(span)) > 0
        wrong = int((done != span.labelled(label)).sum()) if count else 0
        law = "schemas.events.TRUTH_LABELS"
        yield exact(f"labels: {label}", "as done", law, wrong=wrong, of=count, what="payments")
    copies = (span.fault == DUPLICATE) | (span.fault == MALFORMED)
    once = np.bincount(span.record[~copies], minlength=len(span))
    what, wrong = "one for each payment, beside copies", int((once != 1).sum())
    yield exact("records", what, _WAY, wrong=wrong, of=len(span.record), what="records")
    yield _order(span)


def _order(span: Span) -> Check:
    """Only what is held back or a copy is sent at another time than its own, and never before it."""
    day = span.day[span.record].astype(np.int64)
    at, due = span.sent, span.within[span.record]
    moved = (span.fault == DUPLICATE) | (span.fault == OUT_OF_ORDER) | (span.fault == LATE)
    wrong = int(((at != due) & ~moved).sum() + (at < due).sum())
    wrong += int(((np.diff(at) < 0) & (np.diff(day) == 0)).sum())
    what = "by time, each at its own but what is held back"
    return exact("order of sending", what, _WAY, wrong=wrong, of=len(at), what="records")
