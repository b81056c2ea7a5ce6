"""What chaos takes for flowing: all answer, and every partition is further than any worker has been with it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from services.chaos import watch as module
from services.chaos.watch import Sight, Watch, sight_of
from services.scrape import Samples


def worker(**positions: int) -> Samples:
    lines = [f'quetma_processed_records_total{{partition="{name[1:]}"}} {count}' for name, count in positions.items()]
    return Samples("# TYPE quetma_processed_records counter\n" + "\n".join(lines) + "\n")


EXPORTER = Samples('# TYPE quetma_payments counter\nquetma_payments_total{province="x"} 7\n')


def test_sight_takes_of_each_partition_the_worker_that_is_furthest() -> None:
    seen = sight_of({"worker-1": worker(p0=5, p1=9), "worker-2": worker(p1=3, p2=4), "exporter": EXPORTER})
    assert seen == Sight({"0": 5, "1": 9, "2": 4}, frozenset(), 7)
    assert sight_of({"worker-1": worker(p0=5), "exporter": Samples()}) == Sight({"0": 5}, frozenset({"exporter"}), 0)


class Scenes:
    """A fleet that is seen in one state after the other, and stays in the last."""

    def __init__(self, *scenes: dict[str, Samples]) -> None:
        self._scenes: Iterator[dict[str, Samples]] = iter(scenes)
        self._last: dict[str, Samples] = {}

    async def look(self) -> dict[str, Samples]:
        self._last = next(self._scenes, self._last)
        return self._last


async def flows(*scenes: dict[str, Samples]) -> bool:
    watch = Watch(Scenes(*scenes))  # type: ignore[arg-type]  # all that it needs of a fleet
    looking = asyncio.create_task(watch.run())
    try:
        assert await watch.until(lambda: bool(watch.furthest), 1.0)
        return await watch.flows(0.1)
    finally:
        looking.cancel()


@pytest.mark.parametrize(
    ("after", "good"),
    [
        ({"worker-1": worker(p0=6, p1=10)}, True),
        ({"worker-1": worker(p0=6), "worker-2": worker(p1=10)}, True),
        ({"worker-1": worker(p0=6, p1=9)}, False),  # one stands still
        ({"worker-1": worker(p0=6)}, False),  # one is nobody's
        ({"worker-1": worker(p0=6, p1=10), "worker-2": Samples()}, False),  # one does not answer
        ({"worker-1": Samples()}, False),
    ],
)
async def test_payments_flow_when_every_partition_is_further(
    after: dict[str, Samples], good: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.005)
    assert await flows({"worker-1": worker(p0=5, p1=9)}, after) is good
