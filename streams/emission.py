"""Adoption as it is emitted: one record for each window of a market or commune that changed.

In: cells of one partition, the runs' watermarks. Out: `Emission`s for the adoption topics (`schemas.events.Adoption`).
Pure. A record's revision is the number of payments in its window: it grows with them, and a restart changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from schemas.events import SCHEMA_VERSION, Sector, WindowKind
from schemas.topics import ADOPTION_COMMUNE, ADOPTION_MARKET
from streams import tallies
from streams.cells import HOUR_MS, CellState, day_is_closed, day_of, first_hour
from streams.tallies import Lanes, Tally, lanes, of_lanes

MARKET: Sector = "market_stall"

_encode = msgspec.json.Encoder().encode


class Emission(msgspec.Struct, gc=False, frozen=True):
    """A record for an adoption topic."""

    topic: str
    key: str
    state: tuple[int, ...]
    """Revision, duplicates, late, final: equal if nothing has changed since it was emitted."""
    document: dict[str, Any]

    def value(self, emitted_at: int) -> bytes:
        """Return its wire form."""
        return _encode({**self.document, "emitted_at": emitted_at})


class _Place(msgspec.Struct):
    """A market or a commune: its cells, and how they are named."""

    topic: str
    id: str
    cells: list[CellState]

    @property
    def run(self) -> str:
        return self.cells[0].run


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
        for window in _windows(place, watermark_hours.get(place.run, 0)):
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
            yield _Place(ADOPTION_MARKET, cell.cell, [cell])
    for run, commune in dirty:
        yield _Place(ADOPTION_COMMUNE, commune, communes[run, commune])


_Sums = dict[str, Tally]
"""What was paid in a window, by sector."""


class _Window(msgspec.Struct):
    """A window of a place: what was paid in it, by sector and in all."""

    kind: WindowKind
    key: str
    state: tuple[int, ...]
    by_sector: _Sums
    whole: Lanes
    more: dict[str, Any]
    """Fields that only records of its kind have."""
    final: bool = False


def _windows(place: _Place, watermark_hour: int) -> Iterator[_Window]:
    total, days, hours = _sums(place.cells)
    yield _total(place, total)
    for day, sums in sorted(days.items()):
        final = day_is_closed(day, watermark_hour)
        yield _window(place, "day", first_hour(day), first_hour(day + 1), sums, final=final)
    for hour, sums in sorted(hours.items()):
        yield _window(place, "hour", hour, hour + 1, sums, final=hour < watermark_hour)


def _sums(cells: Iterable[CellState]) -> tuple[_Sums, dict[int, _Sums], dict[int, _Sums]]:
    """Return what was paid in all, on each open day and in each open hour."""
    total: _Sums = defaultdict(int)
    days: dict[int, _Sums] = defaultdict(lambda: defaultdict(int))
    hours: dict[int, _Sums] = defaultdict(lambda: defaultdict(int))
    for cell in cells:
        sector = cell.sector
        total[sector] += cell.closed
        for day, tally in cell.days.items():
            days[day][sector] += tally
        for hour, numbers in cell.hours.items():
            tally = of_lanes(numbers)
            total[sector] += tally
            hours[hour][sector] += tally
            days[day_of(hour)][sector] += tally
    return total, days, hours


def _total(place: _Place, sums: _Sums) -> _Window:
    cells = place.cells
    whole = lanes(sum(sums.values()))
    duplicates, late = sum(cell.duplicates for cell in cells), sum(cell.late for cell in cells)
    outside = tallies.as_document(lanes(sum(cell.outside for cell in cells)))
    more = {"duplicates": duplicates, "late": late, "outside_windows": outside}
    state = (tallies.payments(whole), duplicates, late, 0)
    return _Window("total", _key(place, "total"), state, sums, whole, more)


def _window(place: _Place, kind: WindowKind, start: int, end: int, sums: _Sums, *, final: bool) -> _Window:
    start_at, end_at = start * HOUR_MS, end * HOUR_MS
    whole = lanes(sum(sums.values()))
    state = (tallies.payments(whole), 0, 0, int(final))
    times = {"start_at": start_at, "end_at": end_at}
    return _Window(kind, _key(place, f"{kind}|{start_at}"), state, sums, whole, times, final)


def _key(place: _Place, window: str) -> str:
    return f"{place.run}|{place.id}|{window}"


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
    if place.topic == ADOPTION_COMMUNE:
        document["by_sector"] = {
            sector: tallies.as_document(lanes(tally)) for sector, tally in window.by_sector.items()
        }
    else:
        document["market"] = place.id
    count, value = tallies.cashless_shares(window.whole)
    if count is not None:
        document |= {"cashless_share_count": count, "cashless_share_value": value}
    return document
