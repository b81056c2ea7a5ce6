"""Who of many moves on a day: by chance, each purpose with its own draws, or by expectation.

In: a seed and a day. Out: how many of each cell leave.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from producers.simulation import binomial
from producers.simulation.binomial import hazard_of
from producers.simulation.calendar import Day
from producers.simulation.columns import FloatArray
from producers.simulation.random import generator


@dataclass(frozen=True)
class Chance:
    """The draws of one day."""

    seed: int
    day: Day
    deterministic: bool

    def leave(self, purpose: str, count: FloatArray, hazard: FloatArray) -> FloatArray:
        """Return how many of each count leave by a hazard over the day.

        Args:
            purpose: what it is for; each purpose of a day is asked once.
            count: of any shape, always the same for a purpose: the place of a count is the place of its draw.
                Nothing is drawn if all are 0, which moves no other draw.
            hazard: broadcast to that shape.
        """
        if self.deterministic:
            return binomial.mean(count, hazard)
        if not count.any():
            return np.zeros_like(count)
        uniform = generator(self.seed, "adoption", purpose, day=self.day.number).random(count.size)
        wide = hazard if hazard.shape == count.shape else np.broadcast_to(hazard, count.shape)
        return binomial.quantile(uniform, count.ravel(), wide.ravel()).reshape(count.shape)

    def split(self, purpose: str, count: FloatArray, share: FloatArray) -> FloatArray:
        """Return how many of each count are of a kind that makes up a share of them; arguments as for `leave`."""
        return self.leave(purpose, count, hazard_of(share))
