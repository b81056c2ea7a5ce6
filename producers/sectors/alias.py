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
        size = self._size[distribution]
        scaled = uniform * size
        column = np.minimum(scaled.astype(np.int64), size - 1)
        place = self._begin[distribution] + column
        return np.where(scaled - column < self._keep[place], column, self._alias[place])


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
