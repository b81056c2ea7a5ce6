"""Metrics: what the exporter makes of the topics.

In: nothing. Out: rows.
"""

from __future__ import annotations

from schemas.metric_rows.row import Metric

SERVE: tuple[Metric, ...] = (
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
)
