"""The dashboard of a load test: asked against achieved, and what the system under test answers.

In: nothing. Out: `DASHBOARD`.
"""

from __future__ import annotations

from services.dashboards.layout import Dashboard, Section
from services.dashboards.panels import lines, stat
from services.dashboards.pipeline import quantiles

RATE = "[$__rate_interval]"

PACE = Section(
    "The pace",
    (
        stat(
            "Asked for",
            "Events per second that were asked for by --rate; 0 where the pace is a speed or as fast as it goes.",
            "cps",
            ("sum(quetma_target_events_per_second)", ""),
            width=6,
        ),
        stat(
            "Achieved",
            "Payments per second that the broker acknowledged, over the last minute. Copies and spoiled records, "
            "which are events too, are not among them.",
            "cps",
            ("sum(rate(quetma_acked_payments_total[1m]))", ""),
            width=6,
        ),
        stat(
            "Behind now",
            "How far production is behind the pace asked for, on the wall clock. A load test is worth its figures "
            "only while this stays near zero.",
            "s",
            ("max(quetma_pacing_lag_seconds)", ""),
            width=6,
            alarm=("above", 1),
        ),
        stat(
            "Simulated seconds a second",
            "Simulated time that goes by in a second of wall time: as asked for, by the command or by an order, and as "
            "achieved. 0 while a run is paused, NaN under --rate, infinite as fast as it goes.",
            "none",
            ("max(quetma_speed)", "asked for"),
            ("max(deriv(quetma_produced_time_seconds[1m]))", "achieved"),
            width=6,
            decimals=0,
        ),
        lines(
            "Asked and achieved",
            "Events per second asked for, and payments per second produced, acknowledged and exported.",
            "cps",
            ("sum(quetma_target_events_per_second)", "asked for"),
            (f"sum(rate(quetma_produced_payments_total{RATE}))", "produced"),
            (f"sum(rate(quetma_acked_payments_total{RATE}))", "acknowledged"),
            (f"sum(rate(quetma_payments_total{RATE}))", "exported"),
            width=12,
        ),
        lines(
            "Behind the pace",
            "How far production is behind the pace asked for, by producer.",
            "s",
            ("max by (instance) (quetma_pacing_lag_seconds)", "{{instance}}"),
            width=6,
        ),
        lines(
            "Held back",
            "Share of time that the producer waited for the workers, because they were further behind than "
            "QUETMA_PRODUCER__MAX_LAG allows. Above zero, the pace asked for is more than this machine can do.",
            "percentunit",
            (f"sum(rate(quetma_held_back_seconds_total{RATE}))", "waiting"),
            width=6,
        ),
    ),
)

ANSWERS = Section(
    "What the broker and the stream answer",
    (
        lines(
            "From sending to acknowledgement",
            "Time from sending a batch of records to its acknowledgement by the broker.",
            "s",
            *quantiles("quetma_ack_seconds"),
        ),
        lines(
            "Batches",
            "Record batches per second that were acknowledged, and that had to be sent again.",
            "cps",
            (f"sum(rate(quetma_ack_seconds_count{RATE}))", "acknowledged"),
            (f"sum(rate(quetma_send_retries_total{RATE}))", "sent again"),
        ),
        lines(
            "Bytes acknowledged",
            "Bytes of payments per second that the broker acknowledged, compressed as they went.",
            "Bps",
            (f"sum(rate(quetma_acked_bytes_total{RATE}))", "payments"),
        ),
        lines(
            "To the metric",
            "Time from sending a payment to its place in the exporter, measured on one payment in a thousand.",
            "s",
            *quantiles("quetma_event_to_metric_seconds"),
            objective=0.5,
        ),
        lines(
            "Work that waits",
            "How long the workers would take for what waits, at the pace of the last minute.",
            "s",
            ("quetma:stream_lag_seconds:estimate", "waiting"),
        ),
        lines(
            "Records that wait",
            "Records that the workers have not committed, all partitions together.",
            "short",
            ("quetma:stream_lag_records:sum", "records"),
        ),
    ),
)

DASHBOARD = Dashboard(
    "load-test",
    "Load test",
    "Whether the pace is what was asked for, and how the broker and the stream take it.",
    (),
    (PACE, ANSWERS),
)
