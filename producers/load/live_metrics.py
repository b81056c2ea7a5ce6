"""A load on /metrics while it runs: read at each scrape from what the recorder counts anyway.

In: a recorder. Out: Prometheus families.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from threading import Lock
from typing import Protocol

import numpy as np
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from producers.load.durations import Durations, slots_of
from producers.load.timeline import Timeline
from schemas.metrics import BUCKETS, families, family

NAMES = (
    "quetma_load_asked_records_per_second",
    "quetma_load_due_records",
    "quetma_load_sent_records",
    "quetma_load_answered_records",
    "quetma_load_failed_records",
    "quetma_load_pacing_seconds",
    "quetma_load_ack_seconds",
)


class Counted(Protocol):
    """What a recorder has counted so far."""

    timeline: Timeline
    errors: Counter[str]
    pacing: Durations
    ack: Durations
    sent_count: int
    answered_count: int

    def asked_in(self, second: int) -> float | None:
        """Return how many records a second asked for."""

    def asked_by_pace(self, second: int) -> float | None:
        """Return how many records the pace asked for in a second, whatever was sent."""


class LoadMetrics(Collector):
    """Scrapes come from another thread: it reads numbers and copies, and changes nothing."""

    def __init__(self, recorder: Counted) -> None:
        self._recorder = recorder
        self._lock = Lock()
        self._asked, self._until = 0.0, 0
        """Records asked for before a second: whole seconds are added once."""

    def describe(self) -> Iterable[Family]:
        """Return the families without samples."""
        return families(NAMES)

    def collect(self) -> Iterator[Family]:
        """Yield all families."""
        asked, due, sent, answered, failed = families(NAMES[:5])
        recorder = self._recorder
        second = int(recorder.timeline.latest)
        asked.add_metric([], recorder.asked_in(second - 1) or 0.0 if second else 0.0)
        due.add_metric([], self._due())
        sent.add_metric([], recorder.sent_count)
        answered.add_metric([], recorder.answered_count)
        for kind, count in sorted(recorder.errors.copy().items()):
            failed.add_metric([kind], count)
        yield from (asked, due, sent, answered, failed)
        yield _histogram("quetma_load_pacing_seconds", recorder.pacing)
        yield _histogram("quetma_load_ack_seconds", recorder.ack)

    def _due(self) -> float:
        """Return how many records have fallen due, whether they could be sent or not."""
        recorder = self._recorder
        latest = recorder.timeline.latest
        with self._lock:
            for second in range(self._until, int(latest)):
                self._asked += recorder.asked_by_pace(second) or 0.0
                self._until = second + 1
            begun = (recorder.asked_by_pace(self._until) or 0.0) * max(latest - self._until, 0.0)
            return max(self._asked + begun, float(recorder.sent_count))


def _histogram(name: str, durations: Durations) -> Family:
    """Return durations by bucket, to the precision of a slot: one in a thousand."""
    running = np.cumsum(durations.counts)
    bounds = slots_of((np.array(BUCKETS[name]) * 1e6).astype(np.int64))
    buckets = [(str(float(bound)), float(running[slot])) for bound, slot in zip(BUCKETS[name], bounds, strict=True)]
    found = family(name)
    found.add_metric([], buckets=[*buckets, ("+Inf", float(running[-1]))], sum_value=durations.seconds)
    return found  # type: ignore[no-any-return]  # the client's families share a base
