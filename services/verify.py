"""Verification: the ledger against the aggregates, cell by cell, count and VND, by method.

In: ``quetma.ledger`` and the adoption topics. Out: a `Verdict` that says where they differ, if they do.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from schemas.errors import CheckFailedError
from schemas.events import METHODS
from schemas.topics import ADOPTION_COMMUNE, ADOPTION_MARKET, LEDGER
from services.topic_reader import read_all

MARKET = "market_stall"
MEASURES = ("settled", "failed", "amount_vnd")
POLL_SECONDS = 0.5
HOURLY = b"|hour|"
"""In the keys of hourly windows, which the ledger has nothing to compare with."""
UTC_OFFSET_MS, DAY_MS = 7 * 3_600_000, 86_400_000

Place = tuple[str, str]
"""A kind (market or commune) or sector, and the id of the market or commune."""
Counts = dict[str, dict[str, int]]
"""Method → measure → number."""

_decode = msgspec.json.Decoder().decode


@dataclass
class Books:
    """What was counted of one run, on one side."""

    totals: dict[Place, Counts] = field(default_factory=dict)
    """(sector, commune) or ("market", market)."""
    days: dict[tuple[Place, str], Counts] = field(default_factory=dict)
    outside: dict[Place, Counts] = field(default_factory=dict)
    """Payments that are in the total and in no day."""


@dataclass(frozen=True)
class Verdict:
    """What verification found. Payments are all of them, failed ones included; amounts are of settled ones."""

    run: str
    cells: int
    payments: dict[str, int]
    amount_vnd: dict[str, int]
    duplicates: int
    late: int
    mismatches: list[dict[str, Any]]

    @property
    def exact(self) -> bool:
        """Whether ledger and aggregates agree everywhere."""
        return not self.mismatches

    def document(self) -> dict[str, Any]:
        """Return it as `quetma verify --json` prints it."""
        return {
            "exact": self.exact,
            "run": self.run,
            "cells": self.cells,
            "payments": self.payments,
            "amount_vnd": self.amount_vnd,
            "duplicates": self.duplicates,
            "late": self.late,
            "mismatches": self.mismatches,
        }


async def verify(bootstrap_servers: str, run: str | None = None, *, wait_seconds: float = 0.0) -> Verdict:
    """Compare the books of a run.

    Args:
        bootstrap_servers: the broker.
        run: its name; the one that started last if None.
        wait_seconds: how long to go on while they differ and the aggregates still move.

    Raises:
        CheckFailedError: if the ledger has no such run.
    """
    before: Verdict | None = None
    still_since = time.monotonic()
    while True:
        verdict = await _verify_once(bootstrap_servers, run)
        if before is None or verdict.payments["aggregates"] != before.payments["aggregates"]:
            still_since = time.monotonic()
        if verdict.exact or time.monotonic() - still_since >= wait_seconds:
            return verdict
        before = verdict
        await asyncio.sleep(POLL_SECONDS)


async def _verify_once(servers: str, run: str | None) -> Verdict:
    newest: dict[bytes, bytes] = {}
    started: dict[str, int] = {}
    # The aggregates first: the ledger may be ahead of them, never behind what was acknowledged before.
    for topics in ((ADOPTION_MARKET, ADOPTION_COMMUNE), (LEDGER,)):
        async for record in read_all(servers, topics):
            if HOURLY not in record.key:
                newest[record.topic.encode() + b"|" + record.key] = record.value
    documents = [_decode(value) for value in newest.values()]
    for document in documents:
        if document.get("kind") == "run_started":
            started[document["run"]] = document["started_at"]
    chosen = run or max(started, key=lambda name: started[name], default=None)
    if chosen is None or chosen not in started:
        known = ", ".join(started) or "none"
        raise CheckFailedError("verify", f"the ledger has no run {chosen or 'at all'}", f"runs there: {known}")
    mine = [document for document in documents if document["run"] == chosen]
    return compare(
        chosen,
        ledger=[one for one in mine if one.get("kind") == "cell_day"],
        aggregates=[one for one in mine if "window" in one],
    )


def compare(run: str, *, ledger: Iterable[dict[str, Any]], aggregates: Iterable[dict[str, Any]]) -> Verdict:
    """Compare ledger entries with the newest adoption records, both as documents of one run."""
    emitted = list(aggregates)
    left, cells = _of_ledger(ledger)
    right = _of_aggregates(emitted)
    totals = [one for one in emitted if one["window"] == "total" and "market" not in one]
    return Verdict(
        run=run,
        cells=cells,
        payments={"ledger": _payments(left), "aggregates": _payments(right)},
        amount_vnd={"ledger": _amount(left), "aggregates": _amount(right)},
        duplicates=sum(one.get("duplicates", 0) for one in totals),
        late=sum(one.get("late", 0) for one in totals),
        mismatches=list(_mismatches(left, right)),
    )


def _of_ledger(entries: Iterable[dict[str, Any]]) -> tuple[Books, int]:
    books = Books()
    cells = set()
    for entry in entries:
        cells.add(entry["cell"])
        places: list[Place] = [(entry["sector"], entry["commune"])]
        if entry["sector"] == MARKET:
            places.append(("market", entry["cell"]))
        for place in places:
            _add(books.totals.setdefault(place, {}), entry["tallies"])
            _add(books.days.setdefault((place, entry["day"]), {}), entry["tallies"])
    return books, len(cells)


def _of_aggregates(documents: Iterable[dict[str, Any]]) -> Books:
    books = Books()
    for document in documents:
        for place, tallies in _parts(document):
            if document["window"] == "total":
                books.totals[place] = tallies
            elif document["window"] == "day":
                books.days[place, _local_day(document["start_at"])] = tallies
        if document["window"] == "total":
            whole: Place = ("market", document["market"]) if "market" in document else ("commune", document["commune"])
            books.outside[whole] = document.get("outside_windows", {})
    return books


def _parts(document: dict[str, Any]) -> Iterator[tuple[Place, Counts]]:
    if "market" in document:
        yield ("market", document["market"]), document["tallies"]
    for sector, tallies in document.get("by_sector", {}).items():
        yield (sector, document["commune"]), tallies


def _local_day(start_at: int) -> str:
    day = (start_at + UTC_OFFSET_MS) // DAY_MS
    return time.strftime("%Y-%m-%d", time.gmtime(day * DAY_MS // 1000))


def _add(target: Counts, tallies: Counts) -> None:
    for method, measures in tallies.items():
        mine = target.setdefault(method, dict.fromkeys(MEASURES, 0))
        for measure in MEASURES:
            mine[measure] += measures.get(measure, 0)


def _payments(books: Books) -> int:
    return sum(
        counts["settled"] + counts["failed"]
        for (kind, _), by_method in books.totals.items()
        if kind != "market"
        for counts in by_method.values()
    )


def _amount(books: Books) -> int:
    return sum(
        counts["amount_vnd"]
        for (kind, _), by_method in books.totals.items()
        if kind != "market"
        for counts in by_method.values()
    )


def _mismatches(ledger: Books, aggregates: Books) -> Iterator[dict[str, Any]]:
    for place in sorted({*ledger.totals, *aggregates.totals}):
        mine, theirs = ledger.totals.get(place, {}), aggregates.totals.get(place, {})
        yield from _differences(place, "total", mine, theirs)
    missing: dict[Place, Counts] = defaultdict(dict)
    differing: dict[Place, list[dict[str, Any]]] = defaultdict(list)
    for place, day in sorted({*ledger.days, *aggregates.days}):
        found = _differences(place, day, ledger.days.get((place, day), {}), aggregates.days.get((place, day), {}))
        for difference in found:
            kind, id_ = place
            whole = place if kind == "market" else ("commune", id_)
            differing[whole].append(difference)
            lost = difference["ledger"] - difference["aggregates"]
            counts = missing[whole].setdefault(difference["method"], dict.fromkeys(MEASURES, 0))
            counts[difference["measure"]] += lost
    for whole in sorted({*differing, *aggregates.outside}):
        # What came after its day had closed is in no day, and accounted for beside the days. It explains what days
        # lack, never what they have too much: a payment in the wrong day would else cancel itself out.
        outside, surplus = aggregates.outside.get(whole, {}), any(_is_surplus(one) for one in differing[whole])
        if surplus or _nonzero(missing[whole]) != _nonzero(outside):
            yield from differing[whole] or _differences(whole, "outside", {}, outside)


def _is_surplus(difference: dict[str, Any]) -> bool:
    return bool(difference["aggregates"] > difference["ledger"])


def _nonzero(counts: Counts) -> dict[tuple[str, str], int]:
    return {(method, measure): n for method, of in counts.items() for measure, n in of.items() if n}


def _differences(place: Place, day: str, ledger: Counts, aggregates: Counts) -> Iterator[dict[str, Any]]:
    kind, id_ = place
    for method in METHODS:
        for measure in MEASURES:
            mine = ledger.get(method, {}).get(measure, 0)
            theirs = aggregates.get(method, {}).get(measure, 0)
            if mine != theirs:
                yield {
                    "cell": id_ if kind == "market" else f"{id_}/{kind}",
                    "day": day,
                    "method": method,
                    "measure": measure,
                    "ledger": mine,
                    "aggregates": theirs,
                }
