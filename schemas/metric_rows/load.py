"""Metrics: what `quetma load` and `quetma replay` say of themselves.

In: nothing. Out: rows.
"""

from __future__ import annotations

from schemas.metric_rows.row import Metric

LOAD: tuple[Metric, ...] = (
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
)
