"""Tasks end when they are told to, even where a library swallows the cancellation."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import pytest

from services import processes
from services.processes import ended


async def sleep_on(times: int, seen: list[float]) -> None:
    """Swallow so many cancellations."""
    for _ in range(times):
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        seen.append(time.monotonic())
    await asyncio.sleep(60)


@pytest.mark.parametrize("swallowed", [0, 1, 3])
async def test_a_task_that_swallows_its_cancellation_is_cancelled_again(swallowed, monkeypatch):
    monkeypatch.setattr(processes, "CANCEL_SECONDS", 0.01)
    seen: list[float] = []
    tasks = [asyncio.create_task(sleep_on(swallowed, seen)), asyncio.create_task(asyncio.sleep(0))]
    await asyncio.sleep(0)
    await asyncio.wait_for(ended(tasks), 5)
    assert tasks[0].cancelled()
    assert len(seen) == swallowed


async def test_what_a_task_ended_with_is_left_to_who_looks():
    async def fails() -> None:
        raise ValueError

    task = asyncio.create_task(fails())
    await asyncio.sleep(0)
    await ended([task])
    assert isinstance(task.exception(), ValueError)
