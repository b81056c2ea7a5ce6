"""What the adoption model says over years, thinned out to what a picture and a table need.

In: a scenario, a seed, a number of days. Out: `History`. Only the adoption model runs: no payments.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np

from producers.simulation.adoption import AdoptionDay, AdoptionModel, share
from producers.simulation.columns import FloatArray
from producers.simulation.status import CommuneStatus, coverage, status
from producers.simulation.world import World, build_world
from schemas.errors import BadInputError
from schemas.scenario import Scenario

DAILY_UP_TO = 120
MOST_POINTS = 300
WEEK = 7
LOW, HIGH = 0.1, 0.9
"""The band: from the 10th to the 90th percentile of communes or markets."""
DIGITS = 4
"""Shares are rounded so that a picture is the same on every machine."""

Line = tuple[float, ...]


@dataclass(frozen=True)
class Fan:
    """A share over time: of the whole province, and the band in which most communes or markets are."""

    whole: Line
    low: Line
    high: Line


@dataclass(frozen=True)
class Year:
    """The state at the beginning of a day: the first, each anniversary, and the day behind the last."""

    date: str
    adults: int
    eligible: int
    active: int
    stalls: int
    showing: int
    using: int
    green: int
    """Communes."""


@dataclass(frozen=True)
class History:
    """Shares (0 to 1) at the beginning of each of `dates`; the last is the day behind the last."""

    world: World
    dates: tuple[dt.date, ...]
    shares: Mapping[str, Fan]
    """``eligible`` and ``active`` of adults, by commune; ``showing`` and ``using`` of stalls, by market; ``index``."""
    communes: Mapping[str, Line]
    """Share of active adults in the communes that the scenario names, by their name."""
    markets: Mapping[str, Line]
    """Share of stalls that use a QR in the markets that it names, by their name."""
    green: tuple[int, ...]
    """Communes."""
    years: tuple[Year, ...]

    def rows(self) -> list[dict[str, Any]]:
        """Return the yearly table."""
        return [asdict(year) for year in self.years]


def without(scenario: Scenario, ids: Iterable[str]) -> Scenario:
    """Return a scenario without some of its interventions; all other randomness stays as it is.

    Raises:
        BadInputError: if it has no such intervention.
    """
    dropped, known = set(ids), {row.id for row in scenario.intervention}
    for one in sorted(dropped - known):
        raise BadInputError("--without", f"no intervention {one!r}", f"give one of {', '.join(sorted(known))}")
    kept = tuple(row for row in scenario.intervention if row.id not in dropped)
    return scenario.model_copy(update={"intervention": kept})


def history(scenario: Scenario, seed: int, days: int) -> History:
    """Run the adoption model: about 0.6 ms a simulated day for a whole province.

    Args:
        scenario: of a province.
        seed: of the run.
        days: simulated days, 1 or more. Up to 120 are kept as they are, else one of each week, or of some weeks.
    """
    world = build_world(scenario, seed)
    kept, years, covered = _Kept(world), [], coverage(world)
    step = _step(days)
    for number, day in enumerate(islice(AdoptionModel(world).days(), days + 1)):
        is_point = number % step == 0 or number == days
        is_year = number in (0, days) or _is_anniversary(day.day.date, scenario.start)
        if is_point or is_year:
            found = status(world, day, covered)
            if is_point:
                kept.add(day, found)
            if is_year:
                years.append(_year(day, found))
    return kept.history(tuple(years))


def _step(days: int) -> int:
    return 1 if days <= DAILY_UP_TO else WEEK * -(-days // (WEEK * MOST_POINTS))


def _is_anniversary(date: dt.date, start: dt.date) -> bool:
    last = 28 if start.month == 2 else 31  # noqa: PLR2004  # one that began on 29 February has its years on the 28th
    return (date.month, date.day) == (start.month, min(start.day, last))


class _Kept:
    """The days that are kept, column by column."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._dates: list[dt.date] = []
        self._fans: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
        self._communes: dict[str, list[float]] = defaultdict(list)
        self._markets: dict[str, list[float]] = defaultdict(list)
        self._green: list[int] = []

    def add(self, day: AdoptionDay, found: CommuneStatus) -> None:
        """Keep a day."""
        self._dates.append(day.day.date)
        self._green.append(int(found.green.sum()))
        for name in ("eligible", "active"):
            self._fan(name, getattr(day, name), day.adults)
        for name in ("showing", "using"):
            self._fan(name, getattr(day, name), day.stalls)
        self._fans["index"].append(_spread(float(np.median(found.index)), found.index))
        scenario = self._world.scenario
        for place, value in zip(scenario.commune, day.active_share, strict=False):
            self._communes[place.name].append(round(float(value), DIGITS))
        for market, value in zip(scenario.market, day.using_share, strict=False):
            self._markets[market.name].append(round(float(value), DIGITS))

    def _fan(self, name: str, part: Any, whole: Any) -> None:
        of_all = float(part.sum()) / max(float(whole.sum()), 1.0)
        self._fans[name].append(_spread(of_all, share(part, whole)))

    def history(self, years: tuple[Year, ...]) -> History:
        """Return what was kept."""
        return History(
            self._world,
            tuple(self._dates),
            {name: Fan(*zip(*rows, strict=True)) for name, rows in self._fans.items()},
            _lines(self._communes),
            _lines(self._markets),
            tuple(self._green),
            years,
        )


def _lines(columns: Mapping[str, Sequence[float]]) -> dict[str, Line]:
    return {name: tuple(values) for name, values in columns.items()}


def _spread(whole: float, shares: FloatArray) -> tuple[float, float, float]:
    low, high = np.quantile(shares, (LOW, HIGH)) if len(shares) else (0.0, 0.0)
    return round(whole, DIGITS), round(float(low), DIGITS), round(float(high), DIGITS)


def _year(day: AdoptionDay, found: CommuneStatus) -> Year:
    names = ("adults", "eligible", "active", "stalls", "showing", "using")
    counts = {name: round(float(getattr(day, name).sum())) for name in names}
    return Year(str(day.day.date), green=int(found.green.sum()), **counts)
