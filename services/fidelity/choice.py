"""Shares: how much is tried cashless, by count and by value, against the probability of every single payment.

In: a span. Out: checks. Given adoption and amounts, each payment's choice is a draw of its own: sums of independent
draws, whose moments are known. Payments that an outage put into cash count as the cashless ones they would have been.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from producers.simulation.columns import CASH, BoolArray, FloatArray, IntArray
from schemas.events import METHODS, SECTORS, Sector
from services.fidelity.check import Check, chi_square, nothing, sum_p
from services.fidelity.intended import cashless_chance
from services.fidelity.span import Span

MODEL = "P(cashless), docs/fidelity.md"
"""(1 − (1 − F)^payers) · accepts · logistic(a + b·ln(amount / 50 000))."""


def shares(span: Span, sectors: Sequence[Sector] = SECTORS) -> Iterator[Check]:
    """Cashless shares of each sector by count and by value, and the methods that they are made up of."""
    for sector in sectors:
        rows = span.asked(sector)
        if not len(rows):
            yield nothing(f"cashless share: {sector}", MODEL, "no payments")
            continue
        tried = tried_cashless(span, rows), cashless_chance(span, sector, rows)
        alike = _repeats(span, rows) if sector == "income" else 1.0
        law = "account_share of pensions and allowances" if sector == "income" else MODEL
        for of, weight in (("count", np.ones(len(rows))), ("value", span.amount_vnd[rows].astype(np.float64))):
            yield _share(f"cashless share by {of}: {sector}", law, weight / weight.sum(), tried, alike)
        if sector != "income":
            yield _methods(span, sector, rows)
        if sector == "electricity":
            yield _big_first(span, rows, tried)


def tried_cashless(span: Span, rows: IntArray) -> BoolArray:
    """Return which first attempts were to be cashless."""
    return np.asarray((span.method[rows] != CASH) | span.labelled("outage_cash")[rows])


def _repeats(span: Span, rows: IntArray) -> float:
    """Return how often the same people are paid. Who has an account has it every month, so draws do not add up."""
    months = np.array([day.date.year * 12 + day.date.month for day in span.days])[span.day[rows]]
    pairs = np.unique(np.stack([span.source[rows], months]), axis=1)
    return float(np.unique(pairs[0], return_counts=True)[1].max())


def _share(name: str, law: str, weight: FloatArray, tried: tuple[BoolArray, FloatArray], alike: float = 1.0) -> Check:
    """Hold a weighted sum of choices against its expectation.

    Args:
        name: of the check.
        law: where the expectation comes from.
        weight: of each payment, summing to 1 or to 0.
        tried: which were tried cashless, and with which probability.
        alike: how many draws of one person are always the same.
    """
    cashless, chance = tried
    spread = chance * (1 - chance)
    found, mean = float(weight @ cashless), float(weight @ chance)
    third = float(weight**3 @ (spread * (1 - 2 * chance)))
    z, p = sum_p(found, mean, alike * float(weight**2 @ spread), alike**2 * third)
    return Check(name, f"{mean:.5f}", law, f"{found:.5f}", f"z = {z:+.2f}, n = {len(weight):,}", p=p)


def _big_first(span: Span, rows: IntArray, tried: tuple[BoolArray, FloatArray]) -> Check:
    """Big bills go cashless first: the share of value is above that of customers, by as much as intended."""
    value = span.amount_vnd[rows].astype(np.float64)
    weight = value / value.sum() - 1 / len(rows)
    check = _share("big bills first: electricity", "amount_slope, business", weight, tried)
    expected = float(weight @ tried[1])
    if expected <= 0:
        return check
    more = float(weight @ tried[0])
    return Check(
        check.name,
        f"value {expected:+.4f} over count",
        check.source,
        f"{more:+.4f}",
        check.statistic,
        check.p,
        more > 0,
    )


def _methods(span: Span, sector: Sector, rows: IntArray) -> Check:
    """The cashless methods by their weights."""
    mix = getattr(span.scenario, sector).cashless.mix.value
    counts = np.bincount(span.method[rows], minlength=len(METHODS))[1:]
    weights = np.array([mix.get(method, 0.0) for method in METHODS[1:]])
    return chi_square(f"methods: {sector}", "by weights", f"{sector}.cashless.mix", counts, weights)
