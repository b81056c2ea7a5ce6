"""The reconciliation as the exporter shows it, all the time: the ledger against the aggregates.

In: records of the ledger and of ``quetma.adoption.commune``, as documents; a clock. Out: how far both agree.
`services.day_books` compares; the command `quetma verify` looks closer, at cells and hours, when a run is at rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from schemas.metrics import families
from services.books import DAY_MS, UTC_OFFSET_MS
from services.day_books import DayBooks
from services.shown_runs import Document, ShownRuns

NAMES = (
    "quetma_ledger_payments",
    "quetma_ledger_vnd",
    "quetma_reconciliation_difference_payments",
    "quetma_reconciliation_difference_vnd",
    "quetma_reconciled_payments",
    "quetma_reconciled_time_seconds",
    "quetma_reconciliation_timestamp_seconds",
)


class ReconciliationView(Collector):
    """Collects at each scrape what has been learnt: each scrape is a check."""

    def __init__(self, runs: ShownRuns, clock: Callable[[], float] = time.time) -> None:
        self._runs = runs
        self._clock = clock
        self._books: dict[str, DayBooks] = {}
        self._agreed: dict[str, tuple[int, float]] = {}
        """Run → the day up to which it agrees, and when that was first found."""

    def apply_ledger(self, document: Document) -> None:
        """Learn a record of the ledger."""
        books = self._books.setdefault(document["run"], DayBooks())
        if document["kind"] == "cell_day":
            books.enter(document)
        elif document["kind"] == "checkpoint":
            books.checkpoint(document)

    def apply(self, document: Document, partition: int) -> None:
        """Learn an adoption record."""
        if "market" not in document and document["window"] != "hour":
            self._books.setdefault(document["run"], DayBooks()).learn(document, partition)

    def describe(self) -> Iterable[Family]:
        """Return the families without samples."""
        return families(NAMES)

    def collect(self) -> Iterator[Family]:
        """Compare, and yield all families."""
        ledger, ledger_vnd, payments, vnd, reconciled, until, at = found = families(NAMES)
        for province, run in self._runs.by_province.items():
            books = self._books.setdefault(run, DayBooks())
            standing = books.stand()
            ledger.add_metric([province], books.ledger_payments)
            ledger_vnd.add_metric([province], books.ledger_vnd)
            payments.add_metric([province], standing.difference_payments)
            vnd.add_metric([province], standing.difference_vnd)
            reconciled.add_metric([province], standing.reconciled_payments)
            if standing.reconciled_until is not None:
                until.add_metric([province], (standing.reconciled_until * DAY_MS - UTC_OFFSET_MS) / 1000)
                at.add_metric([province], self._found_at(run, standing.reconciled_until))
        yield from found

    def _found_at(self, run: str, until: int) -> float:
        """Return when it was first found that a run agrees up to a day, in seconds since 1970."""
        if run not in self._agreed or self._agreed[run][0] != until:
            self._agreed[run] = (until, self._clock())
        return self._agreed[run][1]
