"""What happened when: the interventions of a scenario as bars and ticks on a time axis, with words.

In: a history, the ids that its counterfactual drops. Out: `Bar`s and `Ticks`, each a row of the picture.
Lunar market days are left out: they come all year round, and move no adoption.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from producers.simulation.lunar import tet
from schemas.scenario.interventions import (
    CashShock,
    DigitalTeam,
    FraudWave,
    Intervention,
    LunarMarketDays,
    Outage,
    PensionsToAccounts,
    Promotion,
    ScamWarning,
    StallStands,
    Tet,
)
from services.adoption_report.history import History

MOST_PLACES = 3
"""Places that are named; more are counted."""


@dataclass(frozen=True)
class Bar:
    """An intervention that lasts: first day, day behind the last."""

    label: str
    start: dt.date
    end: dt.date
    dropped: bool
    """Whether the counterfactual is without it."""


@dataclass(frozen=True)
class Ticks:
    """What is over within days: outages, Tết."""

    label: str
    days: tuple[dt.date, ...]


def programme_rows(history: History, dropped: Collection[str] = ()) -> list[Bar | Ticks]:
    """Return the rows, bars by their start, then ticks; what lies outside the span is left out or cut off."""
    first, last = history.dates[0], history.dates[-1]
    names = {place.id: place.name for place in history.world.places}
    names |= {market.id: market.name for market in history.world.markets}
    names[history.world.scenario.province.id] = "the whole province"
    bars = [
        Bar(f"{words} · {_places(row.place, names)}", max(start, first), min(end, last), row.id in dropped)
        for row in history.world.scenario.intervention
        for words, start, end in _lasting(row)
        if start < last and end > first
    ]
    return [*sorted(bars, key=lambda bar: (bar.start, bar.end)), *_ticks(history, first, last)]


def _places(ids: Collection[str], names: dict[str, str]) -> str:
    if not ids:
        return "the whole province"
    return ", ".join(names[one] for one in ids) if len(ids) <= MOST_PLACES else f"{len(ids)} places"


def _lasting(row: Intervention) -> Iterable[tuple[str, dt.date, dt.date]]:
    """Yield words, first day and day behind the last of an intervention that has them."""
    match row:
        case DigitalTeam():
            yield f"Digital teams, {row.members.value:,} members", row.start, row.end
        case StallStands():
            yield "QR stands", row.start, row.end
        case Promotion():
            yield "Promotion", row.start, row.end
        case PensionsToAccounts():
            yield f"Pensions into accounts, {row.share.value:.0%}", row.start, row.end
        case CashShock():
            yield "Cash is short", row.start, row.end
        case ScamWarning():
            yield "Scam warnings", row.start, row.end
        case FraudWave():
            yield "Swapped codes", row.start, row.end
        case Outage() | Tet() | LunarMarketDays():
            return


def _ticks(history: History, first: dt.date, last: dt.date) -> Iterable[Ticks]:
    rows = history.world.scenario.intervention
    outages = tuple(sorted({row.start.date() for row in rows if isinstance(row, Outage)}))
    feasts = [row.on for row in rows if isinstance(row, Tet)]
    by_moon = [tet(year).date for year in range(first.year, last.year + 1)] if None in feasts else []
    new_years = tuple(sorted({*by_moon, *(day for day in feasts if day is not None)}))
    for label, days in (("Outages", outages), ("Tết", new_years)):
        seen = tuple(day for day in days if first <= day <= last)
        if seen:
            yield Ticks(label, seen)
