"""The one table of metrics: name, type, labels, unit in the name, meaning. All else reads it.

In: a registry of prometheus-client, injected. Out: the metric objects of one process, by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

Kind = Literal["counter", "gauge", "histogram"]
Process = Literal["producer", "stream", "serve", "load"]
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


ALL: tuple[Process, ...] = ("producer", "stream", "serve", "load")

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
        "quetma_commune_last_payment_time_seconds",
        "gauge",
        ("province", "commune"),
        ("serve",),
        "begin of the newest simulated hour in which the commune has paid, Unix seconds",
        collected=True,
    ),
    Metric(
        "quetma_stale_communes",
        "gauge",
        ("province",),
        ("serve",),
        "communes that have not paid for 24 simulated hours, while others have; their shares are not shown",
        collected=True,
    ),
    Metric(
        "quetma_commune_cashless_ratio",
        "gauge",
        ("province", "commune", "window"),
        ("serve",),
        "cashless payments over those expected, had each sector kept its share of the seven days before; over the "
        "latest payments (30 expected) or whole simulated days (400 expected)",
        collected=True,
    ),
    Metric(
        "quetma_province_cashless_ratio",
        "gauge",
        ("province", "window"),
        ("serve",),
        "the same over the whole province; latest has 300 expected",
        collected=True,
    ),
    Metric(
        "quetma_suspect_payments",
        "counter",
        ("province", "commune", "kind"),
        ("serve",),
        "payments to an account that their till has not registered; kind other_account or unregistered",
        collected=True,
    ),
    Metric("quetma_suspect_vnd", "counter", ("province", "commune"), ("serve",), "VND of these", collected=True),
    Metric(
        "quetma_ledger_payments",
        "counter",
        ("province",),
        ("serve",),
        "payments in the ledger: acknowledged, and told every two seconds",
        collected=True,
    ),
    Metric(
        "quetma_ledger_vnd",
        "counter",
        ("province",),
        ("serve",),
        "VND in the ledger, settled and reversed",
        collected=True,
    ),
    Metric(
        "quetma_reconciliation_difference_payments",
        "gauge",
        ("province",),
        ("serve",),
        "payments that only ledger or only aggregates have, of simulated days that both have closed; late ones "
        "left out",
        collected=True,
    ),
    Metric(
        "quetma_reconciliation_difference_vnd", "gauge", ("province",), ("serve",), "VND of the same", collected=True
    ),
    Metric(
        "quetma_reconciled_payments",
        "gauge",
        ("province",),
        ("serve",),
        "payments of simulated days closed on both sides that agree",
        collected=True,
    ),
    Metric(
        "quetma_reconciled_time_seconds",
        "gauge",
        ("province",),
        ("serve",),
        "simulated time up to which ledger and aggregates agree, Unix seconds",
        collected=True,
    ),
    Metric(
        "quetma_reconciliation_timestamp_seconds",
        "gauge",
        ("province",),
        ("serve",),
        "when that was found, Unix seconds on the wall clock",
        collected=True,
    ),
    Metric(
        "quetma_adoption_records",
        "counter",
        ("topic",),
        ("serve",),
        "records read for these metrics",
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
    Metric(
        "quetma_ack_seconds", "histogram", (), ("producer",), "from sending a batch of records to its acknowledgement"
    ),
    Metric(
        "quetma_target_events_per_second", "gauge", (), ("producer",), "the rate asked for; 0 if the pace is another"
    ),
    Metric(
        "quetma_model_adults",
        "gauge",
        ("province", "commune"),
        ("producer",),
        "adults, as the simulation has them: truth, not measured on the stream",
        collected=True,
    ),
    Metric(
        "quetma_model_eligible_adults",
        "gauge",
        ("province", "commune"),
        ("producer",),
        "adults with account and smartphone, by the simulation",
        collected=True,
    ),
    Metric(
        "quetma_model_active_adults",
        "gauge",
        ("province", "commune"),
        ("producer",),
        "adults who pay cashless, by the simulation",
        collected=True,
    ),
    Metric(
        "quetma_model_stalls",
        "gauge",
        ("province", "commune", "market"),
        ("producer",),
        "stalls, by the simulation",
        collected=True,
    ),
    Metric(
        "quetma_model_qr_stalls",
        "gauge",
        ("province", "commune", "market"),
        ("producer",),
        "stalls that show a QR, by the simulation",
        collected=True,
    ),
    Metric(
        "quetma_model_using_stalls",
        "gauge",
        ("province", "commune", "market"),
        ("producer",),
        "stalls that take payments by it, by the simulation",
        collected=True,
    ),
    Metric(
        "quetma_model_commune_index",
        "gauge",
        ("province", "commune"),
        ("producer",),
        "status index of the commune, 0 to 1: mean of accounts, active adults, stalls with QR, online dossiers and "
        "coverage, by the scenario's weights",
        collected=True,
    ),
    Metric(
        "quetma_model_green_commune",
        "gauge",
        ("province", "commune"),
        ("producer",),
        "1 if the index has reached the threshold of the scenario, else 0",
        collected=True,
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
        "quetma_last_commit_timestamp_seconds",
        "gauge",
        ("partition",),
        ("stream",),
        "when the worker last made a flush durable, or opened the partition, Unix seconds",
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
    Metric("quetma_recovered_records", "gauge", (), ("stream",), "changelog records that the last recovery read"),
    # load: `quetma load` and `quetma replay`
    Metric(
        "quetma_load_asked_records_per_second",
        "gauge",
        (),
        ("load",),
        "records asked for in the last whole second: by the profile, or by the records' own times",
        collected=True,
    ),
    Metric("quetma_load_due_records", "counter", (), ("load",), "records that have fallen due", collected=True),
    Metric("quetma_load_sent_records", "counter", (), ("load",), "records handed to the client", collected=True),
    Metric(
        "quetma_load_answered_records",
        "counter",
        (),
        ("load",),
        "records that the target acknowledged, or answered well",
        collected=True,
    ),
    Metric(
        "quetma_load_failed_records",
        "counter",
        ("error",),
        ("load",),
        "records that failed, by kind of error; kinds beyond 32 are `other`",
        collected=True,
    ),
    Metric(
        "quetma_load_pacing_seconds",
        "histogram",
        (),
        ("load",),
        "time between when a record was due and when it was sent",
        collected=True,
    ),
    Metric(
        "quetma_load_ack_seconds",
        "histogram",
        (),
        ("load",),
        "from when a record was due to its acknowledgement or good answer",
        collected=True,
    ),
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
