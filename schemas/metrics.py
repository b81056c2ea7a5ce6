"""The one table of metrics: name, type, labels, unit in the name, meaning. All else reads it.

In: a registry of prometheus-client, injected. Out: the metric objects of one process, by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

Kind = Literal["counter", "gauge", "histogram"]
Process = Literal["producer", "stream", "serve"]
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


@dataclass(frozen=True)
class Metric:
    """A row of the table. A counter's samples end in ``_total``, as Prometheus has it."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    processes: tuple[Process, ...]
    meaning: str
    collected: bool = False
    """Read from state at each scrape, by a collector, instead of being set."""

    @property
    def sample(self) -> str:
        """Return the name as queries write it."""
        return {"counter": f"{self.name}_total", "histogram": f"{self.name}_bucket"}.get(self.kind, self.name)


ALL: tuple[Process, ...] = ("producer", "stream", "serve")

METRICS: tuple[Metric, ...] = (
    # adoption, from the compacted topics
    Metric(
        "quetma_commune_cashless_share",
        "gauge",
        ("province", "commune", "by"),
        ("serve",),
        "cashless share of settled payments in the newest simulated day; by count or by value",
        collected=True,
    ),
    Metric(
        "quetma_market_cashless_share",
        "gauge",
        ("province", "commune", "market", "by"),
        ("serve",),
        "the same by market",
        collected=True,
    ),
    Metric(
        "quetma_market_payments",
        "gauge",
        ("province", "commune", "market"),
        ("serve",),
        "settled payments in the newest simulated day",
        collected=True,
    ),
    Metric(
        "quetma_province_cashless_share",
        "gauge",
        ("province", "by"),
        ("serve",),
        "the same over the whole province",
        collected=True,
    ),
    Metric(
        "quetma_payments",
        "counter",
        ("province", "sector", "method", "status"),
        ("serve",),
        "payments aggregated by the stream; status settled, failed or reversed",
        collected=True,
    ),
    Metric(
        "quetma_payments_vnd",
        "counter",
        ("province", "sector", "method"),
        ("serve",),
        "VND settled, aggregated by the stream",
        collected=True,
    ),
    Metric(
        "quetma_reversed_vnd",
        "counter",
        ("province", "sector", "method"),
        ("serve",),
        "VND of reversals, aggregated by the stream",
        collected=True,
    ),
    Metric(
        "quetma_duplicates", "counter", ("province",), ("serve",), "repeated payments that were dropped", collected=True
    ),
    Metric(
        "quetma_late_payments",
        "counter",
        ("province",),
        ("serve",),
        "payments that missed a window; they are in the totals",
        collected=True,
    ),
    Metric(
        "quetma_stream_lag_records",
        "gauge",
        ("partition",),
        ("serve",),
        "records that the stream workers have not committed, asked of the broker",
    ),
    Metric(
        "quetma_dead_letter_records",
        "counter",
        ("reason",),
        ("serve",),
        "records on the dead-letter topic, repeats left out",
    ),
    Metric(
        "quetma_event_to_metric_seconds",
        "histogram",
        (),
        ("serve",),
        "from sending a payment to its place in the exporter, of one payment in a thousand",
    ),
    Metric(
        "quetma_simulated_time_seconds",
        "gauge",
        ("province",),
        ("serve",),
        "beginning of the newest hour in the aggregates, Unix seconds",
        collected=True,
    ),
    Metric(
        "quetma_adoption_records",
        "counter",
        ("topic",),
        ("serve",),
        "adoption records read",
    ),
    # producer
    Metric("quetma_produced_payments", "counter", (), ("producer",), "payments handed to the client"),
    Metric("quetma_acked_payments", "counter", (), ("producer",), "payments that the broker acknowledged"),
    Metric("quetma_acked_bytes", "counter", (), ("producer",), "bytes of acknowledged payments"),
    Metric("quetma_send_retries", "counter", (), ("producer",), "record batches sent again"),
    Metric(
        "quetma_pacing_lag_seconds",
        "gauge",
        (),
        ("producer",),
        "how far production is behind the pace asked for",
    ),
    Metric(
        "quetma_produced_time_seconds",
        "gauge",
        (),
        ("producer",),
        "simulated time that production has reached, Unix seconds",
    ),
    Metric(
        "quetma_speed",
        "gauge",
        (),
        ("producer",),
        "simulated seconds per second asked for; 0 while paused, +Inf for max, NaN where a rate is asked for instead",
    ),
    Metric(
        "quetma_active_interventions",
        "gauge",
        ("kind",),
        ("producer",),
        "interventions in force on the simulated day that is being sent, the scenario's and those ordered",
    ),
    Metric(
        "quetma_held_back_seconds",
        "counter",
        (),
        ("producer",),
        "time that production waited for the stream to catch up",
    ),
    # stream
    Metric(
        "quetma_processed_records",
        "counter",
        ("partition",),
        ("stream",),
        "records read from the payments topic",
        collected=True,
    ),
    Metric(
        "quetma_applied_payments",
        "counter",
        ("partition",),
        ("stream",),
        "payments folded into cells",
        collected=True,
    ),
    Metric(
        "quetma_dropped_duplicates",
        "counter",
        ("partition",),
        ("stream",),
        "repeated payments, dropped",
        collected=True,
    ),
    Metric(
        "quetma_late_records",
        "counter",
        ("partition",),
        ("stream",),
        "payments that missed a window",
        collected=True,
    ),
    Metric(
        "quetma_fraud_alerts",
        "counter",
        ("partition",),
        ("stream",),
        "payments to another account than their till has registered",
        collected=True,
    ),
    Metric(
        "quetma_dead_letters",
        "counter",
        ("partition", "reason"),
        ("stream",),
        "records set aside, by reason",
        collected=True,
    ),
    Metric(
        "quetma_lag_records",
        "gauge",
        ("partition",),
        ("stream",),
        "records not yet folded",
        collected=True,
    ),
    Metric(
        "quetma_replayed_records",
        "counter",
        (),
        ("stream",),
        "records read again after a restart and already in the state",
    ),
    Metric("quetma_chunk_records", "histogram", (), ("stream",), "records in one chunk"),
    Metric("quetma_chunk_seconds", "histogram", (), ("stream",), "time to fold one chunk"),
    Metric("quetma_recovery_seconds", "gauge", (), ("stream",), "time that the last recovery took"),
    # everywhere
    Metric("quetma_build_info", "gauge", ("version", "process"), ALL, "always 1; the version that runs"),
)

_BUCKETS = {
    "quetma_event_to_metric_seconds": LATENCY_BUCKETS,
    "quetma_chunk_seconds": (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
    "quetma_chunk_records": (1, 10, 100, 500, 1000, 2000, 4000, 8000, 16000, 32000),
}


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
                    row.name, row.meaning, row.labels, registry=registry, buckets=_BUCKETS[row.name]
                )
        self.gauge("quetma_build_info").labels(version=version, process=process).set(1)

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
