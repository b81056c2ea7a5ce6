"""The books of one run while it is in flow: ledger and aggregates, commune by commune and day by day.

In: ledger entries and checkpoints, adoption records of communes, as documents. Out: how far they agree, and where not.
Pure. A simulated day of a commune is *due* when both sides have closed it: the ledger by the checkpoints of all shards,
behind which nothing changes any more; the aggregates by a final window of that day or a later one. What is due must
be equal, at any speed and whatever is under way. What agrees is forgotten, so that a long run takes no more memory.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, TypeAlias

from schemas.events import METHODS
from services.books import DAY_MS, MEASURES, UTC_OFFSET_MS

Document = dict[str, Any]
Vector: TypeAlias = "array[int]"
"""Method by method, the measures of `services.books`."""

_WIDTH: Final = len(MEASURES)
_BEGIN: Final[dict[str, int]] = {method: number * _WIDTH for number, method in enumerate(METHODS)}
_PLACE: Final[dict[str, int]] = {measure: number for number, measure in enumerate(MEASURES)}
_COUNTS: Final = [at for at in range(len(METHODS) * _WIDTH) if not MEASURES[at % _WIDTH].endswith("_vnd")]
_MONEY: Final = [at for at in range(len(METHODS) * _WIDTH) if MEASURES[at % _WIDTH].endswith("_vnd")]
_EPOCH: Final = date(1970, 1, 1).toordinal()
NEVER: Final = -1


def day_number(day: str) -> int:
    """Return the number of a local date, counted from 1970-01-01."""
    return date.fromisoformat(day).toordinal() - _EPOCH


def _day_of_window(start_at: int) -> int:
    return (start_at + UTC_OFFSET_MS) // DAY_MS


def vector(tallies: Mapping[str, Mapping[str, int]]) -> Vector:
    """Return tallies as one row of numbers."""
    numbers = [0] * (len(METHODS) * _WIDTH)
    for method, tally in tallies.items():
        begin = _BEGIN[method]
        for measure, number in tally.items():
            numbers[begin + _PLACE[measure]] = number
    return array("q", numbers)


def _sum(vectors: Iterable[Vector]) -> Vector:
    return array("q", map(sum, zip(*vectors, strict=True)))


def payments_in(numbers: Vector) -> int:
    """Return how many payments a row counts: settled, failed, reversals."""
    return sum(numbers[at] for at in _COUNTS)


def vnd_in(numbers: Vector) -> int:
    """Return the VND that a row counts, of settled ones and of reversals."""
    return sum(numbers[at] for at in _MONEY)


@dataclass(frozen=True)
class Standing:
    """How the books of a run stand."""

    difference_payments: int
    """Payments that one side has of due days and the other has not, and no late payment explains."""
    difference_vnd: int
    reconciled_payments: int
    """Payments of due days that agree."""
    reconciled_until: int | None
    """Up to the begin of which day, as its number, all communes agree; None while no day is due."""


class DayBooks:
    """Of one run."""

    def __init__(self) -> None:
        self._ledger: dict[str, dict[int, dict[str, Vector]]] = defaultdict(lambda: defaultdict(dict))
        """Commune → day → cell."""
        self._windows: dict[str, dict[int, tuple[int, bool, Vector]]] = defaultdict(dict)
        """Commune → day → revision, final, numbers."""
        self._outside: dict[str, tuple[tuple[int, ...], Vector]] = {}
        self._checkpoints: dict[str, int] = {}
        self._partition: dict[str, int] = {}
        self._closed: dict[int, int] = {}
        """Partition → the newest day that the aggregates have closed: for all communes there."""
        self._settled: dict[str, set[int]] = defaultdict(set)
        """Commune → days that agreed and are forgotten."""
        self._settled_payments = 0
        self.ledger_payments = 0
        """Payments in the ledger, of all days."""
        self.ledger_vnd = 0

    def enter(self, document: Document) -> None:
        """Learn a cell's day from the ledger; the last one of a cell and day counts."""
        commune, day = document["commune"], day_number(document["day"])
        if day in self._settled[commune]:
            return
        cells, mine = self._ledger[commune][day], vector(document["tallies"])
        known = cells.get(document["cell"])
        self.ledger_payments += payments_in(mine) - (payments_in(known) if known else 0)
        self.ledger_vnd += vnd_in(mine) - (vnd_in(known) if known else 0)
        cells[document["cell"]] = mine

    def checkpoint(self, document: Document) -> None:
        """Learn before which day a shard's entries are complete."""
        self._checkpoints[document["shard"]] = day_number(document["day"])

    def learn(self, document: Document, partition: int) -> None:
        """Learn a commune's adoption record, and on which partition it was."""
        commune = document["commune"]
        self._partition[commune] = partition
        if document["window"] == "total":
            self._learn_total(commune, document)
        elif document["window"] == "day":
            self._learn_day(commune, _day_of_window(document["start_at"]), document, partition)

    def _learn_total(self, commune: str, document: Document) -> None:
        progress = (document["revision"], document.get("late", 0))
        if commune not in self._outside or self._outside[commune][0] <= progress:
            self._outside[commune] = (progress, vector(document.get("outside_windows", {})))

    def _learn_day(self, commune: str, day: int, document: Document, partition: int) -> None:
        if document["final"]:
            self._closed[partition] = max(day, self._closed.get(partition, NEVER))
        progress = (document["revision"], document["final"])
        known = self._windows[commune].get(day)
        if day not in self._settled[commune] and (known is None or known[:2] <= progress):
            self._windows[commune][day] = (*progress, vector(document["tallies"]))

    def stand(self) -> Standing:
        """Compare what is due, and forget what agrees."""
        complete = min(self._checkpoints.values(), default=NEVER) - 1
        payments = vnd = explained = 0
        until: list[int] = []
        for commune in {*self._ledger, *self._windows}:
            due = min(complete, self._closed_day(commune))
            days = self._settle(commune, due)
            missing = self._unexplained(commune, days)
            payments, vnd = payments + payments_in(missing), vnd + vnd_in(missing)
            if any(missing):
                until.append(min(days))
            else:
                explained += sum(payments_in(self._told(commune, day)) for day in days)
                until.append(due + 1)
        agreed = min(until, default=NEVER)
        return Standing(payments, vnd, self._settled_payments + explained, agreed if agreed > NEVER + 1 else None)

    def _closed_day(self, commune: str) -> int:
        """Return the newest day that the aggregates have closed for a commune; of an unheard-of one, for everybody."""
        if commune in self._partition:
            return self._closed.get(self._partition[commune], NEVER)
        return min((self._closed.get(partition, NEVER) for partition in self._partition.values()), default=NEVER)

    def _settle(self, commune: str, due: int) -> list[int]:
        """Forget the due days that agree; return those that do not."""
        differing = []
        for day in sorted(day for day in {*self._ledger[commune], *self._windows[commune]} if day <= due):
            told = self._told(commune, day)
            if told != self._seen(commune, day):
                differing.append(day)
                continue
            self._settled[commune].add(day)
            self._settled_payments += payments_in(told)
            self._ledger[commune].pop(day, None)
            self._windows[commune].pop(day, None)
        return differing

    def _told(self, commune: str, day: int) -> Vector:
        return _sum(self._ledger[commune][day].values()) if day in self._ledger[commune] else vector({})

    def _seen(self, commune: str, day: int) -> Vector:
        return self._windows[commune][day][2] if day in self._windows[commune] else vector({})

    def _unexplained(self, commune: str, days: Iterable[int]) -> Vector:
        """Return by how much one side exceeds the other, either way.

        What came after its day had closed is in no day of the aggregates: it explains what days lack, never what they
        have too much. There may be more of it than is due.
        """
        lacking, surplus = vector({}), vector({})
        for day in days:
            for at, (told, seen) in enumerate(zip(self._told(commune, day), self._seen(commune, day), strict=True)):
                lacking[at] += max(0, told - seen)
                surplus[at] += max(0, seen - told)
        outside = self._outside[commune][1] if commune in self._outside else vector({})
        return array(
            "q", (more + max(0, less - late) for more, less, late in zip(surplus, lacking, outside, strict=True))
        )
