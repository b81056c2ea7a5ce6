"""Small worlds for tests: the An Giang scenario with some of its figures changed.

In: changes, by dotted path into the TOML document. Out: scenarios, worlds, and payments as plain values.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from producers.encoding import PaymentEncoder
from producers.qr_codes import CodeEncoder
from producers.simulation.engine import simulate
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
    """The TOML of a scenario that comes with Quetma, as a dictionary of its own."""
    return tomllib.loads((SCENARIOS / f"{name}.toml").read_text(encoding="utf-8"))


def changed(changes: Mapping[str, Any], name: str = "an-giang") -> dict[str, Any]:
    """A scenario's TOML with other values at some dotted paths; numbers stand for places in lists."""
    root = document(name)
    for path, value in changes.items():
        part: Any = root
        *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
        for step in way:
            part = part[step]
        part[last] = value
    return root


def scenario(changes: Mapping[str, Any] = FEW) -> Scenario:
    """The scenario with changes."""
    return Scenario.model_validate(changed(changes))


def world(changes: Mapping[str, Any] = FEW, seed: int = 57, shard: tuple[int, int] = (1, 1)) -> World:
    """The world of the scenario with changes."""
    return build_world(scenario(changes), seed, shard)


def wire(world: World, days: int, *, block: int = 10_000, run: str = "r", partitions: int = 4) -> list[bytes]:
    """The payments of a world's first days as they go over the wire, in order."""
    encoder = PaymentEncoder(world, run, partitions)
    blocks = (block_ for day in simulate(world, days=days) for block_ in encoder.blocks(day, block))
    return [value for block_ in blocks for value in block_.records.value]


def codes(world: World, days: int, *, run: str = "r", partitions: int = 4) -> list[bytes]:
    """The QR codes of a world's first days as they go over the wire, in order."""
    encoder = CodeEncoder(world, run, partitions)
    issued = (code for day in simulate(world, days=days) for code in day.codes)
    return [value for code in issued for value in encoder.block(code).value]
