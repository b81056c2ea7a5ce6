"""Durations of very many records, kept as HdrHistogram keeps them and as cheap to record as numpy can.

In: arrays of durations in seconds. Out: quantiles, and an `HdrHistogram`.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from hdrh.histogram import HdrHistogram

Floats = npt.NDArray[np.float64]

DIGITS: Final = 3
LOWEST_US: Final = 1
HIGHEST_US: Final = 24 * 3600 * 1_000_000
"""Durations above a day count as a day."""
TOGETHER: Final = 512
"""So many are counted at a time: for few, numpy's calls cost more than the counting."""
_HALF_BITS: Final = 10
_HALF: Final = 1 << _HALF_BITS
"""Half of a bucket's slots, as HdrHistogram has them for three digits."""
_MASK: Final = 2 * _HALF - 1


def empty() -> HdrHistogram:
    """Return a histogram of microseconds with nothing in it."""
    return HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)


SLOTS: Final = int(empty().counts_len)


def slots_of(micros: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the slot of each value, as HdrHistogram counts them. Values are from 0 to `HIGHEST_US`."""
    bits = np.frexp((micros | _MASK).astype(np.float64))[1].astype(np.int64)  # exact below 2**53
    bucket = bits - (_HALF_BITS + 1)
    slots: npt.NDArray[np.int64] = (bucket << _HALF_BITS) + (micros >> bucket)
    return slots


def _highest_values() -> npt.NDArray[np.int64]:
    """Return the highest value of each slot, which is what HdrHistogram says of a quantile in it."""
    slots = np.arange(SLOTS, dtype=np.int64)
    bucket = np.maximum((slots >> _HALF_BITS) - 1, 0)
    within = slots - (bucket << _HALF_BITS)
    highest: npt.NDArray[np.int64] = ((within + 1) << bucket) - 1
    return highest


HIGHEST_OF_SLOT: Final = _highest_values()


class Durations:
    """Counts by slot. `add` takes microseconds of time for a thousand durations, as for one: few wait for others.

    One thread adds; any thread may read.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(SLOTS, np.int64)
        self._sum = 0.0
        self._mark = self._counts.copy()
        self._lock = Lock()
        self._added: list[Floats] = []
        self._added_count = 0

    def add(self, seconds: Floats) -> None:
        """Record durations in seconds; what is below 0 counts as 0."""
        with self._lock:
            self._added.append(seconds)
            self._added_count += len(seconds)
            if self._added_count >= TOGETHER:
                self._count()

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """How many durations are in each slot."""
        with self._lock:
            self._count()
            return self._counts.copy()

    @property
    def seconds(self) -> float:
        """Sum of all durations."""
        with self._lock:
            self._count()
            return self._sum

    def _count(self) -> None:
        """Count what has been added."""
        if not self._added:
            return
        micros = np.rint(np.concatenate(self._added) * 1e6)
        np.clip(micros, 0, HIGHEST_US, out=micros)
        np.add.at(self._counts, slots_of(micros.astype(np.int64)), 1)
        self._sum += float(micros.sum()) / 1e6
        self._added, self._added_count = [], 0

    def since_mark(self, percentiles: Sequence[float]) -> list[float | None]:
        """Return percentiles, in ms, of what was added since this was called last."""
        counts = self.counts
        new, self._mark = counts - self._mark, counts
        return percentiles_ms(new, percentiles)

    def histogram(self) -> HdrHistogram:
        """Return the same as an HdrHistogram."""
        histogram, counts = empty(), self.counts
        for slot in np.flatnonzero(counts):
            histogram.record_value(histogram.get_value_from_index(int(slot)), int(counts[slot]))
        return histogram


def percentiles_ms(counts: npt.NDArray[np.int64], percentiles: Sequence[float]) -> list[float | None]:
    """Return percentiles of counts by slot, by HdrHistogram's own rule, in ms; None where there are none."""
    running = np.cumsum(counts)
    total = int(running[-1])
    if total == 0:
        return [None] * len(percentiles)
    wanted = [max(int(percentile * total / 100 + 0.5), 1) for percentile in percentiles]
    return [float(micros) / 1000 for micros in HIGHEST_OF_SLOT[np.searchsorted(running, wanted)]]


def encoded(histogram: HdrHistogram) -> str:
    """Return a histogram as text: HdrHistogram V2, compressed, base64."""
    text: Any = histogram.encode()
    return text.decode("ascii") if isinstance(text, bytes) else str(text)


def decoded(text: str) -> HdrHistogram:
    """Return the histogram of a text."""
    return HdrHistogram.decode(text)
