"""The one table of metrics: name, type, labels, unit in the name, meaning. All else reads it.

In: a registry of prometheus-client, injected. Out: the metric objects of one process, by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from schemas.metric_rows.load import LOAD
from schemas.metric_rows.producer import PRODUCER
from schemas.metric_rows.row import Kind, Metric, Process
from schemas.metric_rows.serve import SERVE
from schemas.metric_rows.stream import STREAM

LATENCY_BUCKETS = (
    0.01,
    0.025,
    0.05,
    0.075,
    0.1,
    0.15,
    0.2,
    0.25,
    0.3,
    0.4,
    0.5,
    0.75,
    1,
    1.5,
    2.5,
    5,
    10,
    30,
)
"""Upper bounds in seconds; dense around the objective of half a second."""

MAX_LOAD_ERROR_KINDS = 32
"""Kinds of failure that a load tells apart: statuses of HTTP, errors of Kafka. `OTHER_ERRORS` is one of them."""
OTHER_ERRORS = "other"

SERIES_BUDGET = 5_000
"""Series that all processes together may export of the largest scenario: a small Prometheus keeps a hundred times as
many. `tests/unit/test_series.py` counts."""


ALL: tuple[Process, ...] = ("producer", "stream", "serve", "load")

METRICS: tuple[Metric, ...] = (
    *SERVE,
    *PRODUCER,
    *STREAM,
    *LOAD,
    # everywhere
    Metric(
        "quetma_start_time_seconds", "gauge", ("process",), ALL, "when the process began, or began anew, Unix seconds"
    ),
    Metric("quetma_build_info", "gauge", ("version", "process"), ALL, "always 1; the version that runs"),
)

BUCKETS = {
    "quetma_event_to_metric_seconds": LATENCY_BUCKETS,
    "quetma_ack_seconds": LATENCY_BUCKETS,
    "quetma_load_pacing_seconds": (0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5),
    "quetma_load_ack_seconds": (0.001, 0.0025, 0.005, *LATENCY_BUCKETS, 60),
    "quetma_chunk_seconds": (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
    "quetma_chunk_records": (1, 10, 100, 500, 1000, 2000, 4000, 8000, 16000, 32000),
}


_FAMILIES: dict[Kind, Any] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}
_COLLECTED = {row.name: row for row in METRICS if row.collected}


class Metrics:
    """The metrics of one process, registered with one registry."""

    def __init__(self, process: Process, registry: CollectorRegistry, version: str) -> None:
        self.registry = registry
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        for row in _rows_of(process):
            if row.kind == "counter":
                self._counters[row.name] = Counter(row.name, row.meaning, row.labels, registry=registry)
            elif row.kind == "gauge":
                self._gauges[row.name] = Gauge(row.name, row.meaning, row.labels, registry=registry)
            else:
                self._histograms[row.name] = Histogram(
                    row.name, row.meaning, row.labels, registry=registry, buckets=BUCKETS[row.name]
                )
        self.gauge("quetma_build_info").labels(version=version, process=process).set(1)
        self.gauge("quetma_start_time_seconds").labels(process=process).set_to_current_time()

    def counter(self, name: str) -> Counter:
        """Return a counter of the table by its name without ``_total``."""
        return self._counters[name]

    def gauge(self, name: str) -> Gauge:
        """Return a gauge of the table."""
        return self._gauges[name]

    def histogram(self, name: str) -> Histogram:
        """Return a histogram of the table."""
        return self._histograms[name]


def _rows_of(process: Process) -> Iterable[Metric]:
    return (row for row in METRICS if process in row.processes and not row.collected)


def family(name: str) -> Any:
    """Return the family of a collected row, without samples."""
    row = _COLLECTED[name]
    return _FAMILIES[row.kind](row.name, row.meaning, labels=row.labels)


def families(names: Iterable[str]) -> list[Any]:
    """Return the families of collected rows, without samples: what a collector describes itself by."""
    return [family(name) for name in names]
