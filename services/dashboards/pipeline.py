"""The dashboard of the pipeline: flow, latency, what went wrong, and the reconciliation.

In: nothing. Out: `DASHBOARD`.
"""

from __future__ import annotations

from services.dashboards.layout import Dashboard, Section
from services.dashboards.panels import lines, signed, stat, table

PROVINCE = 'province=~"$province"'
RATE = "[$__rate_interval]"


def quantiles(metric: str) -> tuple[tuple[str, str], ...]:
    """Return queries of half, 95 and 99 of 100 of a histogram."""
    rate = f"sum by (le) (rate({metric}_bucket{RATE}))"
    return tuple(
        (f"histogram_quantile({share}, {rate})", text)
        for share, text in ((0.5, "half within"), (0.95, "95 % within"), (0.99, "99 % within"))
    )


def _sum(metric: str) -> str:
    return f"sum by (province) ({metric}{{{PROVINCE}}})"


REVERSED = _sum("quetma_reversed_vnd_total")

BOOKS = Section(
    "Reconciliation",
    (
        stat(
            "Difference",
            "Payments, and VND, that only the ledger or only the aggregates have, of simulated days that both have "
            "closed; late payments left out. Anything but 0 is an error: see the runbook.",
            "none",
            (f"sum(quetma_reconciliation_difference_payments{{{PROVINCE}}})", "payments"),
            (f"sum(quetma_reconciliation_difference_vnd{{{PROVINCE}}})", "VND"),
            width=6,
            alarm=("above", 1),
        ),
        stat(
            "Reconciled up to",
            "Simulated time up to which the ledger and the aggregates agree, in Vietnamese local time. A simulated "
            "day is compared when both sides have closed it: the first one soon after the second has ended.",
            "dateTimeAsIso",
            (f"min(quetma_reconciled_time_seconds{{{PROVINCE}}}) * 1000", ""),
            width=6,
        ),
        stat(
            "Last day reconciled",
            "Time on the wall clock since the last simulated day was found equal on both sides.",
            "s",
            (f"time() - min(quetma_reconciliation_timestamp_seconds{{{PROVINCE}}})", ""),
            width=6,
        ),
        stat(
            "Reconciled payments",
            "Payments of simulated days that both sides have closed and that agree.",
            "short",
            (f"sum(quetma_reconciled_payments{{{PROVINCE}}})", ""),
            width=6,
        ),
        signed(
            lines(
                "Ledger less aggregates",
                "Payments in the ledger less those in the aggregates, right now. While payments flow it is not 0: the "
                "ledger is told every two seconds and may be behind, the workers may be behind the ledger. At rest "
                "it is 0.",
                "none",
                (f"{_sum('quetma_ledger_payments_total')} - {_sum('quetma_payments_total')}", "{{province}}"),
            )
        ),
        signed(
            lines(
                "Ledger less aggregates, VND",
                "VND in the ledger less those in the aggregates, right now, settled and reversed. At rest it is 0.",
                "currencyVND",
                (
                    f"{_sum('quetma_ledger_vnd_total')} - {_sum('quetma_payments_vnd_total')} - {REVERSED}",
                    "{{province}}",
                ),
            )
        ),
        lines(
            "Differences over time",
            "Payments that only one side has, of simulated days that both have closed.",
            "none",
            (f"quetma_reconciliation_difference_payments{{{PROVINCE}}}", "{{province}}"),
        ),
    ),
)

FLOW = Section(
    "Flow",
    (
        lines(
            "Payments along the way",
            "Payments per second of wall time at each station: handed to the Kafka client, acknowledged by the "
            "broker, read by the workers, folded into cells, seen by the exporter. In balance the lines lie on one "
            "another; the first one that drops shows where it stops. Read exceeds folded by duplicates, dead letters "
            "and replayed records.",
            "cps",
            (f"sum(rate(quetma_produced_payments_total{RATE}))", "produced"),
            (f"sum(rate(quetma_acked_payments_total{RATE}))", "acknowledged"),
            (f"sum(rate(quetma_processed_records_total{RATE}))", "processed"),
            (f"sum(rate(quetma_applied_payments_total{RATE}))", "folded"),
            (f"sum(rate(quetma_payments_total{{{PROVINCE}}}{RATE}))", "exported"),
            width=12,
        ),
        lines(
            "From payment to metric",
            "Time from sending a payment to its place in the exporter, measured on one payment in a thousand. The "
            "dashed line is the objective: half a second for 99 of 100.",
            "s",
            *quantiles("quetma_event_to_metric_seconds"),
            width=12,
            objective=0.5,
        ),
        lines(
            "Objective missed",
            "Share of payments that took more than half a second, over three windows. The objective allows 1 %; the "
            "alerts look at two windows at a time.",
            "percentunit",
            ("quetma:event_to_metric_slow:ratio_rate1m", "1 minute"),
            ("quetma:event_to_metric_slow:ratio_rate5m", "5 minutes"),
            ("quetma:event_to_metric_slow:ratio_rate30m", "30 minutes"),
            objective=0.01,
        ),
        lines(
            "Lag by partition",
            "Payments in Kafka that no worker has folded yet, by partition. Steady is well, however high; growing "
            "means that the workers are slower than the producer. One partition alone: its worker has stopped.",
            "short",
            ("max by (partition) (quetma_lag_records)", "partition {{partition}}"),
        ),
        lines(
            "Lag by the broker",
            "Records that the workers have not committed, as the broker tells it: also while no worker lives.",
            "short",
            ("max by (partition) (quetma_stream_lag_records)", "partition {{partition}}"),
        ),
        lines(
            "Duplicates and replays",
            "Per second. Dropped: the same payment arrived again and was counted once. Replayed: a worker restarted, "
            "read records again and found them in its state. In aggregates: duplicates as the exporter sees them. "
            "None of them changes a total.",
            "cps",
            (f"sum(rate(quetma_dropped_duplicates_total{RATE}))", "dropped"),
            (f"sum(rate(quetma_replayed_records_total{RATE}))", "replayed"),
            (f"sum(rate(quetma_duplicates_total{{{PROVINCE}}}{RATE}))", "in aggregates"),
        ),
        lines(
            "Late payments",
            "Payments per second that came after their window had closed, as the workers and as the exporter count "
            "them. They are in the totals and missing in their window.",
            "cps",
            (f"sum(rate(quetma_late_records_total{RATE}))", "workers"),
            (f"sum(rate(quetma_late_payments_total{{{PROVINCE}}}{RATE}))", "in aggregates"),
        ),
        lines(
            "Dead letters by reason",
            "Records per second that could not be read or failed a check, and were set aside in "
            "quetma.payments.dead-letters with the reason. Nothing but faults put in on purpose should show here.",
            "cps",
            (f"sum by (reason) (rate(quetma_dead_letters_total{RATE}))", "{{reason}}"),
        ),
        lines(
            "Dead letters on the topic",
            "Records on quetma.payments.dead-letters as the exporter has read them, by reason, repeats left out.",
            "none",
            ("sum by (reason) (quetma_dead_letter_records_total)", "{{reason}}"),
        ),
    ),
)

WORKERS = Section(
    "Workers and exporter",
    (
        lines(
            "Age of the last flush",
            "Time since each partition was last made durable: what a crash would have to read again. Some tenths of "
            "a second while payments flow; it grows when there is nothing to write.",
            "s",
            ("time() - max by (partition) (quetma_last_commit_timestamp_seconds)", "partition {{partition}}"),
        ),
        lines(
            "Time to fold a chunk",
            "Time that a worker takes for one chunk of records of one partition.",
            "s",
            *quantiles("quetma_chunk_seconds"),
        ),
        lines(
            "Records in a chunk",
            "Records in one chunk. Chunks grow as lag grows, up to QUETMA_STREAM__FETCH_RECORDS, which is how the "
            "workers catch up.",
            "short",
            *quantiles("quetma_chunk_records"),
        ),
        lines(
            "Recovery",
            "How long each worker's last recovery of its state took, after a start or a rebalance.",
            "s",
            ("max by (instance) (quetma_recovery_seconds)", "{{instance}}"),
        ),
        lines(
            "Records read by the recovery",
            "How many records of its state's changelog each worker read in its last recovery. Compaction keeps it from "
            "growing; a worker with a copy in RocksDB reads the tail alone.",
            "short",
            ("max by (instance) (quetma_recovered_records)", "{{instance}}"),
        ),
        lines(
            "Starts",
            "How often each process has begun anew in the last ten minutes. A worker that cannot go on exactly "
            "starts anew; once is no matter.",
            "none",
            ("sum by (process) (changes(quetma_start_time_seconds[10m]))", "{{process}}"),
        ),
        lines(
            "Records read by the exporter",
            "Records per second that the exporter reads, by topic. None while payments are processed: the workers do "
            "not publish, or the exporter has lost the broker.",
            "cps",
            (f"sum by (topic) (rate(quetma_adoption_records_total{RATE}))", "{{topic}}"),
        ),
        table(
            "Versions",
            "The version that each process runs, and how many of them there are. More than one version at a time: an "
            "upgrade is under way, or was left half done.",
            "none",
            {"process": "Process", "version": "Version"},
            ("count by (process, version) (quetma_build_info)", "Running"),
        ),
    ),
)

DASHBOARD = Dashboard(
    "pipeline",
    "Pipeline",
    "From the producer to this page: what flows, how fast, what goes wrong, and whether the books agree.",
    ("province",),
    (BOOKS, FLOW, WORKERS),
)
