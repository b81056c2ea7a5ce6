"""The books of a run, kept on both sides, and where they differ.

In: ledger entries and adoption records, as documents of one run. Out: `Books`, sums over them, mismatches.
Pure.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from schemas.events import METHODS

MARKET = "market_stall"
MEASURES = ("settled", "failed", "amount_vnd", "reversed", "reversed_vnd")
UTC_OFFSET_MS, DAY_MS = 7 * 3_600_000, 86_400_000

Place = tuple[str, str]
"""A kind (market or commune) or sector, and the id of the market or commune."""
Counts = dict[str, dict[str, int]]
"""Method → measure → number."""


@dataclass
class Books:
    """What was counted of one run, on one side."""

    totals: dict[Place, Counts] = field(default_factory=dict)
    """(sector, commune) or ("market", market)."""
    days: dict[tuple[Place, str], Counts] = field(default_factory=dict)
    outside: dict[Place, Counts] = field(default_factory=dict)
    """Payments that are in the total and in no day."""


def of_ledger(entries: Iterable[dict[str, Any]]) -> tuple[Books, int]:
    """Return the books that the producer kept, and the number of their cells."""
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


def of_aggregates(documents: Iterable[dict[str, Any]]) -> Books:
    """Return the books that the stream kept, from its newest records."""
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


def both(ledger: Books, aggregates: Books, *measures: str) -> dict[str, int]:
    """Return the sum of measures over all places and methods, on both sides."""
    return {"ledger": _sum(ledger, measures), "aggregates": _sum(aggregates, measures)}


def _sum(books: Books, measures: tuple[str, ...]) -> int:
    return sum(
        counts.get(measure, 0)
        for (kind, _), by_method in books.totals.items()
        if kind != "market"
        for counts in by_method.values()
        for measure in measures
    )


def mismatches(ledger: Books, aggregates: Books) -> Iterator[dict[str, Any]]:
    """Yield where the two differ: cell, day or "total", method, measure, and both numbers."""
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
