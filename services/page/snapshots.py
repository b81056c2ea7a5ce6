"""Snapshots in the form in which they are sent: encoded by sections, made twice a second at most.

In: a `PageView` and the exporter's figures. Out: bytes of JSON; for a stream, only of sections that have changed.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Final

import msgspec

from services.page.view import Health, PageView

PERIOD_SECONDS: Final = 0.5
BEAT_SECONDS: Final = 2.0
"""A stream says something so often, so that browsers notice when it is gone."""
KEPT: Final = 8
"""Runs whose sections are kept for the next who asks."""

Sections = dict[str, bytes]
_encode = msgspec.json.Encoder().encode


class Snapshots:
    """Encodes snapshots of runs, once for all who look."""

    def __init__(self, view: PageView, health: Callable[[], Health]) -> None:
        self._view = view
        self._health = health
        self._made: dict[str | None, tuple[float, Sections]] = {}
        self.closing = asyncio.Event()
        """Set when the server stops: streams end then."""

    def sections(self, run: str | None) -> Sections:
        """Return the sections of a run's snapshot; half a second old at most."""
        now = time.monotonic()
        made = self._made.get(run)
        if made is None or now - made[0] >= PERIOD_SECONDS * 0.9:
            snapshot = self._view.snapshot(run, self._health(), now)
            made = now, {name: _encode(section) for name, section in snapshot.items()}
            if len(self._made) >= KEPT:
                self._made.clear()
            self._made[run] = made
        return made[1]

    def document(self, run: str | None) -> bytes:
        """Return a run's snapshot as one JSON object."""
        return joined(self.sections(run))

    async def stream(self, run: str | None) -> AsyncIterator[bytes]:
        """Yield server-sent events: all sections, then twice a second those that have changed."""
        sent: Sections = {}
        said_at = 0.0
        yield b"retry: 1000\n\n"
        while not self.closing.is_set():
            sections = self.sections(run)
            news = {name: section for name, section in sections.items() if sent.get(name) != section}
            sent = sections
            now = time.monotonic()
            if news:
                yield b"event: state\ndata: " + joined(news) + b"\n\n"
                said_at = now
            elif now - said_at >= BEAT_SECONDS:
                yield b"event: beat\ndata: {}\n\n"
                said_at = now
            try:
                await asyncio.wait_for(self.closing.wait(), PERIOD_SECONDS)
            except TimeoutError:
                continue


def joined(sections: Sections) -> bytes:
    """Return encoded sections as one JSON object."""
    return b"{" + b",".join(_encode(name) + b":" + section for name, section in sections.items()) + b"}"


async def gzipped(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Compress a stream; each part can be read as soon as it has come."""
    packer = zlib.compressobj(level=5, wbits=31)
    async for part in parts:
        yield packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH)
    yield packer.flush()
