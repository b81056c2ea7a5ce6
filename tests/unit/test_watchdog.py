"""The watch for partitions that have records and do not move."""

from __future__ import annotations

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from schemas.topics import PAYMENTS
from streams import watchdog as module
from streams.watchdog import Watchdog, WorkerStuckError


@pytest.fixture
def ends(monkeypatch):
    """The ends that the broker gives, by partition; an error if it is told to raise one."""
    given: dict[int, int | Exception] = {}

    async def end_offsets(_servers: str, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        for end in given.values():
            if isinstance(end, Exception):
                raise end
        return {place: given[place.partition] for place in places}

    monkeypatch.setattr(module, "end_offsets", end_offsets)
    return given


async def test_a_partition_with_records_that_stands_still_between_two_looks_is_found(ends):
    watchdog = Watchdog("a:1")
    ends.update({0: 10, 1: 7})
    await watchdog.look({0: 4, 1: 7})
    with pytest.raises(WorkerStuckError, match=f"{PAYMENTS}-0 at 4"):
        await watchdog.look({0: 4, 1: 7})


async def test_one_that_moves_is_not_however_far_behind(ends):
    watchdog = Watchdog("a:1")
    ends[0] = 1_000_000
    for position in (0, 1, 2, 3):
        await watchdog.look({0: position})


async def test_one_that_has_been_read_to_its_end_is_not_when_records_come_just_now(ends):
    watchdog = Watchdog("a:1")
    ends[0] = 5
    await watchdog.look({0: 5})
    ends[0] = 6
    await watchdog.look({0: 5})
    with pytest.raises(WorkerStuckError):
        await watchdog.look({0: 5})


async def test_one_that_left_and_came_back_meanwhile_is_not(ends):
    watchdog = Watchdog("a:1")
    ends[0] = 6
    await watchdog.look({0: 5})
    await watchdog.look({})
    await watchdog.look({0: 5})


@pytest.mark.parametrize("error", [KafkaConnectionError("gone"), TimeoutError()])
async def test_a_broker_that_is_away_is_another_matter(ends, error):
    watchdog = Watchdog("a:1")
    ends[0] = error
    await watchdog.look({0: 5})
    await watchdog.look({0: 5})
