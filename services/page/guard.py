"""Who may do what: names that we are called by, origins, tokens, sizes and rates; and headers for browsers.

In: requests. Out: the same, or a problem (421, 403, 401, 429, 413).
Reads are open, and the server listens on loopback unless told otherwise. A page of another site must neither read
by giving our address a name of its own (DNS rebinding: the Host header), nor change anything (the Origin header).
"""

from __future__ import annotations

import hmac
import ipaddress
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.page.problems import problem

CHANGES: Final = frozenset({"/api/interventions", "/api/pace"})
"""Paths whose POST changes something."""
FOR_MACHINES: Final = frozenset({"/metrics", "/healthz", "/readyz"})
"""Paths that Prometheus and container engines call by whatever name they have for us."""
MAX_BODY: Final = 16 * 1024
CONTENT_SECURITY_POLICY: Final = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        # Plotly lays its own style sheet and style attributes into the page.
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "font-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class BrowserHeaders:
    """Adds to every response what browsers are to enforce."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)


class HostGuard:
    """Refuses requests that call us by a name that is not ours: a strange name may be another site's."""

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        self._app = app
        self._names = names | {"localhost"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http" and scope["path"] not in FOR_MACHINES:
            host = Headers(scope=scope).get("host", "")
            if not self._is_ours(host):
                fix = "call it by an address, by localhost, or by a name in QUETMA_SERVE__NAMES"
                refusal = problem(
                    HTTPStatus.MISDIRECTED_REQUEST, f"Host {host[:100]!r} is not a name of this server: {fix}"
                )
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name.lower() in self._names:
            return True
        try:  # an address is nobody's name, and cannot be rebound
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


class ChangeGuard:
    """Lets changes through that come from our own page or from a program, with the token, small and not too many."""

    def __init__(self, app: ASGIApp, token: str, per_minute: int) -> None:
        self._app = app
        self._token = token.encode()
        self._limit = RateLimitItemPerMinute(per_minute)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._per_minute = per_minute

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in CHANGES:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = _foreign(headers) or self._unauthorised(scope, headers) or self._too_many(scope, "changes")
        body: bytes | None = None
        if refusal is None:
            body = await _small_body(headers, receive)
            if body is None:
                refusal = problem(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    f"the body is larger than {MAX_BODY} bytes",
                    headers={"Connection": "close"},
                )
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        await self._app(scope, _replayed(body or b"", receive), send)

    def _unauthorised(self, scope: Scope, headers: Headers) -> Response | None:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._token):
            return None
        too_many = self._too_many(scope, "wrong tokens")
        if too_many is not None:
            return too_many
        detail = "changes need the header Authorization: Bearer TOKEN; `quetma serve` prints the token at its start"
        challenge = 'Bearer realm="quetma"' + (', error="invalid_token"' if given else "")
        return problem(HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": challenge})

    def _too_many(self, scope: Scope, what: str) -> Response | None:
        client = (scope.get("client") or ("",))[0]
        if self._limiter.hit(self._limit, what, client):
            return None
        seconds = self._wait(what, client)
        return problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            f"more than {self._per_minute} {what} in a minute from {client}; try again in {seconds} s",
            headers={"Retry-After": str(seconds)},
        )

    def _wait(self, what: str, client: str) -> int:
        return max(1, round(self._limiter.get_window_stats(self._limit, what, client).reset_time - time.time() + 0.5))


def _foreign(headers: Headers) -> Response | None:
    """Refuse what a page of another site sends. Programs send no Origin."""
    origin = headers.get("origin")
    same = origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
    if same and headers.get("sec-fetch-site", "same-origin") in {"same-origin", "none"}:
        return None
    return problem(HTTPStatus.FORBIDDEN, f"a page of {origin} may not change anything here")


async def _small_body(headers: Headers, receive: Receive) -> bytes | None:
    """Read a body, none if it is too large."""
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > MAX_BODY:
        return None
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return body
        body += bytes(message.get("body", b""))
        if len(body) > MAX_BODY:
            return None
        if not message.get("more_body"):
            return body


def _replayed(body: bytes, receive: Receive) -> Callable[[], Awaitable[Any]]:
    """Return what gives a body that has been read, and then whatever comes."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
