"""Adoption as the exporter shows it: the newest record of each place, and metrics from them at each scrape.

In: records of the adoption topics and the ledger's run announcements, as documents. Out: Prometheus metric families.
Pure. Counters come from the stream's own totals, so that a restart of the exporter changes no number.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from schemas.events import STATUSES
from schemas.metrics import METRICS, Metric

CASH = "cash"
_ROWS: dict[str, Metric] = {row.name: row for row in METRICS if row.collected and "serve" in row.processes}

Document = dict[str, Any]


class AdoptionView(Collector):
    """The newest run of each province. Collects on each scrape what `apply` has learnt."""

    def __init__(self) -> None:
        self._started: dict[str, tuple[int, str]] = {}
        self._totals: dict[tuple[str, str], Document] = {}
        self._communes: dict[tuple[str, str], Document] = {}
        self._markets: dict[tuple[str, str], Document] = {}
        self._times: dict[tuple[str, str], Document] = {}

    def start_run(self, document: Document) -> None:
        """Learn of a run; the newest one of a province is shown."""
        started = (document["started_at"], document["run"])
        self._started[document["province"]] = max(started, self._started.get(document["province"], (0, "")))

    def apply(self, document: Document) -> None:
        """Learn a record of an adoption topic."""
        run, window = document["run"], document["window"]
        if "market" in document:
            if window == "day":
                _keep_newest(self._markets, (run, document["market"]), document)
            return
        place = (run, document["commune"])
        _keep_newest({"total": self._totals, "day": self._communes, "hour": self._times}[window], place, document)

    @property
    def payments(self) -> int:
        """Payments of the runs shown, failed ones and reversals included."""
        return sum(document["revision"] for document in self._current(self._totals))

    def describe(self) -> Iterable[Family]:
        """Return the families without samples, so that registering does not need any state."""
        return [_family(name) for name in _ROWS]

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

    def _current(self, documents: dict[tuple[str, str], Document]) -> Iterator[Document]:
        shown = {run for _, run in self._started.values()}
        return (document for (run, _), document in list(documents.items()) if run in shown)

    def _commune_shares(self) -> Any:
        family = _family("quetma_commune_cashless_share")
        for document in self._current(self._communes):
            _add_shares(family, [document["province"], document["commune"]], document)
        return family

    def _market_shares(self) -> Any:
        family = _family("quetma_market_cashless_share")
        for document in self._current(self._markets):
            _add_shares(family, [document["province"], document["commune"], document["market"]], document)
        return family

    def _market_payments(self) -> Any:
        family = _family("quetma_market_payments")
        for document in self._current(self._markets):
            settled = sum(tally["settled"] for tally in document["tallies"].values())
            family.add_metric([document["province"], document["commune"], document["market"]], settled)
        return family

    def _province_shares(self) -> Any:
        family = _family("quetma_province_cashless_share")
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
                    family.add_metric([province, by], (whole - cash) / whole)
        return family

    def _payment_counters(self) -> Iterator[Family]:
        sums: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
        for document in self._current(self._totals):
            for sector, tallies in document["by_sector"].items():
                for method, tally in tallies.items():
                    sums[document["province"], sector, method].update(tally)
        payments = _family("quetma_payments")
        settled, reversed_ = _family("quetma_payments_vnd"), _family("quetma_reversed_vnd")
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
        family = _family(name)
        for province, count in sums.items():
            family.add_metric([province], count)
        return family

    def _simulated_time(self) -> Any:
        newest: dict[str, int] = {}
        for document in self._current(self._times):
            newest[document["province"]] = max(document["start_at"], newest.get(document["province"], 0))
        family = _family("quetma_simulated_time_seconds")
        for province, at in newest.items():
            family.add_metric([province], at / 1000)
        return family


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


def _family(name: str) -> Any:
    row = _ROWS[name]
    kind = CounterMetricFamily if row.kind == "counter" else GaugeMetricFamily
    return kind(row.name, row.meaning, labels=row.labels)


def _add_shares(family: Any, labels: list[str], document: Document) -> None:
    for by in ("count", "value"):
        share = document.get(f"cashless_share_{by}")
        if share is not None:
            family.add_metric([*labels, by], share)
