"""Sources that block, read in a thread of their own, a few frames ahead.

In: an iterator of frames. Out: a `producers.load.parts.Source`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor

import polars as pl

from producers.ahead import Ahead


async def from_thread(frames: Iterator[pl.DataFrame]) -> AsyncGenerator[pl.DataFrame, None]:
    """Yield the frames of an iterator that only one thread ever runs; its errors come in their turn.

    A generator is closed in that thread when the source ends, or is closed.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="source") as thread:
        ahead = Ahead(thread, frames)
        try:
            while (frame := await ahead.following()) is not None:
                yield frame
        finally:
            await ahead.end()
            close = getattr(frames, "close", None)
            if close is not None:
                await asyncio.get_running_loop().run_in_executor(thread, close)
