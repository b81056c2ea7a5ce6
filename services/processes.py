"""What every long-running process does the same way: signals, its own /metrics, logging.

In: settings, a coroutine. Out: a running process that stops in order on SIGTERM and SIGINT.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable

from prometheus_client import CollectorRegistry, start_http_server

from schemas.errors import BadInputError


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


def set_up_logging(*, quiet: bool = False) -> None:
    """Send warnings to stderr, one line each; keep client libraries to errors."""
    logging.basicConfig(level=logging.ERROR if quiet else logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL if quiet else logging.ERROR)
