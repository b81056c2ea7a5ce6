"""Draws from many discrete distributions at once, by Walker's alias method: one look-up a draw.

In: weights of each distribution. Out: for uniform draws, the outcomes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from producers.simulation.columns import FloatArray, IntArray


class AliasTable:
    """Distributions over 0 … k−1, k of each its own (Vose 1991: "A linear algorithm for generating random numbers
    with a given distribution")."""

    def __init__(self, weights: Sequence[npt.ArrayLike]) -> None:
        """Take the weights of each distribution; they need not sum to one."""
        tables: dict[bytes, tuple[FloatArray, IntArray]] = {}
        chosen = []
        for one in weights:
            array = np.asarray(one, dtype=np.float64)
            key = array.tobytes()
            if key not in tables:
                tables[key] = _vose(array / array.sum() * len(array))
            chosen.append(tables[key])
        self._size = np.array([len(keep) for keep, _ in chosen], dtype=np.int64)
        self._begin = np.concatenate([[0], np.cumsum(self._size)])[:-1].astype(np.int64)
        self._keep = np.concatenate([keep for keep, _ in chosen]) if chosen else np.empty(0)
        self._alias = np.concatenate([alias for _, alias in chosen]) if chosen else np.empty(0, dtype=np.int64)

    def draw(self, distribution: IntArray | int, uniform: FloatArray) -> IntArray:
        """Return outcomes.

        Args:
            distribution: which distribution each draw is from, shape (n,), or one for all.
            uniform: draws in [0, 1), shape (n,).
        """
        return self._drawn(self._size[distribution], self._begin[distribution], uniform)

    def draw_in_turn(self, counts: IntArray, uniform: FloatArray) -> IntArray:
        """Return outcomes of one distribution after the other.

        Args:
            counts: how many draws of each distribution, shape (distributions,), n in all.
            uniform: draws in [0, 1), shape (n,).
        """
        return self._drawn(np.repeat(self._size, counts), np.repeat(self._begin, counts), uniform)

    def _drawn(self, size: IntArray, begin: IntArray, uniform: FloatArray) -> IntArray:
        scaled = uniform * size
        column = scaled.astype(np.int64)  # below the size, however it is rounded: no draw is above 1 - 2**-53
        place = begin + column
        scaled -= column
        return np.where(scaled < self._keep.take(place), column, self._alias.take(place))


def _vose(scaled: FloatArray) -> tuple[FloatArray, IntArray]:
    """Return, for weights of mean 1, the share of each column that it keeps and the outcome of its rest."""
    keep, alias = np.ones(len(scaled)), np.arange(len(scaled))
    rest = scaled.tolist()
    small = [number for number, weight in enumerate(rest) if weight < 1]
    large = [number for number, weight in enumerate(rest) if weight >= 1]
    while small and large:
        less, more = small.pop(), large[-1]
        keep[less], alias[less] = rest[less], more
        rest[more] -= 1 - rest[less]
        if rest[more] < 1:
            small.append(large.pop())
    return keep, alias
