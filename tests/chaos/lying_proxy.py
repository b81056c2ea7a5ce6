"""A proxy that makes the broker acknowledge a batch which it never got.

In: produce requests. Out: the same, but for one: in its place goes the request before it for the same partitions, under
the number of the new one. The broker writes the old batches again and acknowledges; the new ones are lost.
"""

from __future__ import annotations

import asyncio
import struct
from contextlib import suppress

from schemas.topics import PAYMENTS
from services.chaos.proxy import Proxy

PRODUCE = 0
HONEST_REQUESTS = 20
"""So many with payments go through before the lie."""

Places = tuple[tuple[str, int], ...]


def places_of(request: bytes) -> Places:
    """Return the topics and partitions of a produce request (version 3 to 8, aiokafka's)."""
    at = 8  # behind api key, version and correlation id

    def number(form: str) -> int:
        nonlocal at
        (value,) = struct.unpack_from(form, request, at)
        at += struct.calcsize(form)
        return int(value)

    def text() -> str:
        nonlocal at
        length = max(0, number(">h"))
        at += length
        return request[at - length : at].decode()

    text(), text()  # client id, transactional id
    number(">h"), number(">i")  # acks, timeout
    places = []
    for _ in range(number(">i")):
        topic = text()
        for _ in range(number(">i")):
            places.append((topic, number(">i")))
            batch = number(">i")
            at += batch
    return tuple(places)


class LyingProxy(Proxy):
    """Lies once."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.lies = 0
        self._seen = 0

    async def _to_broker(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        before: dict[Places, bytes] = {}
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                size = await reader.readexactly(4)
                request = await reader.readexactly(int.from_bytes(size, "big"))
                sent = self._instead_of(request, before)
                writer.write(len(sent).to_bytes(4, "big") + sent)
                await writer.drain()

    def _instead_of(self, request: bytes, before: dict[Places, bytes]) -> bytes:
        if int.from_bytes(request[:2], "big") != PRODUCE:
            return request
        places = places_of(request)
        if all(topic == PAYMENTS for topic, _ in places):
            self._seen += 1
            if self._seen > HONEST_REQUESTS and not self.lies and places in before:
                self.lies += 1
                return before[places][:4] + request[4:8] + before[places][8:]
            before[places] = request
        return request
