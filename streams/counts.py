"""The worker's counts, read from the partitions' own states at each scrape.

In: the partitions that a worker has. Out: Prometheus counter families by partition.
The counts are part of the state: a restart changes none, and a partition that moves takes its counts along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from schemas.events import DeadLetterReason
from schemas.metrics import METRICS
from streams.fold import PartitionState

_ROWS = {row.name: row for row in METRICS if row.collected and "stream" in row.processes}
_FIELDS = {
    "quetma_processed_records": "processed",
    "quetma_applied_payments": "applied",
    "quetma_dropped_duplicates": "duplicates",
    "quetma_late_records": "late",
    "quetma_fraud_alerts": "alerts",
}


class PartitionCounts(Collector):
    """Collects from whatever partitions the worker has at the moment."""

    def __init__(self, states: Callable[[], Iterable[PartitionState]], end_of: Callable[[int], int | None]) -> None:
        """Args: where the states are; and the end offset of a partition, None if it is not known."""
        self._states = states
        self._end_of = end_of

    def describe(self) -> Iterable[Family]:
        """Return the families without samples."""
        return [_family(name) for name in _ROWS]

    def collect(self) -> Iterator[Family]:
        """Yield all families."""
        states = list(self._states())
        for name, field in _FIELDS.items():
            family = _family(name)
            for state in states:
                family.add_metric([str(state.partition)], getattr(state, field))
            yield family
        letters, lag = _family("quetma_dead_letters"), _family("quetma_lag_records")
        for state in states:
            counts = dict(state.dead_letters)
            for reason in DeadLetterReason:  # one that has not occurred is 0, not absent
                letters.add_metric([str(state.partition), reason], counts.get(reason, 0))
            end = self._end_of(state.partition)
            if end is not None:
                lag.add_metric([str(state.partition)], max(0, end - state.next_offset))
        yield letters
        yield lag


def _family(name: str) -> Any:
    row = _ROWS[name]
    kind = CounterMetricFamily if row.kind == "counter" else GaugeMetricFamily
    return kind(row.name, row.meaning, labels=row.labels)
