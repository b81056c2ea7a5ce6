"""The dashboard of fraud and incidents: alerts, outages, suspected swaps, places that fall or fall silent.

In: nothing. Out: `DASHBOARD`.
"""

from __future__ import annotations

from services.dashboards.layout import Dashboard, Section
from services.dashboards.panels import lines, stat, table

PROVINCE = 'province=~"$province"'
COMMUNE = f'{PROVINCE}, commune=~"$commune"'
RATE = "[$__rate_interval]"
PLACES = {"province": "Province", "commune": "Commune"}
FIRING = 'ALERTS{alertname=~"Quetma.*", alertstate="firing"}'

LAST = "quetma_commune_last_payment_time_seconds"


def by_commune(metric: str) -> str:
    """Return a metric of the communes chosen, without the labels of the scrape."""
    return f"max by (province, commune) ({metric}{{{COMMUNE}}})"


ALERTS = Section(
    "Alerts",
    (
        stat(
            "Firing",
            "Alerts that fire now. What each one means and what to do is in services/monitoring/runbook.md.",
            "none",
            (f"count({FIRING}) or vector(0)", ""),
            width=6,
            alarm=("above", 1),
        ),
        lines(
            "Alerts over time",
            "How many alerts of each name fire.",
            "none",
            (f"count by (alertname) ({FIRING}) or vector(0)", "{{alertname}}"),
            width=18,
        ),
    ),
)

CAUSES = Section(
    "What the scenario does",
    (
        lines(
            "Interventions in force",
            "How many interventions of each kind act on the simulated day that is being sent, the scenario's own and "
            "those that were ordered while it runs.",
            "none",
            ("max by (kind) (quetma_active_interventions)", "{{kind}}"),
            width=24,
        ),
    ),
)

OUTAGES = Section(
    "Outages and falling adoption",
    (
        lines(
            "Province against expected",
            "Cashless payments over those to be expected, had each sector kept its share of the seven simulated days "
            "before: of the latest payments, and of whole days. 1 is as usual; below the dashed line an outage is "
            "seen.",
            "none",
            (f"quetma_province_cashless_ratio{{{PROVINCE}}}", "{{province}}, {{window}}"),
        ),
        lines(
            "Communes furthest below, latest payments",
            "The same by commune: the ten lowest, of the latest payments. Below 0.1 an outage is seen.",
            "none",
            (f'bottomk(10, quetma_commune_cashless_ratio{{{COMMUNE}, window="latest"}})', "{{commune}}"),
        ),
        lines(
            "Communes furthest below, whole days",
            "The same by commune: the ten lowest, of whole simulated days. Below 0.75 adoption falls.",
            "none",
            (f'bottomk(10, quetma_commune_cashless_ratio{{{COMMUNE}, window="days"}})', "{{commune}}"),
        ),
    ),
)

FRAUD = Section(
    "Suspected QR swaps",
    (
        stat(
            "Suspected payments",
            "Payments to an account that their till has not registered, in the newest run.",
            "short",
            (f"sum(quetma_suspect_payments_total{{{COMMUNE}}})", ""),
            width=6,
        ),
        stat(
            "Money gone astray",
            "VND of these payments: what went to strangers, if all of them are frauds.",
            "currencyVND",
            (f"sum(quetma_suspect_vnd_total{{{COMMUNE}}})", ""),
            width=6,
        ),
        stat(
            "Found by workers",
            "The same payments as the workers count them: equal, but for other runs and a moment.",
            "short",
            ("sum(max by (partition) (quetma_fraud_alerts_total))", ""),
            width=6,
        ),
        stat(
            "Communes with suspects",
            "Communes in which at least one payment is suspected.",
            "none",
            (
                f"count(sum by (commune) (quetma_suspect_payments_total{{{COMMUNE}}}) > 0) or vector(0)",
                "",
            ),
            width=6,
        ),
        lines(
            "Suspected payments by commune",
            "Suspected payments per second of wall time: the ten communes with the most.",
            "cps",
            (f"topk(10, sum by (commune) (rate(quetma_suspect_payments_total{{{COMMUNE}}}{RATE})))", "{{commune}}"),
            width=12,
        ),
        table(
            "Communes by suspects",
            "Suspected payments of each commune, by kind: the money went to another account than the till has "
            "registered, or the till has registered none.",
            "none",
            PLACES,
            (
                f'max by (province, commune) (quetma_suspect_payments_total{{{COMMUNE}, kind="other_account"}})',
                "Other account",
            ),
            (
                f'max by (province, commune) (quetma_suspect_payments_total{{{COMMUNE}, kind="unregistered"}})',
                "Unregistered",
            ),
            (by_commune("quetma_suspect_vnd_total"), "VND"),
        ),
    ),
)

SILENCE = Section(
    "Silence",
    (
        lines(
            "Silent communes over time",
            "Communes that have not paid for 24 simulated hours while others have.",
            "none",
            (f"quetma_stale_communes{{{PROVINCE}}}", "{{province}}"),
            width=12,
        ),
        table(
            "Longest without a payment",
            "The ten communes that have paid last the longest ago, in simulated time.",
            "s",
            PLACES,
            (
                f"topk(10, max by (province) ({LAST}{{{PROVINCE}}}) - on (province) group_right () {by_commune(LAST)})",
                "Since",
            ),
        ),
    ),
)

DASHBOARD = Dashboard(
    "incidents",
    "Fraud and incidents",
    "What is wrong in the province, or with its numbers: alerts, outages, swapped codes, communes that fall silent.",
    ("province", "commune"),
    (ALERTS, CAUSES, OUTAGES, FRAUD, SILENCE),
)
