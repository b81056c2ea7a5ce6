"""Metrics: what `quetma produce` says of itself.

In: nothing. Out: rows.
"""

from __future__ import annotations

from schemas.metric_rows.row import Metric

PRODUCER: tuple[Metric, ...] = (
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
)
