"""Work ahead: a thread makes the next items while the event loop sends the ones before.

In: an iterator. Out: its items, in order; a few are made before they are asked for.
A day begins with work that yields nothing to send: a store of ready blocks bridges it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor
from typing import Final, Generic, TypeVar

T = TypeVar("T")
STORE: Final = 8
"""Items made ahead at most."""


class Ahead(Generic[T]):
    """Runs an iterator in an executor of one thread, a few items ahead. Use within a running event loop."""

    def __init__(self, executor: Executor, items: Iterator[T]) -> None:
        self._executor, self._items = executor, items
        self._stopped = False
        self._store: deque[asyncio.Future[T | None]] = deque()
        self._fill()

    async def following(self) -> T | None:
        """Return the next item, None behind the last. An exception of the iterator comes in its turn."""
        item = await self._store.popleft()
        self._fill()
        return item

    async def end(self) -> None:
        """Make nothing more; wait for what is being made."""
        self._stopped = True
        await asyncio.gather(*self._store, return_exceptions=True)

    def _fill(self) -> None:
        loop = asyncio.get_running_loop()
        while len(self._store) < STORE:
            self._store.append(loop.run_in_executor(self._executor, self._make))

    def _make(self) -> T | None:
        return None if self._stopped else next(self._items, None)
