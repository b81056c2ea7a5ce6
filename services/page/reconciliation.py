"""The reconciliation in plain sight: what Kafka acknowledged against what the stream aggregated, while both grow.

In: ledger entries as documents; the totals and days of a run's adoption. Out: a `Balance`: exact, settling or differs.
Pure: the caller says what time it is. `quetma verify` compares more (every day of every cell), and reads all topics
for it; this here keeps sums, and costs milliseconds.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from schemas.events import STATUSES
from services.books import MARKET, UTC_OFFSET_MS

Document = dict[str, Any]
State = Literal["exact", "settling", "differs"]
SETTLE_SECONDS = 10.0
"""How long nothing may move while both sides differ, before that is called a difference."""
OPEN_DAYS = 32
"""Days of a cell whose entries may still change; what is older is kept as a sum. Two would do: a day is closed when
all of it is acknowledged, and a restarted producer tells again what it had not closed."""
MAX_PENDING = 5000
"""Entries that may wait to be worked in: most are replaced before anybody looks."""
MEASURES = ("settled", "failed", "reversed", "amount_vnd", "reversed_vnd")

Place = tuple[str, str]
"""Sector and commune, or ``market`` and the market."""
Counts = dict[tuple[str, str], int]
"""By method and measure; none are 0."""


class LedgerSums:
    """The producer's own count of one run, as sums by place and by day."""

    def __init__(self) -> None:
        self.places: dict[Place, defaultdict[tuple[str, str], int]] = {}
        self.days: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        """By local day: payments of any status, and VND settled."""
        self._open: dict[str, dict[str, Document]] = {}
        self._pending: dict[tuple[str, str], Document] = {}

    def learn(self, entry: Document) -> None:
        """Take an entry; entries are cumulative, so the last one of a cell and day replaces the others."""
        self._pending[entry["cell"], entry["day"]] = entry
        if len(self._pending) >= MAX_PENDING:
            self.settle()

    def settle(self) -> None:
        """Work in what was learnt."""
        pending, self._pending = self._pending, {}
        for (cell, day), entry in pending.items():
            days = self._open.setdefault(cell, {})
            if len(days) >= OPEN_DAYS and day < min(days):
                continue  # told again; it is in the sums
            self._add(days.get(day), -1)
            self._add(entry, +1)
            days[day] = entry
            if len(days) > OPEN_DAYS:
                del days[min(days)]

    def _add(self, entry: Document | None, sign: int) -> None:
        if entry is None:
            return
        places: list[Place] = [(entry["sector"], entry["commune"])]
        if entry["sector"] == MARKET:
            places.append(("market", entry["cell"]))
        of_day = self.days[entry["day"]]
        for method, tally in entry["tallies"].items():
            for place in places:
                counts = self.places.setdefault(place, defaultdict(int))
                for measure in MEASURES:
                    counts[method, measure] += sign * tally.get(measure, 0)
            of_day[0] += sign * sum(tally.get(status, 0) for status in STATUSES)
            of_day[1] += sign * tally.get("amount_vnd", 0)


@dataclass(frozen=True)
class Balance:
    """How ledger and aggregates of a run compare."""

    state: State
    payments: tuple[int, int]
    """Ledger, aggregates; of any status, each payment once."""
    amount_vnd: tuple[int, int]
    places: int
    """Places compared: markets, and sectors of communes."""
    differing: int
    """Places in which a method's number or value differs."""
    days: int
    """Days before the newest one."""
    exact_days: int
    """Those of them whose sums are equal."""
    outside: int
    """Payments that came after their day had closed: in the totals, and in no day."""

    def document(self) -> dict[str, Any]:
        """Return it as the page gets it."""
        return {
            "state": self.state,
            "payments": dict(zip(("ledger", "aggregates"), self.payments, strict=True)),
            "amount_vnd": dict(zip(("ledger", "aggregates"), self.amount_vnd, strict=True)),
            "places": self.places,
            "differing": self.differing,
            "days": self.days,
            "exact_days": self.exact_days,
            "outside": self.outside,
        }


class Balancer:
    """Compares again and again, and remembers when either side moved."""

    def __init__(self) -> None:
        self._moved_at = 0.0
        self._reached: tuple[int, ...] = ()

    def compare(
        self,
        ledger: LedgerSums,
        totals: Iterable[Document],
        market_totals: Iterable[Document],
        days: Mapping[int, tuple[int, int]],
        now: float,
    ) -> Balance:
        """Compare the ledger with adoption.

        Args:
            ledger: the producer's count.
            totals: the newest totals of the run's communes.
            market_totals: those of its markets.
            days: payments and VND in the aggregates, by begin of the day; only days that are over.
            now: seconds on any clock that never goes back.
        """
        ledger.settle()
        theirs = dict(_places([*totals, *market_totals]))
        differing = sum(_differs(ledger.places.get(place), theirs.get(place)) for place in {*ledger.places, *theirs})
        payments = _total(ledger.places, STATUSES), _total(theirs, STATUSES)
        amounts = _total(ledger.places, ("amount_vnd",)), _total(theirs, ("amount_vnd",))
        reached = (*payments, *amounts)
        if reached != self._reached:
            self._reached, self._moved_at = reached, now
        if not differing:
            state: State = "exact"
        else:
            state = "settling" if now - self._moved_at < SETTLE_SECONDS else "differs"
        known = [(ledger.days.get(local_day(at), [0, 0]), sums) for at, sums in days.items()]
        return Balance(
            state=state,
            payments=payments,
            amount_vnd=amounts,
            places=len({*ledger.places, *theirs}),
            differing=differing,
            days=len(known),
            exact_days=sum(tuple(mine) == sums for mine, sums in known),
            outside=sum(_outside(document) for document in totals),
        )


def local_day(start_at: int) -> str:
    """Return the local date of a day's begin, ISO 8601."""
    return dt.datetime.fromtimestamp((start_at + UTC_OFFSET_MS) / 1000, dt.UTC).date().isoformat()


def _places(documents: Iterable[Document]) -> Iterator[tuple[Place, Counts]]:
    for document in documents:
        if "market" in document:
            yield ("market", document["market"]), _counts(document["tallies"])
        for sector, tallies in document.get("by_sector", {}).items():
            yield (sector, document["commune"]), _counts(tallies)


def _counts(tallies: Mapping[str, Mapping[str, int]]) -> Counts:
    return {
        (method, measure): tally[measure]
        for method, tally in tallies.items()
        for measure in MEASURES
        if tally.get(measure)
    }


def _differs(ledger: Mapping[tuple[str, str], int] | None, aggregates: Counts | None) -> bool:
    return {what: number for what, number in (ledger or {}).items() if number} != (aggregates or {})


def _total(places: Mapping[Place, Mapping[tuple[str, str], int]], measures: tuple[str, ...]) -> int:
    return sum(
        number
        for (kind, _), counts in places.items()
        if kind != "market"
        for (_, measure), number in counts.items()
        if measure in measures
    )


def _outside(document: Document) -> int:
    return sum(tally.get(status, 0) for tally in document.get("outside_windows", {}).values() for status in STATUSES)
