"""How many of a cell move today: the binomial of a uniform, for all cells at once.

In: uniforms, counts, hazards. Out: whole counts, or their expectation.
A count is the inverse of the cumulative distribution at its own uniform. So it takes exactly one uniform whatever
its mean, it rises with that uniform, and no cell's draw ever moves another's.
"""

from __future__ import annotations

import numpy as np

from producers.simulation.columns import FloatArray

_SEARCHED = 20.0
"""Up to this n·h the inverse is searched from 0 upwards, beyond it scipy's inverse is dearer but does not grow."""
_STEPS = 90
"""No search is longer: a binomial is at most a Poisson of mean n·h, whose quantile at 1 - 2**-53 is 70 for 20."""


def quantile(uniform: FloatArray, count: FloatArray, hazard: FloatArray) -> FloatArray:
    """Return how many of each `count` leave by a hazard: ``scipy.stats.binom.ppf(uniform, n, 1 - exp(-hazard))``.

    Args:
        uniform: in [0, 1), one a cell.
        count: whole numbers n, 0 or more.
        hazard: cumulative over the step, 0 to infinity; all leave at infinity.
    """
    with np.errstate(invalid="ignore"):  # of no one, none leave at an infinite hazard: 0 · inf compares as False below
        load = count * hazard
    found = np.zeros_like(load)
    (at,) = (uniform + load >= 1).nonzero()  # nobody leaves below 1 - n·h, which is less than exp(-n·h)
    beyond = load[at] > _SEARCHED
    if beyond.any():
        far, at = at[beyond], at[~beyond]
        found[far] = _inverse(uniform[far], count[far], hazard[far])
    nobody = np.exp(-load.take(at))
    found[at] = _search(uniform.take(at) - nobody, nobody, count.take(at), np.expm1(hazard.take(at)))
    return found


def mean(count: FloatArray, hazard: FloatArray) -> FloatArray:
    """Return the expectation of :func:`quantile`, over the uniform."""
    return -count * np.expm1(-hazard)


def hazard_of(share: FloatArray) -> FloatArray:
    """Return the hazard by which a share leaves; infinite for all."""
    with np.errstate(divide="ignore"):
        return -np.log1p(-np.minimum(share, 1.0))


def _search(rest: FloatArray, term: FloatArray, count: FloatArray, odds: FloatArray) -> FloatArray:
    """Go up from 0 until the terms of the distribution have used up the uniforms; `rest` is what is left of them.

    A term is the one before times (n - k)·odds / (k + 1); `gain` is (n - k)·odds. In place, as this is the hot loop.
    """
    found, gain = np.zeros_like(rest), count * odds
    (at,) = (rest > 0).nonzero()
    rest, term, gain, odds = rest.take(at), term.take(at), gain.take(at), odds.take(at)
    for moved in range(1, _STEPS):
        if not at.size:
            break
        term *= gain
        term /= moved
        rest -= term
        gain -= odds
        found[at] = moved
        (on,) = (rest > 0).nonzero()
        at, rest, term, gain, odds = at.take(on), rest.take(on), term.take(on), gain.take(on), odds.take(on)
    return np.minimum(found, count)  # by rounding, the terms may fall short of a uniform next to 1


def _inverse(uniform: FloatArray, count: FloatArray, hazard: FloatArray) -> FloatArray:
    """Return the same by scipy's continuous inverse, put right to the smallest count whose probability suffices."""
    from scipy.special import bdtr, bdtrik  # noqa: PLC0415  # a third of a second that most processes never need

    share, whole = -np.expm1(-hazard), count.astype(np.int64)
    with np.errstate(invalid="ignore"):
        near = np.ceil(bdtrik(uniform, count, share))
    near = np.fmin(np.fmax(near, 0.0), count)  # these two pass over NaN
    for _ in range(2):
        near -= (near > 0) & (bdtr(near - 1, whole, share) >= uniform)
        near += (near < count) & (bdtr(near, whole, share) < uniform)
    return np.where(share < 1, near, count)
