"""What every long-running process does the same way: signals, its own /metrics, logging.

In: settings, a coroutine. Out: a running process that stops in order on SIGTERM and SIGINT.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, start_http_server

from schemas.errors import BadInputError

T = TypeVar("T")
REPEAT_SECONDS = 30.0
CANCEL_SECONDS = 1.0
"""Time that a cancelled task has to end before it is cancelled again."""


def serve_metrics(registry: CollectorRegistry, host: str, port: int) -> int:
    """Answer scrapes of a registry from a thread of its own; return the port.

    Raises:
        BadInputError: if the port is taken.
    """
    try:
        server, _ = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise BadInputError("metrics", f"{host}:{port}: {error}", "choose another port, or 0 for a free one") from None
    return int(server.server_port)


async def until_stopped(work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run work with an event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await work(stop)


async def unless_stopped(work: Awaitable[T], stop: asyncio.Event) -> T | None:
    """Return what work returns; None, when it has been cancelled, if the event is set before."""
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await ended([stopping, working])
    return None if working.cancelled() else working.result()


async def ended(tasks: Collection[asyncio.Future[Any]]) -> None:
    """Cancel tasks until they have ended: aiokafka takes a cancellation for one of its own, now and then."""
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=CANCEL_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)


class _Seldom(logging.Filter):
    """Lets a logger say the same thing once in a while: client libraries repeat themselves at every retry."""

    def __init__(self) -> None:
        super().__init__()
        self._said_at: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record may be shown."""
        what = (record.name, str(record.msg))
        if (
            record.name.startswith("quetma")
            or time.monotonic() - self._said_at.get(what, -REPEAT_SECONDS) >= REPEAT_SECONDS
        ):
            self._said_at[what] = time.monotonic()
            return True
        return False


def set_up_logging(*, quiet: bool = False) -> None:
    """Send warnings to stderr, one line each, and what client libraries repeat only once in 30 s."""
    handler = logging.StreamHandler()
    handler.addFilter(_Seldom())
    level = logging.ERROR if quiet else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", handlers=[handler])
