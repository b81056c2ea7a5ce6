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

LOAD = Section(
    "A load of any target: quetma load and quetma replay",
    (
        stat(
            "Asked of the target",
            "Records that the profile, or the records' own times, asked for in the last second.",
            "cps",
            ("sum(quetma_load_asked_records_per_second)", ""),
            width=6,
        ),
        stat(
            "Answered by the target",
            "Records per second that the target acknowledged, or answered well, over the last minute.",
            "cps",
            ("sum(rate(quetma_load_answered_records_total[1m]))", ""),
            width=6,
        ),
        stat(
            "Due and not sent",
            "Records that have fallen due and could not be sent yet. Their wait counts as latency.",
            "short",
            ("sum(quetma_load_due_records_total) - sum(quetma_load_sent_records_total)", ""),
            width=6,
            decimals=0,
        ),
        stat(
            "Failed records",
            "Records that the target refused, or did not answer in time, since the load began.",
            "short",
            ("sum(quetma_load_failed_records_total) or vector(0)", ""),
            width=6,
            decimals=0,
            alarm=("above", 1),
        ),
        lines(
            "Due, sent and answered",
            "Records per second that fell due, that were sent, and that the target answered well.",
            "cps",
            (f"sum(rate(quetma_load_due_records_total{RATE}))", "due"),
            (f"sum(rate(quetma_load_sent_records_total{RATE}))", "sent"),
            (f"sum(rate(quetma_load_answered_records_total{RATE}))", "answered"),
            width=12,
        ),
        lines(
            "Failures by kind",
            "Records per second that failed, by kind of error.",
            "cps",
            (f"sum by (error) (rate(quetma_load_failed_records_total{RATE}))", "{{error}}"),
            width=12,
        ),
        lines(
            "From due to sent",
            "Error of the pace: time between when a record was due and when it was sent. If it grows, the report says "
            "whether the tool or the target was the limit.",
            "s",
            *quantiles("quetma_load_pacing_seconds"),
            width=12,
        ),
        lines(
            "From due to answer",
            "Time from when a record was due to its acknowledgement or answer, waits before sending included.",
            "s",
            *quantiles("quetma_load_ack_seconds"),
            width=12,
        ),
    ),
)

DASHBOARD = Dashboard(
    "load-test",
    "Load test",
    "Whether the pace is what was asked for, and how the broker and the stream take it.",
    (),
    (PACE, ANSWERS, LOAD),
)
