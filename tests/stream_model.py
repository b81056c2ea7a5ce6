"""What the streams must come to, found the slow and plain way: the whole list of payments, counted anew each time.

In: the values of a partition's records, in order. Out: what each window of each place holds, and what was set aside.
Nothing of ``streams`` is used here, so that a mistake there is not made here too.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from pydantic import ValidationError

from schemas.events import Cell, Payment

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Sequence

LOCAL = dt.timezone(dt.timedelta(hours=7))
HOUR_MS = 3_600_000
MIDNIGHT_MS = int(dt.datetime(2026, 3, 2, tzinfo=LOCAL).timestamp() * 1000)
"""Where a local day begins: 17:00 UTC of 1 March."""
COMMUNE, MARKET = "quetma.adoption.commune", "quetma.adoption.market"


@dataclass(frozen=True)
class Place:
    """A cell, as payments name it."""

    run: str
    cell: str
    commune: str
    sector: str


PLACES = (
    Place("run-1", "cho-binh-an", "binh-an", "market_stall"),
    Place("run-1", "binh-an/electricity", "binh-an", "electricity"),
    Place("run-1", "cho-tan-loc", "tan-loc", "market_stall"),
    Place("run-1", "tan-loc/water", "tan-loc", "water"),
    Place("run-2", "cho-binh-an", "binh-an", "market_stall"),
)
NOWHERE = Place("run-1", "cho-ma", "binh-an", "market_stall")
"""A cell that no run has announced."""
METHODS = ("cash", "vietqr", "e_wallet", "card", "bank_transfer")


@dataclass(frozen=True)
class Record:
    """A Kafka record."""

    offset: int
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()
    partition: int = 0
    timestamp: int = MIDNIGHT_MS
    key: bytes | None = b"binh-an"


class Cells:
    """A worker's copy of what has been announced; what is ``known`` grows when it is read again."""

    def __init__(self, known: Iterable[Place] = PLACES) -> None:
        self.known = {(place.run, place.cell): announced(place) for place in known}

    def get(self, run: str, cell: str) -> Cell | None:
        return self.known.get((run, cell))


def announced(place: Place) -> Cell:
    return Cell(
        schema_version=1,
        run=place.run,
        cell=place.cell,
        kind="market" if place.sector == "market_stall" else "commune_sector",
        name=place.cell,
        commune=place.commune,
        commune_name=place.commune,
        province="an-giang",
        province_name="An Giang",
        sector=place.sector,
        sources=2,
    )


def payment(place: Place = PLACES[0], source: str = "s", sequence: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a payment's document."""
    document = {
        "schema_version": 1,
        "run": place.run,
        "source": source,
        "cell": place.cell,
        "commune": place.commune,
        "sector": place.sector,
        "payment_id": f"{source}-{sequence}",
        "sequence": sequence,
        "method": "cash",
        "status": "settled",
        "amount_vnd": 20_000,
        "occurred_at": MIDNIGHT_MS,
    }
    return document | changes


def wire(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()


def log_of(*values: dict[str, Any] | bytes | None) -> list[Record]:
    """Return records with these values, from offset 0 on."""
    return [Record(at, wire(one) if isinstance(one, dict) else one) for at, one in enumerate(values)]


GARBAGE: tuple[bytes | None, ...] = (
    b"",
    None,
    b"{",
    b"\xff\xfe",
    b"[" * 5000,
    b"[1]",
    wire(payment())[:-9],
    wire({name: value for name, value in payment().items() if name != "method"}),
    wire(payment(amount_vnd=0)),
    wire(payment(schema_version=2)),
    wire(payment(occurred_at=1)),
    wire(payment(commune="tan-loc")),
    wire(payment(NOWHERE)),
)


def random_log(rng: random.Random, length: int) -> list[Record]:
    """Return a partition as it might be: time goes on, but records repeat, are late, out of order, or garbage."""
    values: list[dict[str, Any] | bytes | None] = []
    sequences: Counter[tuple[Place, str]] = Counter()
    sent: list[dict[str, Any]] = []
    while len(values) < length:
        if rng.random() < 0.12:
            values.append(rng.choice(GARBAGE))
            continue
        if sent and rng.random() < 0.15:
            values.append(rng.choice(sent))
            continue
        place, source = rng.choice(PLACES), rng.choice("ab")
        sequences[place, source] += 1 + (rng.random() < 0.1)  # some numbers never come, or late
        now = len(values) * rng.choice((10, 60, 150)) * 60_000
        behind = rng.choice((0, 0, 0, 0, HOUR_MS, 4 * HOUR_MS, 30 * HOUR_MS))
        document = payment(
            place,
            source,
            sequences[place, source],
            method=rng.choice(METHODS),
            status=rng.choice(("settled", "settled", "failed", "reversed")),
            amount_vnd=rng.randint(1, 9) * 1000,
            occurred_at=MIDNIGHT_MS + now - behind - (40 * 24 * HOUR_MS if place.run == "run-2" else 0),
        )
        sent.append(document)
        if rng.random() < 0.1 and document["sequence"] > 1:
            values.append({**document, "sequence": rng.randint(1, document["sequence"])})
        values.append(document)
    return log_of(*values[:length])


@dataclass(frozen=True)
class Counted:
    """A payment that counts, and in which of its windows."""

    payment: Payment
    in_hour: bool
    in_day: bool


@dataclass
class Reference:
    """All that a partition has brought so far."""

    lateness_ms: int
    places: frozenset[Place] = frozenset(PLACES)
    counted: list[Counted] = field(default_factory=list)
    repeated: list[Payment] = field(default_factory=list)
    set_aside: list[int] = field(default_factory=list)
    newest: dict[str, int] = field(default_factory=dict)
    _seen: set[tuple[str, str, str, int]] = field(default_factory=set)

    def take(self, record: Record) -> None:
        """Count a record."""
        try:
            one = Payment.model_validate_json(record.value or b"")
        except (ValidationError, ValueError):
            self.set_aside.append(record.offset)
            return
        if Place(one.run, one.cell, one.commune, one.sector) not in self.places:
            self.set_aside.append(record.offset)
            return
        self.newest[one.run] = max(one.occurred_at, self.newest.get(one.run, 0))
        identity = (one.run, one.cell, one.source, one.sequence)
        if identity in self._seen:
            self.repeated.append(one)
            return
        self._seen.add(identity)
        (_, hour_end), (_, day_end) = hour_of(one.occurred_at), day_of(one.occurred_at)
        self.counted.append(
            Counted(one, in_hour=not self.has_closed(one.run, hour_end), in_day=not self.has_closed(one.run, day_end))
        )

    def has_closed(self, run: str, end: int) -> bool:
        return end + self.lateness_ms <= self.newest[run]

    @property
    def late(self) -> list[Payment]:
        return [one.payment for one in self.counted if not one.in_hour]

    def documents(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return all that should have been told, by topic and key: see `comparable`."""
        windows: dict[tuple[str, str, str, str, int, int], list[Payment]] = {}
        for one in self.counted:
            paid = one.payment
            spans = [("total", 0, 0)]
            spans += [("day", *day_of(paid.occurred_at))] if one.in_day else []
            spans += [("hour", *hour_of(paid.occurred_at))] if one.in_hour else []
            for topic, place in places_of(paid):
                for span in spans:
                    windows.setdefault((topic, paid.run, place, *span), []).append(paid)
        documents = {}
        for (topic, run, place, window, start, end), payments in windows.items():
            key = f"{run}|{place}|{window}" + (f"|{start}" if window != "total" else "")
            documents[topic, key] = self._document(topic, run, place, (window, end), payments)
        return documents

    def _document(
        self, topic: str, run: str, place: str, window: tuple[str, int], payments: list[Payment]
    ) -> dict[str, Any]:
        sectors = {one.sector for one in payments}
        document: dict[str, Any] = {
            "window": window[0],
            "tallies": tallies_of(payments),
            "by_sector": {sector: tallies_of([one for one in payments if one.sector == sector]) for sector in sectors}
            if topic == COMMUNE
            else {},
            "revision": len(payments),
            "final": window[0] != "total" and self.has_closed(run, window[1]),
            **shares_of(payments),
        }
        if window[0] == "total":
            here = [one for one in self.counted if one.payment.run == run and (topic, place) in places_of(one.payment)]
            document["late"] = sum(not one.in_hour for one in here)
            document["outside_windows"] = tallies_of([one.payment for one in here if not one.in_day])
            document["duplicates"] = sum(one.run == run and (topic, place) in places_of(one) for one in self.repeated)
        return document


def places_of(paid: Payment) -> list[tuple[str, str]]:
    """Return the topics and places that a payment is told of in."""
    market = [(MARKET, paid.cell)] if paid.sector == "market_stall" else []
    return [(COMMUNE, paid.commune), *market]


def hour_of(at: int) -> tuple[int, int]:
    start = at - at % HOUR_MS
    return start, start + HOUR_MS


def day_of(at: int) -> tuple[int, int]:
    local = dt.datetime.fromtimestamp(at // 1000, LOCAL)
    start = local.replace(hour=0, minute=0, second=0, microsecond=0)
    return int(start.timestamp()) * 1000, int((start + dt.timedelta(days=1)).timestamp()) * 1000


def tallies_of(payments: Iterable[Payment]) -> dict[str, dict[str, int]]:
    tallies: dict[str, dict[str, int]] = {}
    for one in payments:
        tally = tallies.setdefault(one.method, {"settled": 0, "failed": 0, "amount_vnd": 0})
        tally[one.status] = tally.get(one.status, 0) + 1
        if one.status != "failed":
            sum_ = "amount_vnd" if one.status == "settled" else "reversed_vnd"
            tally[sum_] = tally.get(sum_, 0) + one.amount_vnd
    return tallies


def shares_of(payments: Iterable[Payment]) -> dict[str, float]:
    settled = [one for one in payments if one.status == "settled"]
    if not settled:
        return {}
    cashless = [one for one in settled if one.method != "cash"]
    return {
        "cashless_share_count": len(cashless) / len(settled),
        "cashless_share_value": sum(one.amount_vnd for one in cashless) / sum(one.amount_vnd for one in settled),
    }


def comparable(document: dict[str, Any]) -> dict[str, Any]:
    """Return of an adoption record what `Reference.documents` says of it; sectors without payments left out."""
    document = msgspec.to_builtins(document)
    names = ("window", "tallies", "revision", "final", "cashless_share_count", "cashless_share_value")
    names += ("late", "outside_windows", "duplicates") if document["window"] == "total" else ()
    sectors = {sector: tallies for sector, tallies in document.get("by_sector", {}).items() if tallies}
    return {name: document[name] for name in names if name in document} | {"by_sector": sectors}
