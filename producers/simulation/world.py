"""The places and tills of a province, as columns.

In: a scenario and a seed. Out: `World`: communes, cells (markets and commune sectors), sources (tills).
What the scenario names is taken as it is; the rest is made up by rule, and its ids say so (``-c007``, ``-m012``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from producers.simulation.random import generator
from schemas.errors import BadInputError
from schemas.events import Sector
from schemas.scenario import Bills, Scenario

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

BILL_SECTORS: tuple[Sector, ...] = ("electricity", "water")


@dataclass(frozen=True)
class Place:
    """A commune."""

    id: str
    name: str
    households: int


@dataclass(frozen=True)
class CellSpec:
    """A cell: a market, or one sector of one commune. Its tills are ``first_source`` … + ``sources`` - 1.

    ``first_till`` is the same place counted over the whole province: it does not depend on the shard.
    """

    id: str
    name: str
    sector: Sector
    commune: int
    sources: int
    hours: str
    cashless_share: float
    """At the start of the scenario."""
    payments_per_source_day: float = 0.0
    """For stalls."""
    customers: int = 0
    """For bills."""
    first_source: int = 0
    first_till: int = 0


@dataclass(frozen=True)
class World:
    """Everything that stands still while payments are made."""

    scenario: Scenario
    seed: int
    places: tuple[Place, ...]
    cells: tuple[CellSpec, ...]

    @property
    def source_count(self) -> int:
        """Number of tills."""
        last = self.cells[-1]
        return last.first_source + last.sources

    @cached_property
    def cell_of_source(self) -> IntArray:
        """Index of the cell of each source."""
        return np.repeat(np.arange(len(self.cells)), [cell.sources for cell in self.cells])

    @cached_property
    def commune_of_source(self) -> IntArray:
        """Index of the commune of each source."""
        return np.array([cell.commune for cell in self.cells])[self.cell_of_source]

    @cached_property
    def till_of_source(self) -> IntArray:
        """Number of each source in the whole province, whatever the shard."""
        return np.concatenate([np.arange(cell.sources) + cell.first_till for cell in self.cells])

    @cached_property
    def source_ids(self) -> list[str]:
        """Ids of the sources: a stall is ``market/0001``, a biller's branch has its cell's id."""
        return [name for cell in self.cells for name in _source_ids(cell)]


def _source_ids(cell: CellSpec) -> list[str]:
    if cell.sector in BILL_SECTORS:
        return [cell.id]
    return [f"{cell.id}/{number:04d}" for number in range(1, cell.sources + 1)]


def build_world(scenario: Scenario, seed: int, shard: tuple[int, int] = (1, 1)) -> World:
    """Lay out the province.

    Args:
        scenario: what is known of it.
        seed: seed of the run; the layout depends on it and on nothing else.
        shard: (i, n): only every n-th commune from the i-th (1 to n); all sources keep their ids and draws.

    Raises:
        BadInputError: if there are fewer communes than shards before this one.
    """
    places = _places(scenario, seed)
    index, count = shard
    if index > len(places):
        raise BadInputError("scenario", f"shard {index}/{count} of {len(places)} communes is empty", "use fewer shards")
    cells: list[CellSpec] = []
    source = till = 0
    for draft in (*_markets(scenario, seed, places), *_bill_cells(scenario, places)):
        if draft.commune % count == index - 1:
            cells.append(replace(draft, first_source=source, first_till=till))
            source += draft.sources
        till += draft.sources
    return World(scenario, seed, places, tuple(cells))


def _places(scenario: Scenario, seed: int) -> tuple[Place, ...]:
    count = scenario.province.communes.value
    weights = generator(seed, scenario.province.id, "commune sizes").lognormal(0.0, 0.35, count)
    households = np.rint(scenario.province.households.value * weights / weights.sum()).astype(int)
    named = [(commune.id, commune.name) for commune in scenario.commune]
    made_up = [
        (f"{scenario.province.id}-c{number:03d}", f"{scenario.province.name} · xã {number} (giả định)")
        for number in range(len(named) + 1, count + 1)
    ]
    return tuple(Place(id_, name, int(size)) for (id_, name), size in zip([*named, *made_up], households, strict=True))


def _markets(scenario: Scenario, seed: int, places: tuple[Place, ...]) -> list[CellSpec]:
    commune_index = {place.id: number for number, place in enumerate(places)}
    common = scenario.market_stall.payments_per_stall_day.value
    named = [
        CellSpec(
            id=market.id,
            name=market.name,
            sector="market_stall",
            commune=commune_index[market.commune],
            sources=market.stalls.value,
            hours=market.hours,
            cashless_share=market.cashless_share.value,
            payments_per_source_day=market.payments_per_stall_day.value if market.payments_per_stall_day else common,
        )
        for market in scenario.market
    ]
    return named + [_made_up_market(scenario, seed, places, number) for number in _numbers(scenario)]


def _numbers(scenario: Scenario) -> range:
    return range(len(scenario.market) + 1, len(scenario.market) + scenario.markets.count.value + 1)


def _made_up_market(scenario: Scenario, seed: int, places: tuple[Place, ...], number: int) -> CellSpec:
    rule = scenario.markets
    id_ = f"{scenario.province.id}-m{number:03d}"
    random = generator(seed, id_, "market")
    sizes = np.array([place.households for place in places], dtype=float)
    hours = list(rule.hours.value)
    weights = np.array(list(rule.hours.value.values()))
    logit = np.log(rule.cashless_share.value / (1 - rule.cashless_share.value))
    share = 1 / (1 + np.exp(-(logit + rule.cashless_spread.value * random.standard_normal())))
    return CellSpec(
        id=id_,
        name=f"Chợ {number} (giả định)",
        sector="market_stall",
        commune=int(random.choice(len(places), p=sizes / sizes.sum())),
        sources=max(5, round(rule.stalls_median.value * np.exp(rule.stalls_sigma.value * random.standard_normal()))),
        hours=hours[int(random.choice(len(hours), p=weights / weights.sum()))],
        cashless_share=float(np.clip(share, 0.01, 0.99)),
        payments_per_source_day=scenario.market_stall.payments_per_stall_day.value,
    )


def _bill_cells(scenario: Scenario, places: tuple[Place, ...]) -> list[CellSpec]:
    return [
        CellSpec(
            id=f"{place.id}/{sector}",
            name=f"{place.name}: {sector}",
            sector=sector,
            commune=number,
            sources=1,
            hours=bills.hours,
            cashless_share=bills.cashless_share.value,
            customers=round(place.households * bills.customers_per_household.value * scenario.scale.value),
        )
        for number, place in enumerate(places)
        for sector in BILL_SECTORS
        for bills in (bills_of(scenario, sector),)
    ]


def bills_of(scenario: Scenario, sector: Sector) -> Bills:
    """Return the parameters of a billing sector."""
    return {"electricity": scenario.electricity, "water": scenario.water}[sector]
