"""All that the exporter collects at each scrape, and which record concerns what.

In: records of the topics that the exporter reads, as documents. Out: one collector of all views.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from schemas.topics import ADOPTION_COMMUNE, ALERTS, LEDGER
from services.adoption_view import AdoptionView
from services.fraud_view import FraudView
from services.ratio_view import RatioView
from services.reconciliation_view import ReconciliationView
from services.shown_runs import Document, ShownRuns


class Views(Collector):
    """The views, of the same runs."""

    def __init__(self) -> None:
        self.runs = ShownRuns()
        self.adoption = AdoptionView(self.runs)
        self.ratios = RatioView(self.runs)
        self.reconciliation = ReconciliationView(self.runs)
        self.fraud = FraudView(self.runs)

    def learn(self, topic: str, document: Document, partition: int) -> None:
        """Learn a record of an adoption topic, the ledger or the alerts, and on which partition it was."""
        if topic == ALERTS:
            self.fraud.apply(document)
        elif topic == LEDGER:
            if document["kind"] == "run_started":
                self.runs.start(document)
            self.reconciliation.apply_ledger(document)
        else:
            self.adoption.apply(document, partition)
            if topic == ADOPTION_COMMUNE:
                self.ratios.apply(document)
                self.reconciliation.apply(document, partition)
                self.fraud.know(document)

    def describe(self) -> Iterable[Family]:
        """Return all families without samples."""
        return [family for view in self._all() for family in view.describe()]

    def collect(self) -> Iterator[Family]:
        """Yield all families."""
        for view in self._all():
            yield from view.collect()

    def _all(self) -> tuple[AdoptionView, RatioView, ReconciliationView, FraudView]:
        return self.adoption, self.ratios, self.reconciliation, self.fraud
