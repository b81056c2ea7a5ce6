"""Amounts and places: how much, at which stall, by which tariff.

In: a span. Out: checks. Rounded amounts are no continuous draws: a Kolmogorov–Smirnov test would refuse any that are
right. The bins are the roundings themselves, so that each has the probability between its borders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from producers.simulation.columns import FloatArray, IntArray
from schemas.events import Sector
from schemas.scenario import BILL_SECTORS, Scenario
from schemas.scenario.sectors import Bills, TariffStep
from services.fidelity.check import Check, chi_square, exact, nothing
from services.fidelity.intended import is_business
from services.fidelity.span import Span

FINE_BELOW_VND, FINE_VND, COARSE_VND = 20_000, 500, 1_000
_Law = tuple[IntArray, npt.NDArray[Any]]
_FAR = 9.0
"""Standard deviations of the logarithm beyond which nothing is drawn."""


def amounts(span: Span, sectors: Sequence[Sector]) -> Iterator[Check]:
    """Amounts of each sector that draws them, in the bins of their rounding; bills have checks of their own."""
    for sector in sectors:
        if sector in _LAWS:
            key, law = _LAWS[sector]
            found = span.amount_vnd[span.asked(sector)]
            yield _in_bins(f"amounts: {sector}", f"{sector}.{key}", found, *law(span.scenario))


def _purchases(scenario: Scenario) -> _Law:
    """Return what stalls ask: to 500 VND, from 20 000 VND on to 1 000, cut at both ends."""
    rule = scenario.market_stall
    low, high = rule.amount_min_vnd.value, rule.amount_max_vnd.value
    rounded = np.concatenate(
        [np.arange(FINE_VND, FINE_BELOW_VND, FINE_VND), np.arange(FINE_BELOW_VND, high + COARSE_VND, COARSE_VND)]
    )
    border = (rounded[1:] + rounded[:-1]) / 2
    chance = _between(border, rule.amount_median_vnd.value, rule.amount_sigma.value)
    value, index = np.unique(np.clip(rounded, low, high), return_inverse=True)
    return value, np.bincount(index, weights=chance)


def _fees(scenario: Scenario) -> _Law:
    """Return the fees of dossiers."""
    kinds, weights = zip(*((fee.amount_vnd, fee.weight) for fee in scenario.public_service.fees), strict=True)
    value, index = np.unique(np.array(kinds), return_inverse=True)
    chance = np.bincount(index, weights=np.array(weights))
    return value, chance / chance.sum()


def _school_fees(scenario: Scenario) -> _Law:
    rule = scenario.tuition
    return _log_normal(rule.fee_median_vnd.value, rule.fee_sigma.value, COARSE_VND)


def _orders(scenario: Scenario) -> _Law:
    rule = scenario.ecommerce
    return _log_normal(rule.amount_median_vnd.value, rule.amount_sigma.value, COARSE_VND)


def _log_normal(median: float, sigma: float, step: int) -> _Law:
    """Return the multiples of a step that log-normal draws are rounded to, at least one, and their probabilities."""
    last = int(np.ceil(median * np.exp(_FAR * sigma) / step)) + 1
    rounded = np.arange(1, min(last, 10**6) + 1)
    return rounded * step, _between((rounded[:-1] + 0.5) * step, median, sigma)


def _between(border: npt.NDArray[np.floating[Any]], median: float, sigma: float) -> FloatArray:
    """Return the log-normal probabilities of what borders divide: one more than there are borders."""
    if sigma == 0:
        return np.diff(np.concatenate([[0.0], median < border, [1.0]]))
    below = stats.norm.cdf(np.log(border / median) / sigma)
    return np.asarray(np.diff(np.concatenate([[0.0], below, [1.0]])))


def _co_payments(scenario: Scenario) -> _Law:
    """Return what patients pay: the cost, or the insured one's part of it, both to 1 000 VND."""
    rule = scenario.hospital
    cost, chance = _log_normal(rule.cost_median_vnd.value, rule.cost_sigma.value, COARSE_VND)
    part = np.maximum(np.rint(cost * rule.copayment_share.value / COARSE_VND), 1).astype(np.int64) * COARSE_VND
    insured = rule.insured_share.value
    both = np.concatenate([chance * insured, chance * (1 - insured)])
    value, index = np.unique(np.concatenate([part, cost]), return_inverse=True)
    return value, np.bincount(index, weights=both)


_LAWS: dict[Sector, tuple[str, Callable[[Scenario], _Law]]] = {
    "market_stall": ("amount_median_vnd, amount_sigma, …", _purchases),
    "tuition": ("fee_median_vnd, fee_sigma", _school_fees),
    "hospital": ("cost_median_vnd, copayment_share, …", _co_payments),
    "public_service": ("fees", _fees),
    "ecommerce": ("amount_median_vnd, amount_sigma", _orders),
}
"""Keys of each sector's amounts, and what follows from them: amounts in rising order, and how often each comes."""


def _in_bins(name: str, key: str, found: IntArray, value: IntArray, chance: npt.NDArray[Any]) -> Check:
    """Compare amounts with the values that they can have; none other may come."""
    place = np.minimum(np.searchsorted(value, found), len(value) - 1)
    strange = int((value[place] != found).sum())
    if strange:
        examples = ", ".join(f"{one:,}" for one in np.unique(found[value[place] != found])[:3].tolist())
        return Check(
            name,
            "log-normal, rounded",
            key,
            f"{strange:,} of {len(found):,} are no such amount: {examples}",
            holds=False,
        )
    return chi_square(name, "log-normal, rounded", key, np.bincount(place, minlength=len(value)), chance)


def popularity(span: Span) -> Check:
    """The exponent of Zipf's law by maximum likelihood over all markets, and whether it is within its error.

    A purchase goes to the r-th of M stalls with probability r ** −s / H(M, s): an exponential family in ln r, so that
    the log-likelihood is concave, and its curvature, N · Var(ln r), gives the standard error.
    """
    key, rows = "market_stall.zipf_exponent", span.asked("market_stall")
    if not len(rows):
        return nothing("Zipf exponent", key, "no purchases")
    cells = span.world.cells_of("market_stall")
    sold = np.bincount(span.source[rows], minlength=span.world.source_count)
    total, logs = 0.0, []
    for cell in cells:
        ranks = np.log(np.arange(1, cell.sources + 1))
        here = sold[cell.first_source : cell.first_source + cell.sources]
        total += float(here @ ranks)
        logs.append((float(here.sum()), ranks))
    exponent = information = 0.0
    for _ in range(50):
        mean = information = 0.0
        for count, ranks in logs:
            weight = np.exp(-exponent * ranks)
            first = float(weight @ ranks / weight.sum())
            mean += count * first
            information += count * (float(weight @ ranks**2 / weight.sum()) - first**2)
        step = (mean - total) / information
        exponent = float(np.clip(exponent + np.clip(step, -1, 1), -1, 6))
        if abs(step) < 1e-10:  # noqa: PLR2004  (far below the error)
            break
    error, intended = information**-0.5, span.scenario.market_stall.zipf_exponent.value
    z = (exponent - intended) / error
    measured = f"{exponent:.5g} ± {error:.2g}"
    return Check("Zipf exponent", f"{intended:.5g}", key, measured, f"z = {z:+.2f}", p=float(2 * stats.norm.sf(abs(z))))


def bills(span: Span) -> Iterator[Check]:
    """Bills: each household's is one that the tariff gives for whole units, worked out anew; and so often."""
    for sector in BILL_SECTORS:
        rule: Bills = getattr(span.scenario, sector)
        rows = span.asked(sector)
        household = rows[~is_business(span, sector, rows)] if rule.business else rows
        found = span.amount_vnd[household]
        possible = _possible(rule, int(found.max()) if len(found) else 0)
        place = np.minimum(np.searchsorted(possible, found), len(possible) - 1)
        wrong = int((possible[place] != found).sum())
        law = "all from 1, 2, 3, … units by tariff and VAT"
        yield exact(f"bills: {sector}", law, f"{sector}.tariff, vat", wrong=wrong, of=len(found), what="bills")
        units = np.bincount(place[possible[place] == found], minlength=len(possible))
        chance = _between(np.arange(1, len(possible)) + 0.5, rule.usage_median.value, rule.usage_sigma.value)
        key = f"{sector}.usage_median, usage_sigma"
        yield chi_square(f"units of bills: {sector}", "log-normal, whole units", key, units, chance)


def _possible(rule: Bills, most: int) -> IntArray:
    """Return the bills for 1, 2, 3, … units up to an amount and one beyond, in exact arithmetic."""
    tax = 1 + Fraction(str(rule.vat.value))
    found: list[int] = []
    while not found or found[-1] <= most:
        found.append(round(_net(len(found) + 1, rule.tariff) * tax))
    return np.array(found, dtype=np.int64)


def _net(units: int, tariff: tuple[TariffStep, ...]) -> Fraction:
    """Return the price of whole units by the steps, before tax."""
    price, left, lower = Fraction(0), Fraction(units), Fraction(0)
    for step in tariff:
        width = left if step.up_to is None else min(left, Fraction(str(step.up_to)) - lower)
        price += width * step.vnd_per_unit
        left -= width
        if not left or step.up_to is None:
            break
        lower = Fraction(str(step.up_to))
    return price
