"""What the page shows: the newest runs, as sections of one JSON snapshot.

In: records of the topics, as documents; the exporter's own figures. Out: `PageView.snapshot`, a document by sections,
each of which changes for itself, so that browsers are sent only what is new.
Pure: the caller says what time it is.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final

from services.page.adoption import RunAdoption
from services.page.feed import CodeBook, Feed, symbol
from services.page.order_book import OrderBook
from services.page.reconciliation import Balance, Balancer, LedgerSums
from services.page.speed import SpeedGauge

MAX_RUNS: Final = 4
"""Runs that are kept: those that started last."""
NOT_STARTED: Final = float("inf")
"""A run whose beginning has not been read yet is taken for the newest."""

Document = dict[str, Any]


@dataclass
class Health:
    """The pipeline's own figures, as the exporter has them."""

    lag: int | None = None
    """Payments that no worker has folded yet; none while the broker does not say."""
    dead_letters: dict[str, int] = field(default_factory=dict)
    latency_ms: dict[str, float | None] = field(default_factory=dict)
    """From sending a payment to seeing it, quantiles of the last minute."""
    silent_seconds: float = 0.0
    """Since the topics were read."""
    ready: bool = False
    """Whether everything that was on the topics at the start has been read."""


@dataclass
class Run:
    """One run, all that is known of it."""

    started: Document = field(default_factory=dict)
    adoption: RunAdoption = field(default_factory=RunAdoption)
    ledger: LedgerSums = field(default_factory=LedgerSums)
    feed: Feed = field(default_factory=Feed)
    balancer: Balancer = field(default_factory=Balancer)
    orders: OrderBook = field(default_factory=OrderBook)
    gauge: SpeedGauge = field(default_factory=SpeedGauge)

    @property
    def started_at(self) -> float:
        """When it started; see `NOT_STARTED`."""
        return float(self.started.get("started_at", NOT_STARTED))


class PageView:
    """Learns records, and says what the page shows."""

    def __init__(self) -> None:
        self.codes = CodeBook()
        self._runs: dict[str, Run] = {}
        self._dropped: set[str] = set()

    # -- in -----------------------------------------------------------------------------------------------------

    def learn_adoption(self, document: Document) -> None:
        """Take a record of an adoption topic."""
        if (run := self._run(document["run"])) is not None:
            run.adoption.apply(document)

    def learn_ledger(self, document: Document) -> None:
        """Take a record of the ledger; only beginnings and counts concern the page."""
        kind = document["kind"]
        if kind == "run_started":
            self._begin(document)
        elif kind == "cell_day" and (run := self._run(document["run"])) is not None:
            run.ledger.learn(document)

    def learn_cell(self, document: Document) -> None:
        """Take an announced cell."""
        if (run := self._run(document["run"])) is not None:
            run.adoption.announce(document)

    def learn_payment(self, document: Document, now: float) -> None:
        """Take one of the newest payments, seen at ``now``."""
        if (run := self._run(document["run"])) is not None:
            run.feed.pay(document)
            run.gauge.see(now, document["occurred_at"])

    def learn_alert(self, document: Document) -> None:
        """Take an alert."""
        if (run := self._run(document["run"])) is not None:
            run.feed.alert(document)

    def learn_order(self, document: Document) -> None:
        """Take a record of the interventions' topic: an order, or what a producer made of it."""
        if (run := self._run(document["run"])) is not None:
            run.orders.learn(document)

    def _begin(self, document: Document) -> None:
        name = document["run"]
        if name in self._dropped:
            return
        self._runs.setdefault(name, Run()).started = document
        self._drop_oldest()

    def _run(self, name: str) -> Run | None:
        """Return a run, unless newer ones have taken its place; one never heard of is kept until its beginning comes.

        Names and payments are read beside the ledger, and may come before it.
        """
        if name in self._dropped:
            return None
        if name not in self._runs:
            self._runs[name] = Run()
            self._drop_oldest()
        return self._runs.get(name)

    def _drop_oldest(self) -> None:
        while len(self._runs) > MAX_RUNS:
            oldest = min(self._runs, key=lambda name: self._runs[name].started_at)
            if self._runs.pop(oldest).started:
                self._dropped.add(oldest)

    # -- out ----------------------------------------------------------------------------------------------------

    def runs(self) -> list[Document]:
        """Return the runs that are kept, the newest first."""
        kept = sorted(self._runs.items(), key=lambda one: one[1].started_at, reverse=True)
        return [_about(name, run) for name, run in kept if run.started]

    def newest(self) -> str | None:
        """Return the run that started last, none before there is one."""
        started = [(run.started_at, name) for name, run in self._runs.items() if run.started]
        return max(started)[1] if started else None

    def has(self, name: str) -> bool:
        """Return whether a run is kept."""
        return name in self._runs and bool(self._runs[name].started)

    def communes_of(self, name: str) -> set[str]:
        """Return the communes and markets of a run, the places that an order may name."""
        run = self._runs.get(name)
        return set() if run is None else {*run.adoption.communes, *run.adoption.markets}

    def commune(self, id_: str, name: str) -> Document | None:
        """Return everything about one commune of a run."""
        run = self._runs.get(name)
        return None if run is None else run.adoption.commune(id_)

    def balance(self, name: str, now: float) -> Balance | None:
        """Compare ledger and aggregates of a run; ``now`` in seconds on a clock that never goes back."""
        run = self._runs.get(name)
        if run is None:
            return None
        adoption = run.adoption
        return run.balancer.compare(
            run.ledger, adoption.totals.values(), adoption.market_totals.values(), adoption.payments_by_day(), now
        )

    def snapshot(self, name: str | None, health: Health, now: float) -> Document:
        """Return all sections of a run, by default of the newest; without runs, only what needs none.

        Args:
            name: the run.
            health: the exporter's figures.
            now: seconds on a clock that never goes back.
        """
        chosen = name if name is not None else self.newest()
        run = self._runs.get(chosen) if chosen is not None else None
        common = {"health": asdict(health), "runs": self.runs()}
        if run is None or chosen is None:
            return {"run": None, **common}
        adoption, balance = run.adoption, self.balance(chosen, now)
        assert balance is not None
        return {
            "run": _about(chosen, run),
            "today": {
                "day_at": adoption.day_at,
                "hour_at": adoption.hour_at,
                **adoption.today().row(),
                "run_payments": adoption.sum_of_totals("revision"),
            },
            "communes": adoption.commune_rows(),
            "markets": adoption.market_rows(),
            "curve": adoption.curve(),
            "mix": adoption.mix(),
            "feed": [self._paid(payment, adoption) for payment in run.feed.payments],
            "faults": {field_: adoption.sum_of_totals(field_) for field_ in ("duplicates", "late")},
            "balance": balance.document(),
            "alerts": {
                "count": run.feed.alert_count,
                "newest": [_alerted(alert, adoption) for alert in run.feed.alert_rows()],
            },
            "orders": run.orders.rows(),
            "pace": {"speed": run.orders.speed or run.gauge.speed(now), "paused": bool(run.orders.paused)},
            **common,
        }

    def _paid(self, payment: Document, adoption: RunAdoption) -> Document:
        payload = self.codes.payload(payment)
        shown = ("payment_id", "method", "status", "sector", "amount_vnd", "occurred_at", "failure_reason")
        return {
            **{name: payment.get(name) for name in shown},
            "place": _place_name(payment["cell"], payment["commune"], adoption),
            "payload": payload,
            "symbol": symbol(payload) if payload is not None else None,
        }


def _about(name: str, run: Run) -> Document:
    told = ("scenario", "province", "seed", "started_at", "version")
    return {
        "run": name,
        **{field_: run.started.get(field_) for field_ in told},
        "province_name": run.adoption.province_name or None,
    }


def _alerted(alert: Document, adoption: RunAdoption) -> Document:
    shown = ("payment_id", "kind", "source", "beneficiary", "registered", "amount_vnd", "occurred_at")
    return {
        **{name: alert.get(name) for name in shown},
        "place": _place_name(alert["cell"], alert["commune"], adoption),
    }


def _place_name(cell: str, commune: str, adoption: RunAdoption) -> str:
    """Return the market's name where it is one, and the commune's otherwise."""
    place = adoption.markets.get(cell) or adoption.communes.get(commune)
    return place.name if place else commune
