"""Small worlds for tests: the An Giang scenario with some of its figures changed.

In: changes, by dotted path into the scenario with what it extends. Out: scenarios, worlds, payments as plain values.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from producers.encoding import PaymentEncoder
from producers.engine import ProvinceSimulation
from producers.qr_codes import CodeEncoder
from producers.scenario_files import resolve_scenario
from producers.simulation.transmission import transmit
from producers.simulation.world import build_world
from schemas.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping

    from producers.simulation.world import World

SCENARIOS = Path(__file__).parents[1] / "producers" / "scenarios"
FEW = {
    "province.communes.value": 7,
    "province.households.value": 700,
    "markets.count.value": 4,
    "markets.stalls_median.value": 12,
    "market.0.stalls.value": 9,
    "market.1.stalls.value": 15,
    "scale.value": 1.0,
    "market_stall.payments_per_stall_day.value": 3.0,
}
"""Seven communes, six markets, a few hundred payments a day."""

ONE_MARKET = {
    "markets.count.value": 0,
    "province.communes.value": 4,
    "province.households.value": 4,
    "scale.value": 1.0,
}
"""Two named markets and next to no bills."""


def document(name: str = "an-giang") -> dict[str, Any]:
    """The values of a scenario that comes with Quetma and of all that it extends, as a dictionary of its own."""
    return copy.deepcopy(_resolved(name))


@cache
def _resolved(name: str) -> dict[str, Any]:
    return resolve_scenario(name).document


def changed(changes: Mapping[str, Any], name: str = "an-giang") -> dict[str, Any]:
    """A scenario's values, some of them others, by dotted path; rows of lists go by their number or their id."""
    root = document(name)
    for path, value in changes.items():
        part: Any = root
        *way, last = path.split(".")
        for step in way:
            part = part[_place(part, step)]
        part[_place(part, last)] = value
    return root


def _place(part: Any, step: str) -> int | str:
    if isinstance(part, dict):
        return step
    return int(step) if step.isdigit() else [row["id"] for row in part].index(step)


def scenario(changes: Mapping[str, Any] = FEW) -> Scenario:
    """The scenario with changes."""
    return Scenario.model_validate(changed(changes))


def world(changes: Mapping[str, Any] = FEW, seed: int = 57, shard: tuple[int, int] = (1, 1)) -> World:
    """The world of the scenario with changes."""
    return build_world(scenario(changes), seed, shard)


def written(texts: pl.Series) -> list[bytes]:
    """A column of texts as it goes over the wire."""
    return texts.cast(pl.Binary).to_list()


def wire(world: World, days: int, *, block: int = 10_000, run: str = "r", partitions: int = 4) -> list[bytes]:
    """The records of a world's first days as they go over the wire, in order of sending, faults included."""
    encoder, faults = PaymentEncoder(world, run, partitions), world.scenario.stream_faults
    values: list[bytes] = []
    for day in ProvinceSimulation(world).days(days):
        sending, payments = transmit(day.day, day.payments, day.sequence, world, faults)
        for block_ in encoder.blocks(replace(day, payments=payments), sending, block):
            values += written(block_.records.value)
    return values


def codes(world: World, days: int, *, run: str = "r", partitions: int = 4) -> list[bytes]:
    """The QR codes of a world's first days as they go over the wire, in order."""
    encoder = CodeEncoder(world, run, partitions)
    issued = (code for day in ProvinceSimulation(world).days(days) for code in day.codes)
    return [value for code in issued for value in written(encoder.block(code).value)]
