"""Adoption of one run as the page shows it: communes and markets of the newest day, curves over all days, the mix.

In: records of the adoption topics and announced cells, as documents. Out: rows of numbers, ready for JSON.
Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

CASH = "cash"
MAX_DAYS = 1100
"""Days of the curves that are kept, the newest: three years."""

Document = dict[str, Any]
Curve = list[tuple[int, float | None, float | None, int]]
"""Begin of the day, share by count, share by value, settled payments."""
Mix = dict[str, dict[str, tuple[int, int]]]
"""Sector → method → settled payments and their VND."""


class Sums(NamedTuple):
    """What was settled in one window."""

    payments: int = 0
    cashless: int = 0
    amount_vnd: int = 0
    cashless_vnd: int = 0
    revision: int = 0
    """Of the record that they are from: the higher one is further."""

    @property
    def share_count(self) -> float | None:
        """Cashless share of the payments, none where there is none."""
        return _share(self.cashless, self.payments)

    @property
    def share_value(self) -> float | None:
        """Cashless share of their value."""
        return _share(self.cashless_vnd, self.amount_vnd)

    def row(self) -> dict[str, Any]:
        """Return them as the page gets them."""
        return {
            "payments": self.payments,
            "amount_vnd": self.amount_vnd,
            "share_count": self.share_count,
            "share_value": self.share_value,
        }


@dataclass
class Place:
    """A commune or market by its names."""

    id: str
    name: str
    commune: str
    sources: int = 0


class RunAdoption:
    """What is known of one run's adoption. `apply` must cost little: there are thousands of records a second."""

    def __init__(self) -> None:
        self.province = ""
        self.province_name = ""
        self.communes: dict[str, Place] = {}
        self.markets: dict[str, Place] = {}
        self.totals: dict[str, Document] = {}
        self.market_totals: dict[str, Document] = {}
        self.hour_at: int | None = None
        self._today: dict[str, Document] = {}
        self._market_today: dict[str, Document] = {}
        self._filed: dict[int, dict[str, Sums]] = {}
        self._sums: dict[int, Sums] = {}

    def announce(self, cell: Document) -> None:
        """Learn a cell's names."""
        commune = cell["commune"]
        self.province, self.province_name = cell["province"], cell["province_name"]
        self.communes.setdefault(commune, Place(commune, cell["commune_name"], commune))
        if cell["kind"] == "market":
            self.markets[cell["cell"]] = Place(cell["cell"], cell["name"], commune, cell["sources"])

    def apply(self, document: Document) -> None:
        """Learn an adoption record; of one window the furthest counts, whatever order they come in."""
        window, market = document["window"], document.get("market")
        if window == "hour":
            if market is None:
                self.hour_at = max(self.hour_at or 0, document["start_at"])
        elif window == "total":
            if market is None:
                _keep_furthest(self.totals, document["commune"], document)
            else:
                _keep_furthest(self.market_totals, market, document)
        elif market is not None:
            _keep_furthest(self._market_today, market, document)
        else:
            self._apply_day(document)

    def _apply_day(self, document: Document) -> None:
        commune, at = document["commune"], document["start_at"]
        known = self._today.get(commune)
        if known is None or at >= known["start_at"]:
            if known is not None and at > known["start_at"]:
                self._file(known)
            _keep_furthest(self._today, commune, document)
        else:
            self._file(document)

    def _file(self, document: Document) -> None:
        """Keep a day that is not the commune's newest as sums alone."""
        at, sums = document["start_at"], sums_of(document)
        filed = self._filed.setdefault(at, {})
        known = filed.get(document["commune"])
        if known is None or sums.revision >= known.revision:
            filed[document["commune"]] = sums
            self._sums.pop(at, None)
        if len(self._filed) > MAX_DAYS:
            oldest = min(self._filed)
            del self._filed[oldest]
            self._sums.pop(oldest, None)

    # -- what is shown ------------------------------------------------------------------------------------------

    @property
    def day_at(self) -> int | None:
        """Begin of the newest simulated day, none before there is one."""
        return max((document["start_at"] for document in self._today.values()), default=None)

    def today(self) -> Sums:
        """Return the sums of the newest day over all communes."""
        at = self.day_at
        return _sum(sums_of(one) for one in self._today.values() if one["start_at"] == at)

    def commune_rows(self) -> list[dict[str, Any]]:
        """Return each commune's newest day, by id; communes without a payment yet have no shares."""
        return [
            {"id": id_, "name": self._name(id_), **_row(self._today.get(id_))}
            for id_ in sorted({*self.communes, *self._today})
        ]

    def market_rows(self) -> list[dict[str, Any]]:
        """Return each market's newest day; ranked by cashless share, then by payments."""
        rows = [
            {
                "id": id_,
                "name": place.name if place else id_,
                "commune": place.commune if place else document["commune"],
                "stalls": place.sources if place else 0,
                **_row(document),
            }
            for id_, place, document in self._known_markets()
        ]
        return sorted(rows, key=lambda row: (-(row["share_count"] or 0.0), -row["payments"], row["id"]))

    def _known_markets(self) -> Iterator[tuple[str, Place | None, Any]]:
        for id_ in {*self.markets, *self._market_today}:
            yield id_, self.markets.get(id_), self._market_today.get(id_)

    def curve(self, commune: str | None = None) -> Curve:
        """Return the days before the newest one, of the province or of a commune, in order."""
        if commune is None:
            return [_point(at, self._day_sums(at)) for at in self._past_days()]
        points = [(at, self._sums_on(at, commune)) for at in self._past_days()]
        return [_point(at, sums) for at, sums in points if sums is not None]

    def payments_by_day(self) -> dict[int, tuple[int, int]]:
        """Return payments, settled and other, and VND settled of the days before the newest one."""
        return {at: (sums.revision, sums.amount_vnd) for at in self._past_days() for sums in [self._day_sums(at)]}

    def _past_days(self) -> list[int]:
        begun = {document["start_at"] for document in self._today.values()}
        return sorted({*self._filed, *begun} - {self.day_at})

    def _sums_on(self, at: int, commune: str) -> Sums | None:
        newest = self._today.get(commune)
        if newest is not None and newest["start_at"] == at:
            return sums_of(newest)
        return self._filed.get(at, {}).get(commune)

    def _day_sums(self, at: int) -> Sums:
        """Return a past day's sums over all communes, kept until one of them changes."""
        trailing = [one for one in self._today.values() if one["start_at"] == at]
        if trailing:
            return _sum([*self._filed.get(at, {}).values(), *map(sums_of, trailing)])
        if at not in self._sums:
            self._sums[at] = _sum(self._filed[at].values())
        return self._sums[at]

    def mix(self, commune: str | None = None) -> Mix:
        """Return settled payments and VND by sector and method since the run began."""
        chosen = self.totals.values() if commune is None else filter(None, [self.totals.get(commune)])
        sums: dict[str, dict[str, Counter[str]]] = {}
        for document in chosen:
            for sector, tallies in document.get("by_sector", {}).items():
                for method, tally in tallies.items():
                    sums.setdefault(sector, {}).setdefault(method, Counter()).update(tally)
        return {
            sector: {method: (tally["settled"], tally["amount_vnd"]) for method, tally in by_method.items()}
            for sector, by_method in sums.items()
        }

    def commune(self, id_: str) -> dict[str, Any] | None:
        """Return everything about one commune, none if it is not of this run."""
        if id_ not in self.communes and id_ not in self._today:
            return None
        return {
            "id": id_,
            "name": self._name(id_),
            "day_at": self._today[id_]["start_at"] if id_ in self._today else None,
            "today": _row(self._today.get(id_)),
            "curve": self.curve(id_),
            "mix": self.mix(id_),
            "markets": [row for row in self.market_rows() if row["commune"] == id_],
        }

    def sum_of_totals(self, field: str) -> int:
        """Return the sum of a count over the totals of all communes."""
        return sum(document.get(field, 0) for document in self.totals.values())

    def _name(self, commune: str) -> str:
        place = self.communes.get(commune)
        return place.name if place else commune


def sums_of(document: Document) -> Sums:
    """Return the sums of an adoption record."""
    tallies = document["tallies"]
    cash = tallies.get(CASH, {})
    payments = sum(tally["settled"] for tally in tallies.values())
    amount = sum(tally["amount_vnd"] for tally in tallies.values())
    return Sums(
        payments,
        payments - cash.get("settled", 0),
        amount,
        amount - cash.get("amount_vnd", 0),
        document["revision"],
    )


def _row(document: Document | None) -> dict[str, Any]:
    return (Sums() if document is None else sums_of(document)).row()


def _point(at: int, sums: Sums) -> tuple[int, float | None, float | None, int]:
    return at, sums.share_count, sums.share_value, sums.payments


def _sum(parts: Iterable[Sums]) -> Sums:
    return Sums(*map(sum, zip(Sums(), *parts, strict=True)))


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _keep_furthest(documents: dict[str, Document], key: str, document: Document) -> None:
    known = documents.get(key)
    if known is None or _progress(known) <= _progress(document):
        documents[key] = document


def _progress(document: Document) -> tuple[int, ...]:
    """Return how far a record is: late writes of a worker that lost its partition must not take numbers back."""
    counts = (document.get(field, 0) for field in ("start_at", "revision", "duplicates", "late"))
    return (*counts, document["final"])
