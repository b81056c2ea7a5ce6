"""Adoption as it is emitted: one record for each window of a market or commune that changed.

In: cells of one partition, the runs' watermarks. Out: `Emission`s for the adoption topics (`schemas.events.Adoption`).
Pure. A record's revision is the number of payments in its window: it grows with them, and a restart changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from schemas.events import SCHEMA_VERSION, Sector, WindowKind
from schemas.topics import ADOPTION_COMMUNE, ADOPTION_MARKET
from streams import tallies
from streams.cells import HOUR_MS, CellState, day_is_closed, first_hour
from streams.tallies import Tally

MARKET: Sector = "market_stall"

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Emission:
    """A record for an adoption topic."""

    topic: str
    key: str
    state: tuple[int, ...]
    """Revision, duplicates, late, final: equal if nothing has changed since it was emitted."""
    document: dict[str, Any]

    def value(self, emitted_at: int) -> bytes:
        """Return its wire form."""
        return _encode({**self.document, "emitted_at": emitted_at})


@dataclass(frozen=True)
class _Place:
    """A market or a commune: its cells, and how they are named."""

    topic: str
    id: str
    cells: tuple[CellState, ...]

    @property
    def is_commune(self) -> bool:
        return self.topic == ADOPTION_COMMUNE


def emissions(
    touched: Iterable[CellState], everything: Iterable[CellState], watermark_hours: Mapping[str, int]
) -> Iterator[Emission]:
    """Yield the records of all open windows of the places that were touched.

    Args:
        touched: cells that changed.
        everything: all cells of the partition, since a commune is the sum of its cells.
        watermark_hours: of each run, the first hour that has not closed; what is before it is final.
    """
    communes: dict[tuple[str, str], list[CellState]] = {}
    for cell in everything:
        communes.setdefault((cell.run, cell.commune), []).append(cell)
    dirty: dict[tuple[str, str], None] = {}
    for cell in touched:
        dirty[cell.run, cell.commune] = None
        if cell.sector == MARKET:
            yield from _windows(_Place(ADOPTION_MARKET, cell.cell, (cell,)), watermark_hours.get(cell.run, 0))
    for run, commune in dirty:
        place = _Place(ADOPTION_COMMUNE, commune, tuple(communes[run, commune]))
        yield from _windows(place, watermark_hours.get(run, 0))


def _windows(place: _Place, watermark_hour: int) -> Iterator[Emission]:
    cells = place.cells
    yield _total(place)
    for day in sorted({day for cell in cells for day in cell.open_days()}):
        start, end = first_hour(day), first_hour(day + 1)
        final = day_is_closed(day, watermark_hour)
        yield _window(place, "day", start, end, [cell.day(day) for cell in cells], final=final)
    for hour in sorted({hour for cell in cells for hour in cell.hours}):
        by_cell = [cell.hours.get(hour, tallies.empty()) for cell in cells]
        yield _window(place, "hour", hour, hour + 1, by_cell, final=hour < watermark_hour)


def _total(place: _Place) -> Emission:
    cells = place.cells
    by_cell = [cell.total() for cell in cells]
    counts = {
        "duplicates": sum(cell.duplicates for cell in cells),
        "late": sum(cell.late for cell in cells),
        "outside_windows": tallies.as_document(tallies.total(cell.outside for cell in cells)),
    }
    return _emission(place, "total", f"{place.id}|total", by_cell, counts, final=False)


def _window(place: _Place, window: WindowKind, start: int, end: int, by_cell: list[Tally], *, final: bool) -> Emission:
    times = {"start_at": start * HOUR_MS, "end_at": end * HOUR_MS}
    return _emission(place, window, f"{place.id}|{window}|{start * HOUR_MS}", by_cell, times, final=final)


def _emission(
    place: _Place, window: WindowKind, key: str, by_cell: list[Tally], more: dict[str, Any], *, final: bool
) -> Emission:
    first = place.cells[0]
    whole = tallies.total(by_cell)
    count, value = tallies.cashless_shares(whole)
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "run": first.run,
        "province": first.province,
        "commune": first.commune,
        "window": window,
        "tallies": tallies.as_document(whole),
        "revision": tallies.payments(whole),
        "final": final,
        **more,
    }
    if place.is_commune:
        document["by_sector"] = _by_sector(place.cells, by_cell)
    else:
        document["market"] = place.id
    if count is not None:
        document |= {"cashless_share_count": count, "cashless_share_value": value}
    state = (document["revision"], more.get("duplicates", 0), more.get("late", 0), int(final))
    return Emission(place.topic, f"{first.run}|{key}", state, document)


def _by_sector(cells: Iterable[CellState], by_cell: list[Tally]) -> dict[str, Any]:
    sums: dict[str, Tally] = {}
    for cell, tally in zip(cells, by_cell, strict=True):
        tallies.add(sums.setdefault(cell.sector, tallies.empty()), tally)
    return {sector: tallies.as_document(tally) for sector, tally in sums.items()}
