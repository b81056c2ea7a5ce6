"""Whether the parts of a scenario fit together.

In: a scenario. Out: what does not fit, in words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from schemas.events import SECTORS
from schemas.scenario.figures import OpenShare, Sourced

if TYPE_CHECKING:
    from schemas.scenario.document import Scenario


def problems(scenario: Scenario) -> Iterator[str]:
    """Yield everything that does not fit together."""
    yield from _ids(scenario)
    yield from _places(scenario)
    yield from _profiles(scenario)
    yield from _shares(scenario)


def _ids(scenario: Scenario) -> Iterator[str]:
    communes, markets = ([part.id for part in parts] for parts in (scenario.commune, scenario.market))
    yield from _repeated("commune.id", communes)
    yield from _repeated("market.id", markets)
    yield from _repeated("intervention.id", [row.id for row in scenario.intervention])
    yield from (f"market {one}: a commune has the same id" for one in markets if one in communes)
    province = scenario.province.id
    for one in (*communes, *markets):
        if re.fullmatch(rf"{province}-[cm][0-9]+", one):
            yield f"{one}: ids such as {province}-c001 and {province}-m001 are kept for places made up by rule"


def _repeated(key: str, ids: list[str]) -> Iterator[str]:
    yield from (f"{key} {one!r} stands {ids.count(one)} times" for one in dict.fromkeys(ids) if ids.count(one) > 1)


def _places(scenario: Scenario) -> Iterator[str]:
    communes = [commune.id for commune in scenario.commune]
    if len(communes) > scenario.province.communes.value:
        yield f"{len(communes)} communes are named, province.communes is {scenario.province.communes.value}"
    for market in scenario.market:
        if market.commune not in communes:
            yield f"market {market.id}: commune {market.commune!r} is not among {', '.join(communes)}"
    known = {scenario.province.id, *communes, *(market.id for market in scenario.market), *_made_up(scenario)}
    for row in scenario.intervention:
        for place in row.place:
            if place not in known:
                yield f"intervention {row.id}: place {place!r} is no commune or market of the scenario"


def _made_up(scenario: Scenario) -> Iterator[str]:
    """The ids of the places made up by rule; `producers.simulation.world` numbers them after the named ones."""
    named, count = len(scenario.commune), scenario.province.communes.value
    yield from (f"{scenario.province.id}-c{number:03d}" for number in range(named + 1, count + 1))
    named, count = len(scenario.market), scenario.markets.count.value
    yield from (f"{scenario.province.id}-m{number:03d}" for number in range(named + 1, named + count + 1))


def _profiles(scenario: Scenario) -> Iterator[str]:
    used = [(f"market {market.id}", market.hours) for market in scenario.market]
    used += [(f"markets.hours {name}", name) for name in scenario.markets.hours.value]
    used += [(sector, getattr(scenario, sector).hours) for sector in SECTORS if sector != "market_stall"]
    used += [("public_service.online_hours", scenario.public_service.online_hours)]
    used += [("ecommerce.delivery_hours", scenario.ecommerce.delivery_hours)]
    for place, name in used:
        if name not in scenario.hours:
            yield f"{place}: hour profile {name!r} is not among {', '.join(scenario.hours)}"
    for name, profile in scenario.hours.items():
        if not any(profile.value):
            yield f"hours.{name}: all weights are 0"


def _shares(scenario: Scenario) -> Iterator[str]:
    """What a place says of itself must fit with what it takes from the province."""
    people, stalls = scenario.adoption.people, scenario.adoption.stalls
    ceiling = people.eligible_ceiling.value
    for commune in scenario.commune:
        own, province = (commune.active_start, commune.eligible_start), (people.active_start, people.eligible_start)
        yield from _falling(f"commune {commune.id}", ("active_start", "eligible_start"), own, province)
        if commune.eligible_start and commune.eligible_start.value > ceiling:
            yield f"commune {commune.id}: eligible_start {commune.eligible_start.value} is above {ceiling}, the ceiling"
    for market in scenario.market:
        own, province = (market.using_start, market.showing_start), (stalls.using_start, stalls.showing_start)
        yield from _falling(f"market {market.id}", ("using_start", "showing_start"), own, province)


def _falling(
    place: str,
    names: tuple[str, str],
    own: Sequence[Sourced[OpenShare] | None],
    province: Sequence[Sourced[OpenShare]],
) -> Iterator[str]:
    low, high = (mine.value if mine else common.value for mine, common in zip(own, province, strict=True))
    if low > high:
        yield f"{place}: {names[0]} {low} is above {names[1]} {high}"
