"""The dashboard of adoption: shares as payments show them, and the state of the model that they follow from.

In: nothing. Out: `DASHBOARD`.
"""

from __future__ import annotations

from services.dashboards.layout import Dashboard, Section
from services.dashboards.panels import Panel, lines, stat, table

PROVINCE = 'province=~"$province"'
COMMUNE = f'{PROVINCE}, commune=~"$commune"'
MARKET = f'{COMMUNE}, market=~"$market"'


def _spread(title: str, places: str, shares: str) -> Panel:
    """Return median and deciles over places."""
    return lines(
        title,
        f"Cashless share of the {places} chosen above: the median, and the bounds that one in ten lies below and one "
        "in ten above. With one chosen, the three lines are its own.",
        "percentunit",
        (f"quantile(0.9, {shares})", "one in ten above"),
        (f"quantile(0.5, {shares})", "median"),
        (f"quantile(0.1, {shares})", "one in ten below"),
        top=1,
    )


def _shares(title: str, places: str, metric: str, labels: dict[str, str], chosen: str) -> Panel:
    """Return a table of the newest shares."""
    names = ", ".join(labels)
    return table(
        title,
        f"Cashless share of each {places} in the newest simulated day, by number and by value of settled payments. "
        "One that has stopped paying is not shown. Click a heading to sort.",
        "percentunit",
        labels,
        (f'max by ({names}) ({metric}{{{chosen}, by="count"}})', "By number"),
        (f'max by ({names}) ({metric}{{{chosen}, by="value"}})', "By value"),
    )


PLACES = {"province": "Province", "commune": "Commune"}

PAYMENTS = Section(
    "Cashless payment, as payments show it",
    (
        stat(
            "Cashless share",
            "Share of settled payments that are not cash, over the whole province, in the newest simulated day. By "
            "number or by value of payments, as chosen above.",
            "percentunit",
            (f'quetma_province_cashless_share{{{PROVINCE}, by="$by"}}', "{{province}}"),
            width=5,
            decimals=1,
        ),
        stat(
            "Simulated time",
            "How far the scenario has come, in Vietnamese local time: what the producer has simulated, and the newest "
            "payment in the aggregates. A gap that grows means that the workers fall behind.",
            "dateTimeAsIso",
            ("max(quetma_produced_time_seconds) * 1000", "produced"),
            (f"max(quetma_simulated_time_seconds{{{PROVINCE}}}) * 1000", "aggregated"),
            width=9,
        ),
        stat(
            "Silent communes",
            "Communes that have not paid for 24 simulated hours while others have. Their shares are not shown: they "
            "would stand still, and look as if they held.",
            "none",
            (f"sum(quetma_stale_communes{{{PROVINCE}}})", ""),
            width=5,
            alarm=("above", 1),
        ),
        stat(
            "Against expected",
            "Cashless payments over those to be expected, had each sector kept its share of the week before; over the "
            "latest payments. 1 is as usual, near 0 is an outage.",
            "none",
            (f'min(quetma_province_cashless_ratio{{{PROVINCE}, window="latest"}})', ""),
            width=5,
            decimals=2,
            alarm=("below", 0.2),
        ),
        lines(
            "Cashless share over time",
            "The province's cashless share by number and by value. The horizontal axis is time on the wall clock: at "
            "speed 600, a simulated day is 144 seconds wide.",
            "percentunit",
            (f"quetma_province_cashless_share{{{PROVINCE}}}", "{{province}} by {{by}}"),
            top=1,
        ),
        _spread("Spread between communes", "communes", f'quetma_commune_cashless_share{{{COMMUNE}, by="$by"}}'),
        _spread("Spread between markets", "markets", f'quetma_market_cashless_share{{{MARKET}, by="$by"}}'),
        _shares("Communes", "commune", "quetma_commune_cashless_share", PLACES, COMMUNE),
        _shares("Markets", "market", "quetma_market_cashless_share", {**PLACES, "market": "Market"}, MARKET),
    ),
)

MODEL = Section(
    "Who could, and who does: the state of the model",
    (
        lines(
            "Active adults",
            "Share of adults who pay cashless, and of those who could, having account and smartphone, as the "
            "simulation has it: truth, told by the producer. Nothing while no producer runs.",
            "percentunit",
            (f"province:quetma_model_active_adults:ratio{{{PROVINCE}}}", "{{province}}: active"),
            (f"province:quetma_model_eligible_adults:ratio{{{PROVINCE}}}", "{{province}}: eligible"),
            top=1,
        ),
        lines(
            "Stalls with QR, and using it",
            "Share of stalls that show a QR, and that take payments by it, as the simulation has it.",
            "percentunit",
            (f"province:quetma_model_qr_stalls:ratio{{{PROVINCE}}}", "{{province}}: with QR"),
            (f"province:quetma_model_using_stalls:ratio{{{PROVINCE}}}", "{{province}}: using it"),
            top=1,
        ),
        lines(
            "Commune index",
            "The communes' status index, in the mean of the province: accounts, active adults, stalls with QR, "
            "dossiers handed in online and coverage, weighted as the scenario says; and the share of communes that "
            "are green by it.",
            "percentunit",
            (f"province:quetma_model_commune_index:avg{{{PROVINCE}}}", "{{province}}: index"),
            (f"province:quetma_model_green_commune:ratio{{{PROVINCE}}}", "{{province}}: green communes"),
            top=1,
        ),
        table(
            "Communes by the model",
            "Of each commune the share of adults who pay cashless, of stalls that show a QR and that use it, and the "
            "status index.",
            "percentunit",
            PLACES,
            (f"commune:quetma_model_active_adults:ratio{{{COMMUNE}}}", "Active adults"),
            (f"commune:quetma_model_qr_stalls:ratio{{{COMMUNE}}}", "Stalls with QR"),
            (f"commune:quetma_model_using_stalls:ratio{{{COMMUNE}}}", "Stalls using it"),
            (f"max by (province, commune) (quetma_model_commune_index{{{COMMUNE}}})", "Index"),
        ),
        table(
            "Stalls by market",
            "Stalls of each market that show a QR, and that take payments by it, as the simulation has them.",
            "none",
            {**PLACES, "market": "Market"},
            (f"max by (province, commune, market) (quetma_model_stalls{{{MARKET}}})", "Stalls"),
            (f"max by (province, commune, market) (quetma_model_qr_stalls{{{MARKET}}})", "With QR"),
            (f"max by (province, commune, market) (quetma_model_using_stalls{{{MARKET}}})", "Using it"),
        ),
    ),
)

DASHBOARD = Dashboard(
    "adoption",
    "Adoption",
    "How cash gives way to cashless payment, by province, commune and market.",
    ("province", "commune", "market"),
    (PAYMENTS, MODEL),
    by=True,
)
