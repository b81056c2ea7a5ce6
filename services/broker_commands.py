"""`quetma broker`: the embedded broker alone.

In: a port. Out: a broker on it until a signal comes.
"""

from __future__ import annotations

import asyncio

import typer
import uvloop

from schemas.errors import UnreachableError
from services.broker import EmbeddedBroker
from services.output import say
from services.processes import until_stopped


def broker(*, port: int = typer.Option(9092, min=1, max=65535, help="Loopback port.")) -> None:
    """Run the embedded broker until it is told to stop. Its memory is its only copy."""
    uvloop.run(_broker(port))


async def _broker(port: int) -> None:
    async with EmbeddedBroker(pick_port=lambda: port) as running:
        say(f"broker on {running.bootstrap_servers}; Ctrl-C ends it, and what it keeps with it")

        async def work(stop: asyncio.Event) -> None:
            while not stop.is_set():
                if not running.alive:
                    raise UnreachableError("broker", "it has ended", running.log_end())
                await asyncio.sleep(0.2)

        await until_stopped(work)
