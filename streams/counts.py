"""The worker's counts, read from the partitions' own states at each scrape.

In: the partitions that a worker has, and when they were made durable. Out: Prometheus families by partition.
The counts are part of the state: a restart changes none, and a partition that moves takes its counts along.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from schemas.events import DeadLetterReason
from schemas.metrics import families, family
from streams.fold import PartitionState

_FIELDS = {
    "quetma_processed_records": "processed",
    "quetma_applied_payments": "applied",
    "quetma_dropped_duplicates": "duplicates",
    "quetma_late_records": "late",
    "quetma_fraud_alerts": "alerts",
}
_OTHERS = ("quetma_dead_letters", "quetma_lag_records", "quetma_last_commit_timestamp_seconds")


class PartitionCounts(Collector):
    """Collects from whatever partitions the worker has at the moment."""

    def __init__(self, states: Callable[[], Iterable[PartitionState]], end_of: Callable[[int], int | None]) -> None:
        """Args: where the states are; and the end offset of a partition, None if it is not known."""
        self._states = states
        self._end_of = end_of
        self._durable_at: dict[int, float] = {}

    def durable(self, partition: int) -> None:
        """Take note that all of a partition is durable that was folded before its flush began."""
        self._durable_at[partition] = time.time()

    def describe(self) -> Iterable[Family]:
        """Return the families without samples."""
        return families([*_FIELDS, *_OTHERS])

    def collect(self) -> Iterator[Family]:
        """Yield all families."""
        states = list(self._states())
        for name, field in _FIELDS.items():
            counts = family(name)
            for state in states:
                counts.add_metric([str(state.partition)], getattr(state, field))
            yield counts
        yield from self._others(states)

    def _others(self, states: Iterable[PartitionState]) -> Iterator[Family]:
        letters, lag, durable = families(_OTHERS)
        for state in states:
            by_reason = dict(state.dead_letters)
            for reason in DeadLetterReason:  # one that has not occurred is 0, not absent
                letters.add_metric([str(state.partition), reason], by_reason.get(reason, 0))
            end = self._end_of(state.partition)
            if end is not None:
                lag.add_metric([str(state.partition)], max(0, end - state.next_offset))
            if state.partition in self._durable_at:
                durable.add_metric([str(state.partition)], self._durable_at[state.partition])
        yield from (letters, lag, durable)
