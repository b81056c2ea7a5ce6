"""A TCP proxy on loopback between all clients and the broker.

In: connections to its address. Out: the same bytes to and from the broker, unless told to cut, slow or stall them.
The broker advertises the proxy's address, so that no client finds a way around it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from services.broker import LOOPBACK

PIECE_BYTES = 1 << 16
"""Most that is handed on at once; a delay is one of each piece."""


class Proxy:
    """Use as an async context manager: it listens from the beginning, and hands on once `upstream` is set."""

    def __init__(self, port: int) -> None:
        self.address = f"{LOOPBACK}:{port}"
        self.upstream = ""
        """HOST:PORT of the broker."""
        self.delay_seconds = 0.0
        self._port = port
        self._open = asyncio.Event()
        self._open.set()
        self._links: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._accept, LOOPBACK, self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        links = list(self._links)
        self.cut_all()
        await asyncio.gather(*links, return_exceptions=True)

    def cut_all(self) -> int:
        """Cut every connection; return how many there were."""
        return sum(self._cut(link) for link in list(self._links))

    def cut_one(self, number: int) -> int:
        """Cut one connection, the oldest being number 0, modulo how many there are; return how many were cut."""
        links = list(self._links)
        return self._cut(links[number % len(links)]) if links else 0

    def stall(self) -> None:
        """Hand on nothing until `go_on`; connections stay open."""
        self._open.clear()

    def go_on(self) -> None:
        """End a stall and a delay."""
        self.delay_seconds = 0.0
        self._open.set()

    def _cut(self, link: asyncio.Task[None]) -> int:
        """Send a reset to both ends; what was on its way is lost."""
        for writer in self._links.pop(link):
            writer.transport.abort()
        link.cancel()
        return 1

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection in a task of our own: the server would take the end of one of its own for an error."""
        writers = [writer]
        link = asyncio.create_task(self._serve(reader, writers))
        self._links[link] = writers
        link.add_done_callback(lambda ended: self._links.pop(ended, None))

    async def _serve(self, reader: asyncio.StreamReader, writers: list[asyncio.StreamWriter]) -> None:
        try:
            host, _, port = self.upstream.rpartition(":")
            there, back = await asyncio.open_connection(host, int(port))
            writers.append(back)
            await self._until_either_ends(self._to_broker(reader, back), self._hand_on(there, writers[0]))
        except (OSError, ValueError):
            pass  # the broker is away: to the client it looks so too
        finally:
            for one in writers:
                one.transport.abort()

    async def _until_either_ends(self, *ways: object) -> None:
        tasks = [asyncio.ensure_future(way) for way in ways]  # type: ignore[call-overload]  # coroutines
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    async def _to_broker(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hand on what a client sends; tests put a liar in its place."""
        await self._hand_on(reader, writer)

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(PIECE_BYTES):
                await self._open.wait()
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                writer.write(piece)
                await writer.drain()
