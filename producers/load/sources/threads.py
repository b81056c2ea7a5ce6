"""Sources that block, read in a thread of their own, a few frames ahead.

In: an iterator of frames. Out: a `producers.load.parts.Source`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor

import polars as pl

from producers.ahead import Ahead


class NoLongerWantedError(Exception):
    """The source has been closed while it was read; nobody hears of it."""


class _Reading(threading.local):
    """What a thread that reads a source has been told."""

    closed: threading.Event | None = None


_reading = _Reading()


def check_wanted() -> None:
    """End the reading of a source that has been closed.

    Whoever may read for long without yielding a frame calls it now and then: a thread cannot be ended from outside, and
    Ctrl-C is not to wait for a filter that matches nothing, or for a cluster that says nothing.

    Raises:
        NoLongerWantedError: in a thread of `from_thread` of which nobody wants any more.
    """
    if _reading.closed is not None and _reading.closed.is_set():
        raise NoLongerWantedError


def while_wanted(frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Yield frames, as long as anybody wants them; see `check_wanted`."""
    for frame in frames:
        check_wanted()
        yield frame


async def from_thread(frames: Iterator[pl.DataFrame]) -> AsyncGenerator[pl.DataFrame, None]:
    """Yield the frames of an iterator that only one thread ever runs; its errors come in their turn.

    A generator is closed in that thread when the source ends, or is closed.
    """
    closed = threading.Event()

    def begin() -> None:
        _reading.closed = closed

    with ThreadPoolExecutor(1, thread_name_prefix="source", initializer=begin) as thread:
        ahead = Ahead(thread, frames)
        try:
            while (frame := await ahead.following()) is not None:
                yield frame
        finally:
            closed.set()
            await ahead.end()
            close = getattr(frames, "close", None)
            if close is not None:
                await asyncio.get_running_loop().run_in_executor(thread, close)
