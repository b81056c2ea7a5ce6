"""Adoption as the exporter shows it: the newest record of each place, and metrics from them at each scrape.

In: records of the adoption topics and the ledger's run announcements, as documents. Out: Prometheus metric families.
Pure. Counters come from the stream's own totals, so that a restart of the exporter changes no number. A commune or a
market that has stopped paying is shown no longer: its series ends, and Prometheus marks it stale.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from schemas.events import STATUSES
from schemas.metrics import families, family
from services.freshness import Freshness
from services.shown_runs import Document, ShownRuns

CASH = "cash"
DAY_MS = 86_400_000
NAMES = (
    "quetma_commune_cashless_share",
    "quetma_market_cashless_share",
    "quetma_market_payments",
    "quetma_province_cashless_share",
    "quetma_payments",
    "quetma_payments_vnd",
    "quetma_reversed_vnd",
    "quetma_duplicates",
    "quetma_late_payments",
    "quetma_simulated_time_seconds",
    "quetma_commune_last_payment_time_seconds",
    "quetma_stale_communes",
)


class AdoptionView(Collector):
    """The newest run of each province. Collects on each scrape what `apply` has learnt."""

    def __init__(self, runs: ShownRuns | None = None) -> None:
        """Args: which runs are shown, where other views share it."""
        self._runs = runs or ShownRuns()
        self._freshness = Freshness()
        self._totals: dict[tuple[str, str], Document] = {}
        self._communes: dict[tuple[str, str], Document] = {}
        self._markets: dict[tuple[str, str], Document] = {}
        self._times: dict[tuple[str, str], Document] = {}

    def start_run(self, document: Document) -> None:
        """Learn of a run; the newest one of a province is shown."""
        self._runs.start(document)

    def apply(self, document: Document, partition: int = 0) -> None:
        """Learn a record of an adoption topic, and on which partition it was."""
        run, window = document["run"], document["window"]
        if "market" in document:
            if window == "day":
                _keep_newest(self._markets, (run, document["market"]), document)
            return
        place = (run, document["commune"])
        if window == "hour":
            self._freshness.paid(*place, partition, document["start_at"])
        _keep_newest({"total": self._totals, "day": self._communes, "hour": self._times}[window], place, document)

    @property
    def payments(self) -> int:
        """Payments of the runs shown, failed ones and reversals included."""
        return sum(document["revision"] for document in self._current(self._totals))

    def describe(self) -> Iterable[Family]:
        """Return the families without samples, so that registering does not need any state."""
        return families(NAMES)

    def collect(self) -> Iterator[Family]:
        """Yield all families."""
        yield self._commune_shares()
        yield self._market_shares()
        yield self._market_payments()
        yield self._province_shares()
        yield from self._payment_counters()
        yield self._sum_of("quetma_duplicates", "duplicates")
        yield self._sum_of("quetma_late_payments", "late")
        yield self._simulated_time()
        yield self._last_payments()
        yield self._stale_communes()

    def _current(self, documents: dict[tuple[str, str], Document]) -> Iterator[Document]:
        shown = self._runs.names
        return (document for (run, _), document in list(documents.items()) if run in shown)

    def _fresh_communes(self) -> Iterator[Document]:
        for document in self._current(self._communes):
            if not self._freshness.is_stale(document["run"], document["commune"]):
                yield document

    def _fresh_markets(self) -> Iterator[Document]:
        """Yield the newest days of markets, but of those that have not paid since the end of one long ago."""
        for document in self._current(self._markets):
            day_ends_at = document["start_at"] + DAY_MS
            if not self._freshness.is_stale(document["run"], document["commune"], day_ends_at):
                yield document

    def _commune_shares(self) -> Any:
        shares = family("quetma_commune_cashless_share")
        for document in self._fresh_communes():
            _add_shares(shares, [document["province"], document["commune"]], document)
        return shares

    def _market_shares(self) -> Any:
        shares = family("quetma_market_cashless_share")
        for document in self._fresh_markets():
            _add_shares(shares, [document["province"], document["commune"], document["market"]], document)
        return shares

    def _market_payments(self) -> Any:
        payments = family("quetma_market_payments")
        for document in self._fresh_markets():
            settled = sum(tally["settled"] for tally in document["tallies"].values())
            payments.add_metric([document["province"], document["commune"], document["market"]], settled)
        return payments

    def _province_shares(self) -> Any:
        shares = family("quetma_province_cashless_share")
        by_province: dict[str, list[Document]] = defaultdict(list)
        for document in self._current(self._communes):
            by_province[document["province"]].append(document)
        for province, documents in by_province.items():
            newest = max(document["start_at"] for document in documents)
            today = [document["tallies"] for document in documents if document["start_at"] == newest]
            for by, measure in (("count", "settled"), ("value", "amount_vnd")):
                whole = sum(counts[measure] for tallies in today for counts in tallies.values())
                cash = sum(tallies.get(CASH, {}).get(measure, 0) for tallies in today)
                if whole:
                    shares.add_metric([province, by], (whole - cash) / whole)
        return shares

    def _payment_counters(self) -> Iterator[Family]:
        sums: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
        for document in self._current(self._totals):
            for sector, tallies in document["by_sector"].items():
                for method, tally in tallies.items():
                    sums[document["province"], sector, method].update(tally)
        payments = family("quetma_payments")
        settled, reversed_ = family("quetma_payments_vnd"), family("quetma_reversed_vnd")
        for labels, tally in sorted(sums.items()):
            for status in STATUSES:
                payments.add_metric([*labels, status], tally[status])
            settled.add_metric(labels, tally["amount_vnd"])
            reversed_.add_metric(labels, tally["reversed_vnd"])
        yield from (payments, settled, reversed_)

    def _sum_of(self, name: str, field: str) -> Any:
        sums: dict[str, int] = defaultdict(int)
        for document in self._current(self._totals):
            sums[document["province"]] += document.get(field, 0)
        counts = family(name)
        for province, count in sums.items():
            counts.add_metric([province], count)
        return counts

    def _simulated_time(self) -> Any:
        newest: dict[str, int] = {}
        for document in self._current(self._times):
            newest[document["province"]] = max(document["start_at"], newest.get(document["province"], 0))
        reached = family("quetma_simulated_time_seconds")
        for province, at in newest.items():
            reached.add_metric([province], at / 1000)
        return reached

    def _last_payments(self) -> Any:
        times = family("quetma_commune_last_payment_time_seconds")
        for document in self._current(self._times):
            at = self._freshness.last_payment_at(document["run"], document["commune"])
            if at is not None:
                times.add_metric([document["province"], document["commune"]], at / 1000)
        return times

    def _stale_communes(self) -> Any:
        stale = family("quetma_stale_communes")
        for province, run in self._runs.by_province.items():
            stale.add_metric([province], self._freshness.stale_communes(run))
        return stale


def _keep_newest(documents: dict[tuple[str, str], Document], key: tuple[str, str], document: Document) -> None:
    """Keep the record of the newest window, and of one window the furthest.

    Records of the past come again when the topic is read again, and a worker that lost its partition may still
    send some: were they taken, counters would fall, and Prometheus would count everything a second time.
    """
    known = documents.get(key)
    if known is None or _progress(known) <= _progress(document):
        documents[key] = document


def _progress(document: Document) -> tuple[int, ...]:
    counts = (document.get(field, 0) for field in ("start_at", "revision", "duplicates", "late"))
    return (*counts, document["final"])


def _add_shares(shares: Any, labels: list[str], document: Document) -> None:
    for by in ("count", "value"):
        share = document.get(f"cashless_share_{by}")
        if share is not None:
            shares.add_metric([*labels, by], share)
