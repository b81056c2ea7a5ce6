"""The pipeline's figures for the page, from the exporter's own metrics.

In: `Metrics` of the exporter. Out: `Health`; quantiles of latency over the last minute.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

from schemas.metrics import Metrics
from services.page.view import Health
from services.scrape import quantile

WINDOW_SECONDS: Final = 60.0
LATENCY: Final = "quetma_event_to_metric_seconds"
Buckets = list[tuple[float, float]]
"""Upper bound, and how many were at most that."""


class Figures:
    """Reads the exporter's metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._past: deque[tuple[float, Buckets]] = deque()

    def health(self, *, silent_seconds: float, ready: bool) -> Health:
        """Return the figures of this moment."""
        lag = [sample.value for sample in _samples(self._metrics.gauge("quetma_stream_lag_records"))]
        letters = self._metrics.counter("quetma_dead_letter_records")
        recent = self._recent_latency()
        return Health(
            lag=int(sum(lag)) if lag else None,
            dead_letters={
                sample.labels["reason"]: int(sample.value)
                for sample in _samples(letters)
                if sample.name.endswith("_total") and sample.value
            },
            latency_ms={f"p{percent}": _milliseconds(quantile(recent, percent / 100)) for percent in (50, 95, 99)},
            silent_seconds=round(silent_seconds),
            ready=ready,
        )

    def _recent_latency(self) -> Buckets:
        """Return what came into each bucket in the last minute."""
        now, buckets = time.monotonic(), self._latency()
        while len(self._past) > 1 and now - self._past[1][0] > WINDOW_SECONDS:
            self._past.popleft()
        self._past.append((now, buckets))
        before = self._past[0][1]
        return [(upper, count - old) for (upper, count), (_, old) in zip(buckets, before, strict=True)]

    def _latency(self) -> Buckets:
        samples = _samples(self._metrics.histogram(LATENCY))
        return [(float(one.labels["le"]), one.value) for one in samples if one.name.endswith("_bucket")]


def _samples(metric: Any) -> Iterator[Any]:
    for family in metric.collect():
        yield from family.samples


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000)
