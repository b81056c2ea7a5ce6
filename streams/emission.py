"""Adoption as it is emitted: one record for each window of a market or commune that changed.

In: cells of one partition, the runs' watermarks. Out: `Emission`s for the adoption topics (`schemas.events.Adoption`).
Pure. A record's revision is the number of payments in its window: it grows with them, and a restart changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
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


IsNews = Callable[[str, tuple[int, ...]], bool]
"""Key and state of a record → whether it has to be emitted."""


def emissions(
    touched: Iterable[CellState],
    everything: Iterable[CellState],
    watermark_hours: Mapping[str, int],
    is_news: IsNews = lambda _key, _state: True,
) -> Iterator[Emission]:
    """Yield the records of the open windows of the places that were touched, as far as they are news.

    Args:
        touched: cells that changed.
        everything: all cells of the partition, since a commune is the sum of its cells.
        watermark_hours: of each run, the first hour that has not closed; what is before it is final.
        is_news: asked once for each record; what is not is not laid out either.
    """
    for place in _places(touched, everything):
        for window in _windows(place, watermark_hours.get(place.cells[0].run, 0)):
            if is_news(window.key, window.state):
                yield Emission(place.topic, window.key, window.state, _document(place, window))


def _places(touched: Iterable[CellState], everything: Iterable[CellState]) -> Iterator[_Place]:
    communes: dict[tuple[str, str], list[CellState]] = {}
    for cell in everything:
        communes.setdefault((cell.run, cell.commune), []).append(cell)
    dirty: dict[tuple[str, str], None] = {}
    for cell in touched:
        dirty[cell.run, cell.commune] = None
        if cell.sector == MARKET:
            yield _Place(ADOPTION_MARKET, cell.cell, (cell,))
    for run, commune in dirty:
        yield _Place(ADOPTION_COMMUNE, commune, tuple(communes[run, commune]))


@dataclass(frozen=True)
class _Window:
    """A window of a place: what was paid in it, cell by cell and in all."""

    kind: WindowKind
    key: str
    state: tuple[int, ...]
    whole: Tally
    by_cell: list[Tally]
    more: dict[str, Any]
    """Fields that only records of its kind have."""
    final: bool = False


def _windows(place: _Place, watermark_hour: int) -> Iterator[_Window]:
    cells = place.cells
    yield _total(place)
    for day in sorted({day for cell in cells for day in cell.open_days()}):
        final = day_is_closed(day, watermark_hour)
        by_cell = [cell.day(day) for cell in cells]
        yield _window(place, "day", first_hour(day), first_hour(day + 1), by_cell, final=final)
    for hour in sorted({hour for cell in cells for hour in cell.hours}):
        by_cell = [cell.hours.get(hour, tallies.NOTHING) for cell in cells]
        yield _window(place, "hour", hour, hour + 1, by_cell, final=hour < watermark_hour)


def _total(place: _Place) -> _Window:
    cells = place.cells
    by_cell = [cell.total() for cell in cells]
    whole = tallies.total(by_cell)
    duplicates, late = sum(cell.duplicates for cell in cells), sum(cell.late for cell in cells)
    outside = tallies.as_document(tallies.total(cell.outside for cell in cells))
    more = {"duplicates": duplicates, "late": late, "outside_windows": outside}
    state = (tallies.payments(whole), duplicates, late, 0)
    return _Window("total", _key(place, "total"), state, whole, by_cell, more)


def _window(place: _Place, kind: WindowKind, start: int, end: int, by_cell: list[Tally], *, final: bool) -> _Window:
    start_at, end_at = start * HOUR_MS, end * HOUR_MS
    whole = tallies.total(by_cell)
    state = (tallies.payments(whole), 0, 0, int(final))
    times = {"start_at": start_at, "end_at": end_at}
    return _Window(kind, _key(place, f"{kind}|{start_at}"), state, whole, by_cell, times, final)


def _key(place: _Place, window: str) -> str:
    return f"{place.cells[0].run}|{place.id}|{window}"


def _document(place: _Place, window: _Window) -> dict[str, Any]:
    first = place.cells[0]
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "run": first.run,
        "province": first.province,
        "commune": first.commune,
        "window": window.kind,
        "tallies": tallies.as_document(window.whole),
        "revision": window.state[0],
        "final": window.final,
        **window.more,
    }
    if place.is_commune:
        document["by_sector"] = _by_sector(place.cells, window.by_cell)
    else:
        document["market"] = place.id
    count, value = tallies.cashless_shares(window.whole)
    if count is not None:
        document |= {"cashless_share_count": count, "cashless_share_value": value}
    return document


def _by_sector(cells: Iterable[CellState], by_cell: list[Tally]) -> dict[str, Any]:
    sums: dict[str, Tally] = {}
    for cell, tally in zip(cells, by_cell, strict=True):
        known = sums.get(cell.sector)
        sums[cell.sector] = tally if known is None else tallies.total((known, tally))
    return {sector: tallies.as_document(tally) for sector, tally in sums.items()}
