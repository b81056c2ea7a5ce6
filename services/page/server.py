"""The web server, in the event loop of the process that it is part of.

In: an ASGI application and where to listen. Out: a port that answers until the context ends.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from schemas.errors import UnreachableError
from schemas.settings import ServeSettings

BACKLOG: Final = 128
GRACE_SECONDS: Final = 3
"""How long open requests may take when the server stops."""


class _Server(uvicorn.Server):
    """A server that leaves signals to the process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@asynccontextmanager
async def serving(app: ASGIApp, serve: ServeSettings, closing: asyncio.Event) -> AsyncIterator[int]:
    """Serve an application while the context lasts, and give its port.

    Args:
        app: the application.
        serve: where to listen.
        closing: set at the end; streams that never end by themselves look at it.

    Raises:
        UnreachableError: if the port is taken.
    """
    listening = _listen(serve.host, serve.port)
    options = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = _Server(options)
    running = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield int(listening.getsockname()[1])
    finally:
        closing.set()
        server.should_exit = True
        await running
        listening.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise UnreachableError("serve", f"{host}:{port}: {error}", "choose another QUETMA_SERVE__PORT, or 0") from None
