"""Work ahead: a thread makes the next items while the event loop sends the ones before.

In: an iterator. Out: its items, in order; a few are made before they are asked for.
A day begins with work that yields nothing to send: a store of ready blocks bridges it.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor
from typing import Final, Generic, TypeVar

T = TypeVar("T")
STORE: Final = 8
"""Items made ahead at most."""


class Tomorrow:
    """Keeps who makes days from beginning one before the day before it is being sent: orders shall not have to wait.

    The maker waits in its thread, the sender tells from its own.
    """

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._opened: int | None = None
        self._ended = False

    def wait(self, day: int) -> None:
        """Wait until a day may begin to be made, by its number."""
        with self._change:
            self._change.wait_for(lambda: self._ended or (self._opened is not None and self._opened >= day - 1))

    def opened(self, day: int) -> None:
        """Tell that a day begins to be sent."""
        with self._change:
            self._opened = day
            self._change.notify_all()

    def close(self) -> None:
        """Let nobody wait any more: nothing is sent from now on."""
        with self._change:
            self._ended = True
            self._change.notify_all()


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
