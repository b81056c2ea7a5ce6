"""The dashboard of payments and money, by method, sector and market.

In: nothing. Out: `DASHBOARD`.
"""

from __future__ import annotations

from services.dashboards.layout import Dashboard, Section
from services.dashboards.panels import Panel, lines, stat, table

PROVINCE = 'province=~"$province"'
TRIED = f'quetma_payments_total{{{PROVINCE}, status!="reversed"}}'
MARKET = f'{PROVINCE}, commune=~"$commune", market=~"$market"'
RATE = "[$__rate_interval]"


def failed_share(title: str, label: str) -> Panel:
    """Return the share of attempts that fail, by a label."""
    failed = f'quetma_payments_total{{{PROVINCE}, status="failed"}}'
    tried = f"sum by ({label}) (rate({TRIED}{RATE}))"
    return lines(
        title,
        f"Share of attempts that fail, by {label}: network, funds, a wrong code, a bank that is away. Cash does not "
        "fail. In an outage people pay in cash or wait: that shows as few cashless payments, not here.",
        "percentunit",
        (f"(sum by ({label}) (rate({failed}{RATE})) or 0 * {tried}) / {tried}", f"{{{{{label}}}}}"),
    )


def _settled(more: str = "") -> str:
    """Return settled payments a second by sector, of those that a further condition chooses."""
    return f'sum by (sector) (rate(quetma_payments_total{{{PROVINCE}, status="settled"{more}}}{RATE}))'


CASHLESS = _settled(', method!="cash"')

TOTALS = Section(
    "In all",
    (
        stat(
            "Payments",
            "Payments in the aggregates of the newest run, settled and failed, cash included.",
            "short",
            (f"sum({TRIED})", ""),
            width=6,
        ),
        stat(
            "Value",
            "VND of the settled payments in the aggregates, cash included, and beside it VND of reversals.",
            "currencyVND",
            (f"sum(quetma_payments_vnd_total{{{PROVINCE}}})", "settled"),
            (f"sum(quetma_reversed_vnd_total{{{PROVINCE}}})", "reversed"),
            width=9,
        ),
        stat(
            "Failed",
            "Share of all attempts in the aggregates that failed, and of settled payments that were reversed.",
            "percentunit",
            (
                f'(sum(quetma_payments_total{{{PROVINCE}, status="failed"}}) or vector(0)) / sum({TRIED})',
                "failed",
            ),
            (
                f'(sum(quetma_payments_total{{{PROVINCE}, status="reversed"}}) or vector(0)) / sum({TRIED})',
                "reversed",
            ),
            width=9,
            decimals=2,
        ),
    ),
)

FLOW = Section(
    "By method and sector",
    (
        lines(
            "Payments by method",
            "Payments per second of wall time that reach the aggregates, settled and failed, by method.",
            "cps",
            (f"sum by (method) (rate({TRIED}{RATE}))", "{{method}}"),
            stacked=True,
        ),
        lines(
            "Payments by sector",
            "The same payments per second of wall time, by what was paid for.",
            "cps",
            (f"sum by (sector) (rate({TRIED}{RATE}))", "{{sector}}"),
            stacked=True,
        ),
        lines(
            "Cashless share by sector",
            "Share of settled payments that are not cash, of those of the last moments, by sector.",
            "percentunit",
            (f"{CASHLESS} / {_settled()}", "{{sector}}"),
            top=1,
        ),
        lines(
            "Value by method",
            "VND settled per second of wall time, by method.",
            "currencyVND",
            (f"sum by (method) (rate(quetma_payments_vnd_total{{{PROVINCE}}}{RATE}))", "{{method}}"),
            stacked=True,
        ),
        lines(
            "Value by sector",
            "VND settled per second of wall time, by what was paid for.",
            "currencyVND",
            (f"sum by (sector) (rate(quetma_payments_vnd_total{{{PROVINCE}}}{RATE}))", "{{sector}}"),
            stacked=True,
        ),
        lines(
            "Reversals",
            "Payments per second of wall time whose money went back, by method.",
            "cps",
            (
                f'sum by (method) (rate(quetma_payments_total{{{PROVINCE}, status="reversed"}}{RATE}))',
                "{{method}}",
            ),
        ),
        failed_share("Failed share by method", "method"),
        failed_share("Failed share by sector", "sector"),
        table(
            "Busiest markets",
            "The twenty markets with the most settled payments in the newest simulated day, of those chosen above.",
            "none",
            {"province": "Province", "commune": "Commune", "market": "Market"},
            (f"topk(20, max by (province, commune, market) (quetma_market_payments{{{MARKET}}}))", "Payments"),
            width=8,
        ),
    ),
)

DASHBOARD = Dashboard(
    "payments",
    "Payments",
    "What is paid, how, for what and where; what fails and what goes back.",
    ("province", "commune", "market"),
    (TOTALS, FLOW),
)
