"""Records as webhooks: each one is a POST, as banks tell merchants of payments.

In: records that are due. Out: requests to one URL, and their outcomes by kind.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

import aiohttp
import polars as pl
from aiohttp.abc import AbstractResolver, ResolveResult
from multidict import CIMultiDict

from producers.load.clock import Clock
from producers.load.parts import UNANSWERED, Outcomes, Seconds
from producers.load.targets.addresses import Place, check_target
from producers.load.targets.requests import Header, headers_of
from producers.load.targets.signing import signed
from schemas.errors import BadInputError

READ_BYTES: Final = 1 << 16
FIRST_WAIT_SECONDS: Final = 0.1
"""Before the first retry; twice as long before each that follows."""
_GOOD: Final = range(200, 300)
_WORTH_ANOTHER_TRY: Final = frozenset({"http 429", "http 500", "http 502", "http 503", "http 504"})
_COLUMNS: Final = ("key", "value", "headers")


@dataclass(frozen=True)
class WebhookSettings:
    """How requests are made."""

    connections: int = 64
    """At most so many requests are under way; what is due beyond waits, and its wait is in its latency."""
    connect_seconds: float = 5.0
    total_seconds: float = 30.0
    """Of one try, from asking for a connection to the answer's last byte."""
    retries: int = 0
    secret: bytes | None = None
    """Requests are signed with it, see `producers.load.targets.signing`."""
    yes: bool = False
    """Whether a target beyond this machine may be loaded."""

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            BadInputError: if one is left.
        """
        for name, value, least in (("--max-connections", self.connections, 1), ("--retries", self.retries, 0)):
            if value < least:
                raise BadInputError("arguments", f"{name} {value}", f"give {least} or more")
        for name, seconds in (("--connect-timeout", self.connect_seconds), ("--timeout", self.total_seconds)):
            if seconds <= 0:
                raise BadInputError("arguments", f"{name} {seconds}", "give a time above 0")


class _Pinned(AbstractResolver):
    """Resolves the target's name to the addresses that were checked, and nothing else."""

    def __init__(self, place: Place) -> None:
        self._place = place

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        """Return the addresses that were checked."""
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._place.addresses
        ]

    async def close(self) -> None:
        """Keep nothing open."""


class WebhookTarget:
    """Implements `Target`. Follows no redirects, keeps no cookies, asks no proxy."""

    def __init__(self, url: str, outcomes: Outcomes, clock: Clock, settings: WebhookSettings | None = None) -> None:
        """Args: where to; who hears of outcomes; the load's clock; how requests are made.

        Raises:
            BadInputError: if the URL is none that may be loaded, see `check_target`.
        """
        self._settings = settings or WebhookSettings()
        self._place = check_target(url, yes=self._settings.yes)
        self._outcomes, self._clock = outcomes, clock
        self._free = asyncio.Semaphore(self._settings.connections)
        self._under_way: dict[asyncio.Task[None], Seconds] = {}
        self._fault: BaseException | None = None

    async def __aenter__(self) -> Self:
        """Open the pool; connections are made as they are needed."""
        settings = self._settings
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=settings.connections, resolver=_Pinned(self._place)),
            timeout=aiohttp.ClientTimeout(total=settings.total_seconds, sock_connect=settings.connect_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers={"User-Agent": "quetma"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Give up what is under way, and close the pool."""
        await self.drain(0)
        await self._session.close()

    async def send(self, records: pl.DataFrame, due: Seconds) -> None:
        """Begin a request for each record; wait while all connections are taken."""
        for row, (key, value, headers) in enumerate(records.select(_COLUMNS).iter_rows()):
            await self._free.acquire()
            self._tell_fault()
            self._begin(key, value, headers, due[row : row + 1])

    def _begin(self, key: bytes | None, value: bytes | None, headers: Iterable[Header] | None, due: Seconds) -> None:
        self._outcomes.sent(due, self._clock.now())
        task = asyncio.create_task(self._tell(key, value, headers, due))
        self._under_way[task] = due
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.pop(task, None)
        self._free.release()
        if not task.cancelled() and task.exception() is not None:
            self._fault = task.exception()  # ours, not the target's

    def _tell_fault(self) -> None:
        """Raise a fault once: a load that goes on without telling of some records would not be one."""
        fault, self._fault = self._fault, None
        if fault is not None:
            raise fault

    async def drain(self, seconds: float) -> None:
        """Wait for answers; what has none then has failed as ``unanswered``."""
        if self._under_way and seconds > 0:
            await asyncio.wait(self._under_way, timeout=seconds)
        left = dict(self._under_way)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)
        for task, due in left.items():
            if task.cancelled():
                self._outcomes.failed(due, self._clock.now(), UNANSWERED)
        self._tell_fault()

    async def _tell(
        self, key: bytes | None, value: bytes | None, headers: Iterable[Header] | None, due: Seconds
    ) -> None:
        """Ask until the answer is good or no try is left, and tell what came of it."""
        fields, body = headers_of(key, value, headers), value or b""
        kind = await self._try(body, fields)
        for number in range(self._settings.retries):
            if kind is None or not _worth_another_try(kind):
                break
            await asyncio.sleep(FIRST_WAIT_SECONDS * 2**number)
            kind = await self._try(body, fields)
        at = self._clock.now()
        if kind is None:
            self._outcomes.answered(due, at)
        else:
            self._outcomes.failed(due, at, kind)

    async def _try(self, body: bytes, fields: CIMultiDict[str]) -> str | None:
        """Ask once; return the kind of failure, None if the answer is good."""
        headers = fields.copy()
        if self._settings.secret is not None:
            headers.update(signed(self._settings.secret, body, int(time.time())))
        try:
            async with self._session.post(self._place.url, data=body, headers=headers, allow_redirects=False) as answer:
                async for _ in answer.content.iter_chunked(READ_BYTES):
                    pass  # an answer counts when it is whole; nobody reads it
                return None if answer.status in _GOOD else f"http {answer.status}"
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return kind_of(error)


_KINDS: Final[tuple[tuple[tuple[type[BaseException], ...], str], ...]] = (
    ((aiohttp.ConnectionTimeoutError,), "connect timeout"),
    ((TimeoutError,), "timeout"),
    ((aiohttp.ClientSSLError,), "tls"),
    ((aiohttp.ClientConnectorError,), "unreachable"),
    ((aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError, ConnectionError, aiohttp.ClientOSError), "reset"),
    ((aiohttp.ClientResponseError,), "no http"),
)


def kind_of(error: BaseException) -> str:
    """Return the kind of a failed request, of few words."""
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, ConnectionRefusedError):
        return "refused"
    return next((kind for types, kind in _KINDS if isinstance(error, types)), "error")


def _worth_another_try(kind: str) -> bool:
    return not kind.startswith("http ") or kind in _WORTH_ANOTHER_TRY
