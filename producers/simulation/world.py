"""The places and tills of a province, as columns.

In: a scenario and a seed. Out: `World`: communes, markets, cells (markets and commune sectors), sources (tills).
What the scenario names is taken as it is; the rest is made up by rule, and its ids say so (``-c007``, ``-m012``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

import numpy as np

from producers.simulation.columns import BoolArray, FloatArray, IntArray
from producers.simulation.random import generator
from schemas.errors import BadInputError
from schemas.events import SECTORS, Sector
from schemas.scenario import Scenario
from schemas.scenario.checks import problems
from schemas.scenario.interventions import Intervention
from schemas.scenario.places import SETTLEMENTS, Settlement

SMALLEST_MARKET = 5
NO_MARKET = -1
COMMUNE_SECTORS: tuple[Sector, ...] = tuple(sector for sector in SECTORS if sector != "market_stall")
"""Sectors with one till in each commune: a biller's branch, a health centre, a one-stop shop, …"""
COUNTERS: frozenset[Sector] = frozenset({"market_stall", "hospital", "public_service", "ecommerce"})
"""Sectors whose tills show a static code of their own; bills have codes of their own, incomes none."""


@dataclass(frozen=True)
class Place:
    """A commune."""

    id: str
    name: str
    settlement: Settlement
    households: int
    adults: int


@dataclass(frozen=True)
class CellSpec:
    """A cell: a market, or one sector of one commune. Its tills are ``first_source`` … + ``sources`` - 1.

    ``first_till`` is the same place counted over the whole province: it does not depend on the shard. `World.markets`
    is of no shard, and has no ``first_source``.
    """

    id: str
    name: str
    sector: Sector
    commune: int
    sources: int
    market: int = NO_MARKET
    """Index in `World.markets`."""
    hours: str = ""
    """For markets: the hour profile."""
    payments_per_source_day: float = 0.0
    """For markets."""
    showing_start: float = 0.0
    """For markets: share of stalls that show a QR at the start."""
    using_start: float = 0.0
    """For markets: share of stalls that use it at the start."""
    first_source: int = 0
    first_till: int = 0


@dataclass(frozen=True)
class World:
    """Everything that stands still while payments are made."""

    scenario: Scenario
    seed: int
    places: tuple[Place, ...]
    """All communes of the province, whatever the shard."""
    markets: tuple[CellSpec, ...]
    """All markets of the province, whatever the shard."""
    cells: tuple[CellSpec, ...]
    """Markets and commune sectors of this shard, sector by sector."""

    @property
    def source_count(self) -> int:
        """Number of tills."""
        last = self.cells[-1]
        return last.first_source + last.sources

    def cells_of(self, sector: Sector) -> tuple[CellSpec, ...]:
        """Return the cells of one sector."""
        return tuple(cell for cell in self.cells if cell.sector == sector)

    @cached_property
    def cell_of_source(self) -> IntArray:
        """Index of the cell of each source."""
        return np.repeat(np.arange(len(self.cells)), [cell.sources for cell in self.cells])

    @cached_property
    def commune_of_source(self) -> IntArray:
        """Index of the commune of each source."""
        return np.array([cell.commune for cell in self.cells])[self.cell_of_source]

    @cached_property
    def market_of_source(self) -> IntArray:
        """Index of the market of each source, or NO_MARKET."""
        return np.array([cell.market for cell in self.cells])[self.cell_of_source]

    @cached_property
    def till_of_source(self) -> IntArray:
        """Number of each source in the whole province, whatever the shard."""
        return np.concatenate([np.arange(cell.sources) + cell.first_till for cell in self.cells])

    @cached_property
    def is_counter(self) -> BoolArray:
        """Whether each source shows a static code of its own."""
        return np.array([cell.sector in COUNTERS for cell in self.cells])[self.cell_of_source]

    @cached_property
    def source_ids(self) -> list[str]:
        """Ids of the sources: a stall is ``market/0001``, a commune sector's till has its cell's id."""
        return [name for cell in self.cells for name in _source_ids(cell)]

    def reached_communes(self, place: Iterable[str]) -> BoolArray:
        """Return which communes an intervention's places name, shape (communes,); all if they name none."""
        named = set(place)
        whole = not named or self.scenario.province.id in named
        return np.array([whole or one.id in named for one in self.places])

    def reached_markets(self, place: Iterable[str]) -> BoolArray:
        """Return which markets an intervention's places name, by themselves or by their commune, shape (markets,)."""
        named = set(place)
        communes = self.reached_communes(named)
        return np.array([bool(communes[market.commune]) or market.id in named for market in self.markets], dtype=bool)


def _source_ids(cell: CellSpec) -> list[str]:
    if cell.market == NO_MARKET:
        return [cell.id]
    return [f"{cell.id}/{number:04d}" for number in range(1, cell.sources + 1)]


def build_world(scenario: Scenario, seed: int, shard: tuple[int, int] = (1, 1)) -> World:
    """Lay out the province.

    Args:
        scenario: what is known of it.
        seed: seed of the run; the layout depends on it and on nothing else.
        shard: (i, n): only every n-th commune from the i-th (1 to n); all sources keep their ids and draws.

    Raises:
        BadInputError: if there are fewer communes than shards before this one, or an intervention names a place
            that is not among those made up.
    """
    places = _places(scenario, seed)
    index, count = shard
    if index > len(places):
        raise BadInputError("scenario", f"shard {index}/{count} of {len(places)} communes is empty", "use fewer shards")
    drafts = (*_markets(scenario, seed, places), *_commune_cells(places))
    tills = [0, *accumulate(cell.sources for cell in drafts)]
    whole = [replace(cell, first_till=till) for cell, till in zip(drafts, tills, strict=False)]
    markets = tuple(cell for cell in whole if cell.market != NO_MARKET)
    _check_places(scenario, places, markets)
    cells: list[CellSpec] = []
    source = 0
    for cell in whole:
        if cell.commune % count == index - 1:
            cells.append(replace(cell, first_source=source))
            source += cell.sources
    return World(scenario, seed, places, markets, tuple(cells))


def with_more(world: World, rows: Iterable[Intervention]) -> World:
    """Return a world with more interventions than its scenario has; the layout stays.

    They go behind the scenario's own in order of their ids, so that the world does not depend on the order in which
    they were thought of.

    Raises:
        BadInputError: if one has the id of another, or names a place that is not there.
    """
    more = sorted(rows, key=lambda row: row.id)
    own = {row.id for row in world.scenario.intervention}
    if taken := [row.id for row in more if row.id in own]:
        found = f"{', '.join(taken)}: the scenario has an intervention of this name"
        raise BadInputError("intervention", found, "give another one")
    scenario = world.scenario.model_copy(update={"intervention": (*world.scenario.intervention, *more)})
    if wrong := list(problems(scenario)):
        fix = "give an id of its own, and communes and markets of the scenario"
        raise BadInputError("intervention", "; ".join(wrong), fix)
    return replace(world, scenario=scenario)


def _check_places(scenario: Scenario, places: tuple[Place, ...], markets: tuple[CellSpec, ...]) -> None:
    known = {scenario.province.id, *(place.id for place in places), *(market.id for market in markets)}
    for row in scenario.intervention:
        for place in row.place:
            if place not in known:
                last = f"{places[-1].id} or {markets[-1].id}" if markets else places[-1].id
                found = f"intervention {row.id}: place {place!r} is no commune or market"
                raise BadInputError("scenario", found, f"name one of the scenario, or one made up, up to {last}")


def _places(scenario: Scenario, seed: int) -> tuple[Place, ...]:
    province = scenario.province
    count = province.communes.value
    weights = generator(seed, province.id, "commune sizes").lognormal(0.0, province.commune_sigma.value, count)
    households = np.rint(province.households.value * weights / weights.sum()).astype(int)
    urban = generator(seed, province.id, "settlements").random(count) < province.urban_share.value
    named = [(commune.id, commune.name, commune.settlement) for commune in scenario.commune]
    made_up = [
        (f"{province.id}-c{number:03d}", _made_up_name(province.name, number, kind), kind)
        for number in range(len(named) + 1, count + 1)
        for kind in (SETTLEMENTS[0 if urban[number - 1] else 1],)
    ]
    return tuple(
        Place(id_, name, kind, int(size), round(int(size) * province.adults_per_household.value))
        for (id_, name, kind), size in zip([*named, *made_up], households, strict=True)
    )


def _made_up_name(province: str, number: int, settlement: Settlement) -> str:
    return f"{province} · {'phường' if settlement == 'urban' else 'xã'} {number} (giả định)"


def _markets(scenario: Scenario, seed: int, places: tuple[Place, ...]) -> list[CellSpec]:
    commune_index = {place.id: number for number, place in enumerate(places)}
    stalls = scenario.adoption.stalls
    named = [
        CellSpec(
            id=market.id,
            name=market.name,
            sector="market_stall",
            commune=commune_index[market.commune],
            sources=market.stalls.value,
            hours=market.hours,
            payments_per_source_day=(
                market.payments_per_stall_day or scenario.market_stall.payments_per_stall_day
            ).value,
            showing_start=(market.showing_start or stalls.showing_start).value,
            using_start=min(
                (market.using_start or stalls.using_start).value, (market.showing_start or stalls.showing_start).value
            ),
        )
        for market in scenario.market
    ]
    markets = named + _made_up_markets(scenario, seed, places, {cell.commune for cell in named})
    return [replace(cell, market=number) for number, cell in enumerate(markets)]


def _made_up_markets(scenario: Scenario, seed: int, places: tuple[Place, ...], served: set[int]) -> list[CellSpec]:
    """Make up markets: one in each commune that has none, from the biggest on, then anywhere by size."""
    count = scenario.markets.count.value
    sizes = np.array([place.households for place in places], dtype=float)
    without = [number for number in np.argsort(-sizes, kind="stable").tolist() if number not in served]
    numbers = range(len(scenario.market) + 1, len(scenario.market) + count + 1)
    communes = [*without, *([None] * count)][:count]
    return [
        _made_up_market(scenario, seed, number, sizes / sizes.sum(), commune)
        for number, commune in zip(numbers, communes, strict=True)
    ]


def _made_up_market(scenario: Scenario, seed: int, number: int, weights: FloatArray, commune: int | None) -> CellSpec:
    rule, adoption = scenario.markets, scenario.adoption.stalls
    id_ = f"{scenario.province.id}-m{number:03d}"
    random = generator(seed, id_, "market")
    shift = rule.adoption_spread.value * float(random.standard_normal())
    anywhere = int(random.choice(len(weights), p=weights))
    size = rule.stalls_median.value * float(np.exp(rule.stalls_sigma.value * random.standard_normal()))
    hours = list(rule.hours.value)
    chances = np.array(list(rule.hours.value.values()))
    return CellSpec(
        id=id_,
        name=f"Chợ {number} (giả định)",
        sector="market_stall",
        commune=anywhere if commune is None else commune,
        sources=max(SMALLEST_MARKET, round(size)),
        hours=hours[int(random.choice(len(hours), p=chances / chances.sum()))],
        payments_per_source_day=scenario.market_stall.payments_per_stall_day.value,
        showing_start=_shifted(adoption.showing_start.value, shift),
        using_start=_shifted(adoption.using_start.value, shift),
    )


def _shifted(share: float, logits: float) -> float:
    """Return a share moved by log odds."""
    return float(1 / (1 + np.exp(-(np.log(share / (1 - share)) + logits))))


def _commune_cells(places: tuple[Place, ...]) -> list[CellSpec]:
    return [
        CellSpec(
            id=f"{place.id}/{sector.replace('_', '-')}",
            name=f"{place.name}: {sector}",
            sector=sector,
            commune=number,
            sources=1,
        )
        for sector in COMMUNE_SECTORS
        for number, place in enumerate(places)
    ]
