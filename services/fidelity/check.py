"""One check: what the scenario intends, what came out, and how likely chance alone makes the difference.

In: counts, sums and their moments. Out: `Check`s, each with a p-value, or with a plain yes or no.
Every p-value is two-sided. `level` says below which one a check fails: see docs/fidelity.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from producers.simulation.columns import FloatArray, IntArray

FALSE_ALARM = 0.001
"""Chance that any check of a report fails although all is well, at most."""
FEWEST_EXPECTED = 25.0
"""Bins of a chi-square test are joined until so many are expected in each."""
Verdict = Literal["pass", "fail", "nothing to check"]


@dataclass(frozen=True)
class Check:
    """A check and its outcome. One without data has neither `p` nor `holds`: it does not count as passed."""

    name: str
    expected: str
    """What the scenario intends."""
    source: str
    """Key of the scenario, or law, from which that follows."""
    measured: str
    statistic: str = ""
    p: float | None = None
    """Chance of so big a difference if the simulator does what is intended."""
    holds: bool | None = None
    """For what must hold exactly."""

    def verdict(self, level: float) -> Verdict:
        """Return the verdict; a p-value that is no number fails."""
        if self.p is None and self.holds is None:
            return "nothing to check"
        return "pass" if self.holds is not False and (self.p is None or self.p >= level) else "fail"


def level(checks: Iterable[Check]) -> float:
    """Return the p-value below which a check fails: Bonferroni, `FALSE_ALARM` over the number of p-values."""
    return FALSE_ALARM / max(1, sum(check.p is not None for check in checks))


def nothing(name: str, source: str, why: str) -> Check:
    """Return a check that finds no data."""
    return Check(name, "-", source, why)


def exact(name: str, expected: str, source: str, *, wrong: int, of: int, what: str) -> Check:
    """Return a check of what must never be otherwise: ``wrong`` of ``of`` are."""
    if not of:
        return nothing(name, source, f"no {what}")
    return Check(name, expected, source, f"{wrong:,} of {of:,} {what} otherwise", f"{wrong:,}", holds=wrong == 0)


def sum_p(total: float, mean: float, variance: float, third: float = 0.0) -> tuple[float, float]:
    """Return z and p of a sum of independent terms, from its moments: Pearson's type III, the normal if not skewed.

    Args:
        total: the sum.
        mean: its expectation.
        variance: its variance; with none, the sum must be the mean.
        third: its third central moment.
    """
    if variance <= 0:
        return 0.0, 1.0 if np.isclose(total, mean) else 0.0
    deviation = np.sqrt(variance)
    z = float((total - mean) / deviation)
    law = stats.pearson3(third / deviation**3)
    return z, float(min(1.0, 2 * min(law.cdf(z), law.sf(z))))


def dispersion_p(count: FloatArray, mean: FloatArray, inverse_shape: float) -> float:
    """Return the p of the squared deviations of negative-binomial counts, all of known mean; Poisson for 0.

    The statistic Σ (N − μ)² / σ², σ² = μ + μ²/shape, has mean n and variance Σ (2 + 6/shape + 1/σ²): a gamma
    law of these two moments, for Poisson counts of large mean the usual chi-square.
    """
    spread = mean + mean**2 * inverse_shape
    size = float(len(count))
    variance = float((2 + 6 * inverse_shape + 1 / spread).sum())
    law = stats.gamma(size**2 / variance, scale=variance / size)
    found = float(((count - mean) ** 2 / spread).sum())
    return float(min(1.0, 2 * min(law.cdf(found), law.sf(found))))


def binomial(name: str, source: str, *, hits: int, of: int, share: float, what: str) -> Check:
    """Return a check of how many of independent trials hit, by the exact binomial test."""
    if not of:
        return nothing(name, source, f"no {what}")
    p = float(stats.binomtest(hits, of, share).pvalue)
    return Check(name, f"{share:.5g}", source, f"{hits / of:.5g}", f"{hits:,} of {of:,} {what}", p=p)


def chi_square(name: str, expected: str, source: str, observed: IntArray, chance: FloatArray) -> Check:
    """Return a chi-square test of counts in ordered bins against their probabilities; none may be where none can."""
    total, stray = int(observed.sum()), int(observed[chance <= 0].sum())
    if stray:
        return Check(name, expected, source, f"{stray:,} of {total:,} where there can be none", holds=False)
    joined, means = _joined(observed, chance * total / chance.sum())
    if len(means) < 2:  # noqa: PLR2004  (one bin says nothing)
        return nothing(name, source, f"{total:,} are too few")
    found = float(((joined - means) ** 2 / means).sum())
    freedom = len(means) - 1
    p = float(stats.chi2.sf(found, freedom))
    return Check(name, expected, source, f"{total:,} in {len(means)} bins", f"χ² = {found:.1f}, df {freedom}", p=p)


def _joined(observed: IntArray, means: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Join neighbouring bins until enough is expected in each; what is left over goes to the last one."""
    room = np.floor(np.cumsum(means) / FEWEST_EXPECTED + 1e-9)
    group = np.unique(np.concatenate([[0.0], room[:-1]]), return_inverse=True)[1]
    joined, expected = (np.bincount(group, weights=one).astype(np.float64) for one in (observed, means))
    while len(expected) > 1 and expected.min() < FEWEST_EXPECTED:
        thin = int(expected.argmin())
        other = thin - 1 if thin else 1
        joined[other] += joined[thin]
        expected[other] += expected[thin]
        joined, expected = np.delete(joined, thin), np.delete(expected, thin)
    return joined, expected
