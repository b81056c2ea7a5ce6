"""Suspected QR swaps, as the exporter counts them.

In: alerts, and the communes that there are. Out: payments and VND to accounts that were not registered, by commune.
Pure. An alert is counted once: a worker's restart writes some again. A commune without any has 0, so that the first
one is a rise that Prometheus sees.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from schemas.metrics import families
from services.shown_runs import Document, ShownRuns

NAMES = ("quetma_suspect_payments", "quetma_suspect_vnd")
KINDS: Final = ("other_account", "unregistered")
"""As `schemas.events.Alert` has them."""

Place = tuple[str, str]
"""A run and a commune."""


class FraudView(Collector):
    """Collects at each scrape what has been learnt."""

    def __init__(self, runs: ShownRuns) -> None:
        self._runs = runs
        self._provinces: dict[Place, str] = {}
        self._payments: Counter[tuple[Place, str]] = Counter()
        self._vnd: Counter[Place] = Counter()
        self._seen: set[int] = set()
        """Hashes of the alerts' keys: 64 bits each, where the keys of a fraud wave would fill the memory."""

    def know(self, document: Document) -> None:
        """Learn of a commune, from an adoption record of its."""
        self._provinces[document["run"], document["commune"]] = document["province"]

    def apply(self, document: Document) -> None:
        """Count an alert."""
        key = hash((document["run"], document["payment_id"]))
        if key in self._seen:
            return
        self._seen.add(key)
        place = (document["run"], document["commune"])
        self._payments[place, document["kind"]] += 1
        self._vnd[place] += document["amount_vnd"]

    def describe(self) -> Iterable[Family]:
        """Return the families without samples."""
        return families(NAMES)

    def collect(self) -> Iterator[Family]:
        """Yield both families."""
        payments, vnd = families(NAMES)
        shown = self._runs.names
        for place, province in list(self._provinces.items()):
            run, commune = place
            if run not in shown:
                continue
            for kind in KINDS:
                payments.add_metric([province, commune, kind], self._payments[place, kind])
            vnd.add_metric([province, commune], self._vnd[place])
        yield payments
        yield vnd
