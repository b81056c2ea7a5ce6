"""Demand: when people pay, how often, and how Tết and the moon move it.

In: spans. Out: checks. All count first attempts: what was asked for, whatever became of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from scipy import stats

from producers.simulation.columns import FloatArray
from schemas.events import SECTORS, Sector
from schemas.scenario.interventions import Tet
from services.fidelity.check import Check, dispersion_p, nothing, sum_p
from services.fidelity.intended import Dated, mean_counts, reached_cells, rescaled, times_of_day
from services.fidelity.span import Span

BY_CHANCE: tuple[Sector, ...] = ("market_stall", "hospital", "public_service", "ecommerce")
"""Sectors that people come to by chance; the others follow the calendar of bills and incomes."""
MOVED_BY_TET: tuple[Sector, ...] = ("market_stall", "ecommerce")
MANY = 1_000
"""From so many times on the asymptotic law of Kolmogorov's statistic is as good as the exact one, and fast."""


def arrivals(span: Span, sectors: Sequence[Sector] = SECTORS) -> Iterator[Check]:
    """Times of day: given its count a day's times are independent draws of its profile, so all of one can be pooled.

    Each time is put through its own cumulative intensity, which makes them uniform: one Kolmogorov–Smirnov test for
    each profile of the markets and each other sector. Days with an outage are left out: it moves payments.
    """
    for sector in sectors:
        rows = span.asked(sector)
        rows = rows[span.calm[span.day[rows]]]
        if not len(rows):
            yield nothing(f"arrivals: {sector}", "hours", "no payments on days without an outage")
        names = [cell.hours or sector for cell in span.world.cells]
        known, profile = np.unique(names, return_inverse=True)
        of_row = profile[span.world.cell_of_source[span.source[rows]]]
        for number in np.unique(of_row).tolist():
            name = str(known[number])
            title, key = (sector, f"{sector}.hours") if name == sector else (f"{sector}, {name}", f"hours.{name}")
            yield _uniform(f"arrivals: {title}", key, rescaled(span, sector, rows[of_row == number]))


def _uniform(name: str, key: str, times: FloatArray) -> Check:
    found = stats.kstest(times, "uniform", method="asymp" if len(times) > MANY else "exact")
    statistic = f"KS D = {found.statistic:.2g}"
    return Check(name, "uniform after rescaling", key, f"{len(times):,} times", statistic, p=float(found.pvalue))


def counts(span: Span, sector: Sector, name: str = "") -> Iterator[Check]:
    """Daily counts of cells: their mean, and their spread, which tells a gamma effect of the day from plain chance."""
    _, found = span.counts(sector)
    mean = mean_counts(span, sector)
    keep = mean > 0
    stray = int(found[~keep].sum())
    found, mean = found[keep], mean[keep]
    title = name or sector
    if not len(mean):
        yield nothing(f"counts: {title}", sector, "no cell expects any")
        return
    inverse = 1 / span.scenario.market_stall.day_shape.value if sector == "market_stall" else 0.0
    check = _mean_count(title, found, mean, inverse)
    yield replace(check, holds=not stray, measured=check.measured + (f", {stray:,} where none are" if stray else ""))
    fano = float(((found - mean) ** 2).sum() / mean.sum())
    intended = 1 + float((mean**2).sum() / mean.sum()) * inverse
    law = "1 + mean / day_shape, gamma-Poisson" if inverse else "1, Poisson"
    statistic = f"Fano {fano:.4g}, {len(mean):,} cell-days"
    p = dispersion_p(found, mean, inverse)
    yield Check(f"Fano factor: {title}", f"{intended:.4g}", law, f"{fano:.4g}", statistic, p=p)


def _mean_count(title: str, found: FloatArray, mean: FloatArray, inverse: float) -> Check:
    """Hold the sum of negative-binomial counts against its expectation."""
    variance = mean + mean**2 * inverse
    third = variance * (1 + 2 * mean * inverse)
    total = float(mean.sum())
    z, p = sum_p(float(found.sum()), total, float(variance.sum()), float(third.sum()))
    return Check(f"counts: {title}", f"{total:,.0f}", "rates × days", f"{found.sum():,.0f}", f"z = {z:+.2f}", p=p)


def dated_factors(span: Span, sector: Sector, kind: type[Dated]) -> Iterator[Check]:
    """Tết and lunar market days: purchases on their days against those on all others, each over what it would be.

    The weekday's and all other factors are divided out; so only the factor itself is left, whatever the level.
    """
    numbers, found = span.counts(sector)
    inverse = 1 / span.scenario.market_stall.day_shape.value if sector == "market_stall" else 0.0
    for row in span.scenario.intervention:
        if not isinstance(row, kind):
            continue
        reached = reached_cells(span, row)[numbers]
        times = np.array([times_of_day(row, day) for day in span.days])
        base = mean_counts(span, sector, but=row)[:, reached]
        if (times == 1.0).all():
            yield nothing(f"{row.id}: {sector}", f"intervention {row.id}", "none of its days")
        for factor in dict.fromkeys(times[times != 1.0].tolist()):
            days = "days before" if isinstance(row, Tet) and factor == row.factor.value else "its days"
            check = Check(f"{row.id}: {sector}, {days}", f"{factor:.4g}", f"intervention {row.id}", "")
            mean = base * np.where(times == factor, factor, 1.0)[:, None]
            inside, outside = ((mean[of], base[of], found[of][:, reached]) for of in (times == factor, times == 1.0))
            yield _ratio(check, factor, inside, outside, inverse)


_Days = tuple[FloatArray, FloatArray, FloatArray]
"""Of some days and cells: mean counts, what they would be without the factor, counts."""


def _ratio(check: Check, factor: float, inside: _Days, outside: _Days, inverse: float) -> Check:
    """Fill in the ratio of counts, each over what would be without the factor; its error by the delta method."""
    if not (inside[1].sum() and outside[1].sum()):
        return nothing(check.name, check.source, "no such days, or nothing to compare them with")
    one, other = (float(found.sum() / base.sum()) for _, base, found in (inside, outside))
    measured = one / other if other else np.inf
    if not factor:
        return replace(check, measured=f"{measured:.4g}", holds=measured == 0)
    error = sum(float((mean + mean**2 * inverse).sum() / mean.sum() ** 2) for mean, _, _ in (inside, outside))
    z = float(np.log(max(measured, 1e-12) / factor) / np.sqrt(error))
    p = float(2 * stats.norm.sf(abs(z)))
    return replace(check, measured=f"{measured:.4g}", statistic=f"z = {z:+.2f}", p=p)
