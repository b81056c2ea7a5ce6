"""Metrics: what a stream worker says of itself.

In: nothing. Out: rows.
"""

from __future__ import annotations

from schemas.metric_rows.row import Metric

STREAM: tuple[Metric, ...] = (
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
)
