"""The model's own state of adoption on /metrics: the truth that shares on the stream follow from.

In: days of adoption, as they begin. Out: Prometheus families by commune and market, of this shard's communes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from producers.simulation.adoption import AdoptionDay
from producers.simulation.status import coverage, status
from producers.simulation.world import World
from schemas.metrics import families

BY_COMMUNE = (
    "quetma_model_adults",
    "quetma_model_eligible_adults",
    "quetma_model_active_adults",
    "quetma_model_commune_index",
    "quetma_model_green_commune",
)
BY_MARKET = ("quetma_model_stalls", "quetma_model_qr_stalls", "quetma_model_using_stalls")


class ModelMetrics(Collector):
    """Shows the day that was opened last; nothing before the first."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._coverage = coverage(world)
        self._day: AdoptionDay | None = None
        province = world.scenario.province.id
        communes = sorted({cell.commune for cell in world.cells})
        self._communes = [(number, [province, world.places[number].id]) for number in communes]
        self._markets = [
            (number, [province, world.places[market.commune].id, market.id])
            for number, market in enumerate(world.markets)
            if market.commune in set(communes)
        ]

    def show(self, day: AdoptionDay) -> None:
        """Show a day from now on."""
        self._day = day

    def describe(self) -> Iterable[Family]:
        """Return the families without samples."""
        return families([*BY_COMMUNE, *BY_MARKET])

    def collect(self) -> Iterator[Family]:
        """Yield all families."""
        found = families([*BY_COMMUNE, *BY_MARKET])
        if (day := self._day) is not None:
            now = status(self._world, day, self._coverage)
            by_commune = (day.adults, day.eligible, day.active, now.index, now.green)
            for one, values in zip(found[: len(BY_COMMUNE)], by_commune, strict=True):
                _add(one, self._communes, values)
            for one, values in zip(found[len(BY_COMMUNE) :], (day.stalls, day.showing, day.using), strict=True):
                _add(one, self._markets, values)
        yield from found


def _add(into: Any, places: Iterable[tuple[int, list[str]]], values: Sequence[float] | Any) -> None:
    for number, labels in places:
        into.add_metric(labels, float(values[number]))
