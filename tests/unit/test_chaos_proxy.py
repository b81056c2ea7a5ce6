"""The proxy between clients and broker: it hands on every byte, and cuts, stalls and slows when told to."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from services.broker import LOOPBACK, free_port
from services.chaos.proxy import PIECE_BYTES, Proxy

Link = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(1000):
        writer.write(piece)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def proxied() -> AsyncIterator[Proxy]:
    port = free_port()
    server = await asyncio.start_server(echo, LOOPBACK, port)
    async with Proxy(free_port()) as proxy:
        proxy.upstream = f"{LOOPBACK}:{port}"
        yield proxy
    server.close()


async def connect(proxy: Proxy) -> Link:
    host, _, port = proxy.address.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def echoed(link: Link, data: bytes) -> bytes:
    reader, writer = link
    writer.write(data)
    async with asyncio.timeout(10):
        return await reader.readexactly(len(data))


async def is_cut(link: Link) -> bool:
    try:
        async with asyncio.timeout(1):
            return await link[0].read(1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


async def test_every_byte_comes_through() -> None:
    data = os.urandom(3 * PIECE_BYTES + 17)
    async with proxied() as proxy:
        assert await echoed(await connect(proxy), data) == data


async def test_one_connection_is_cut_or_all() -> None:
    async with proxied() as proxy:
        links = [await connect(proxy) for _ in range(3)]
        for link in links:
            assert await echoed(link, b"x") == b"x"
        assert proxy.cut_one(4) == 1
        assert [await is_cut(link) for link in links] == [False, True, False]
        assert proxy.cut_all() == 2
        assert [await is_cut(link) for link in links] == [True] * 3
        assert proxy.cut_one(0) == proxy.cut_all() == 0
        assert await echoed(await connect(proxy), b"again") == b"again"


async def test_stall_holds_bytes_back_and_loses_none() -> None:
    async with proxied() as proxy:
        link = await connect(proxy)
        assert await echoed(link, b"x") == b"x"
        proxy.stall()
        waiting = asyncio.create_task(echoed(link, b"held"))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        proxy.go_on()
        assert await waiting == b"held"


async def test_delay_is_of_each_piece_and_ends() -> None:
    async with proxied() as proxy:
        link = await connect(proxy)
        proxy.delay_seconds = 0.1
        begun = time.monotonic()
        assert await echoed(link, b"slow") == b"slow"
        assert time.monotonic() - begun >= 0.2  # there and back
        proxy.go_on()
        assert proxy.delay_seconds == 0


@pytest.mark.parametrize("upstream", ["", f"{LOOPBACK}:9"])
async def test_where_no_broker_is_the_connection_ends(upstream: str) -> None:
    async with Proxy(free_port()) as proxy:
        proxy.upstream = upstream
        assert await is_cut(await connect(proxy))


async def test_its_end_cuts_what_is_open() -> None:
    async with proxied() as proxy:
        link = await connect(proxy)
        assert await echoed(link, b"x") == b"x"
    assert await is_cut(link)
