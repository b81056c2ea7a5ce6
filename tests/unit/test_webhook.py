"""Webhooks to a real server on loopback: bodies and headers byte for byte, failures by kind, waits that count."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import numpy as np
import polars as pl
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.load.frames import RECORDS
from producers.load.outcomes import Recorder
from producers.load.targets.addresses import check_target
from producers.load.targets.requests import headers_of, is_json
from producers.load.targets.signing import SIGNATURE, TIMESTAMP, secret_from, signed, verified
from producers.load.targets.webhook import WebhookSettings, WebhookTarget
from producers.load.thresholds import broken, parse_threshold
from schemas.errors import BadInputError, UnreachableError
from tests.load_reports import described

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from aiohttp.typedefs import Handler

    from producers.load.parts import Seconds

SECRET = b"a secret of tests"


class Told:
    """Outcomes, as they are told."""

    def __init__(self) -> None:
        self.sent_at: list[tuple[float, float]] = []
        self.answered_at: list[tuple[float, float]] = []
        self.kinds: Counter[str] = Counter()

    def sent(self, due: Seconds, at: float) -> None:
        self.sent_at += [(float(one), at) for one in due]

    def answered(self, due: Seconds, at: float) -> None:
        self.answered_at += [(float(one), at) for one in due]

    def failed(self, due: Seconds, at: float, kind: str) -> None:
        self.kinds[kind] += len(due)


class RealTime:
    def __init__(self) -> None:
        self._began = time.monotonic()

    def now(self) -> float:
        return time.monotonic() - self._began


@asynccontextmanager
async def server(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/webhook", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/webhook"
    finally:
        await runner.cleanup()


def frame(*records: tuple[bytes | None, bytes | None, list[dict[str, Any]]]) -> pl.DataFrame:
    rows = [(None, None, number, 0, 0, *record) for number, record in enumerate(records)]
    return pl.DataFrame(rows, schema=RECORDS, orient="row")


def payments(count: int) -> pl.DataFrame:
    return frame(*((b"binh-an", json.dumps({"n": number}).encode(), []) for number in range(count)))


async def posted(url: str, records: pl.DataFrame, drain: float = 5.0, **options: Any) -> Told:
    outcomes = Told()
    async with WebhookTarget(url, outcomes, RealTime(), WebhookSettings(**options)) as target:
        await target.send(records, np.zeros(len(records)))
        await target.drain(drain)
    return outcomes


def answering(*statuses: int) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Answer with one status after the other, and then with the last."""
    left = list(statuses)

    async def handler(request: web.Request) -> web.Response:
        status = left.pop(0) if len(left) > 1 else left[0]
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    return handler


async def test_value_key_and_headers_arrive_byte_for_byte() -> None:
    seen: list[tuple[bytes, Any]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((await request.read(), request.headers.copy()))
        return web.Response()

    key = "chợ-bình-an %".encode() + b"\x00\xff"
    headers = [
        {"name": "ce_id", "value": b"an-giang 1"},
        {"name": "sent_at", "value": b"17"},
        {"name": "again", "value": b"1"},
        {"name": "again", "value": b"2"},
        {"name": "nothing", "value": None},
        {"name": "tên lạ", "value": "Chợ".encode()},
    ]
    records = frame(
        (key, b'{"amount_vnd": 50000}', headers),
        (None, b"\x00\xff no json", []),
        (b"", None, []),
        (b"k", b"<x/>", [{"name": "content-type", "value": b"application/xml"}]),
    )
    async with server(handler) as url:
        outcomes = await posted(url, records, connections=1)  # one after the other, so in order
    assert len(outcomes.answered_at) == 4
    (first, its), (second, binary), (third, null), (fourth, xml) = seen
    assert (first, second, third, fourth) == (b'{"amount_vnd": 50000}', b"\x00\xff no json", b"", b"<x/>")
    assert unquote_to_bytes(its["X-Quetma-Key"]) == key
    assert its["Content-Type"] == "application/json"
    assert unquote_to_bytes(its["ce-id"]) == b"an-giang 1"
    assert its["X-Quetma-Header-sent_at"] == "17"
    assert its.getall("X-Quetma-Header-again") == ["1", "2"]
    assert unquote_to_bytes(its["X-Quetma-Header-t%C3%AAn%20l%E1%BA%A1"]).decode() == "Chợ"
    assert not any("nothing" in name for name in its)
    assert "X-Quetma-Key" not in binary
    assert binary["Content-Type"] == "application/octet-stream"
    assert (null["X-Quetma-Key"], null["X-Quetma-Value"]) == ("", "null")
    assert xml["Content-Type"] == "application/xml"
    assert SIGNATURE not in its


@settings(max_examples=50)
@given(st.binary(max_size=60), st.text(max_size=20), st.binary(max_size=60))
def test_any_bytes_make_headers_that_http_allows_and_that_can_be_read_back(key: bytes, name: str, value: bytes) -> None:
    fields = headers_of(key, value, [{"name": f"x{name}", "value": value}])
    assert unquote_to_bytes(fields["X-Quetma-Key"]) == key
    (found,) = [one for one in fields if one.startswith("X-Quetma-Header-")]
    assert unquote_to_bytes(found.removeprefix("X-Quetma-Header-")) == f"x{name}".encode(errors="surrogatepass")
    assert unquote_to_bytes(fields[found]) == value
    for text in (found, *fields.values()):
        assert text.isascii()
        assert text.isprintable()
        assert " " not in text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"{}", True),
        (b'"\xc3\xa9"', True),
        (b" 1 ", True),
        (b"", False),
        (b"{", False),
        (b"{} {}", False),
        (b"nan", False),
    ],
)
def test_json_is_told_from_what_is_none(value: bytes, expected: bool) -> None:
    assert is_json(value) == expected


async def test_signatures_hold_and_are_of_the_moment_of_sending() -> None:
    verdicts: list[bool] = []

    async def handler(request: web.Request) -> web.Response:
        body = await request.read()
        verdicts.append(verified(SECRET, body, request.headers, time.time()))
        verdicts.append(not verified(SECRET, body + b" ", request.headers, time.time()))
        verdicts.append(not verified(b"another", body, request.headers, time.time()))
        verdicts.append(not verified(SECRET, body, request.headers, time.time() + 301))
        later = {**request.headers, TIMESTAMP: str(int(request.headers[TIMESTAMP]) + 1)}
        verdicts.append(not verified(SECRET, body, later, time.time()))
        return web.Response()

    async with server(handler) as url:
        await posted(url, payments(3), secret=SECRET)
    assert verdicts == [True] * 15


def test_a_signature_is_the_one_that_others_compute() -> None:
    headers = signed(b"key", b'{"a":1}', 1_700_000_000)
    # printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac key
    assert headers == {
        "X-Quetma-Timestamp": "1700000000",
        "X-Quetma-Signature": "sha256=a438e398bfafc57e4396bb7fc2304422f0f768e965d073ca313cb52e22e6ad03",
    }


async def test_failures_are_told_by_status_and_redirects_are_not_followed() -> None:
    for status in (302, 400, 404, 429, 500, 503):
        async with server(answering(status)) as url:
            outcomes = await posted(url, payments(2))
        assert outcomes.kinds == {f"http {status}": 2}
        assert outcomes.answered_at == []
    async with server(answering(204)) as url:
        assert len((await posted(url, payments(2))).answered_at) == 2


async def test_a_slow_answer_times_out_and_one_that_never_comes_is_unanswered() -> None:
    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(0.5)
        return web.Response()

    async with server(slow) as url:
        assert (await posted(url, payments(2), total_seconds=0.1)).kinds == {"timeout": 2}
        outcomes = await posted(url, payments(3), drain=0.1)
    assert outcomes.kinds == {"unanswered": 3}
    assert len(outcomes.sent_at) == 3


async def test_a_connection_that_is_reset_or_refused_or_speaks_no_http() -> None:
    async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.close()

    async def mumbles(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"what?\r\n\r\n")
        writer.close()

    for handler, kind in ((resets, "reset"), (mumbles, "no http")):
        listening = await asyncio.start_server(handler, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        outcomes = await posted(f"http://127.0.0.1:{port}/", payments(2))
        assert outcomes.kinds == {kind: 2}
        listening.close()
        await listening.wait_closed()
    assert (await posted(f"http://127.0.0.1:{port}/", payments(2))).kinds == {"refused": 2}


async def test_retries_are_off_unless_asked_for_and_only_where_they_may_help() -> None:
    async with server(answering(503, 500, 200)) as url:
        assert (await posted(url, payments(1))).kinds == {"http 503": 1}
    async with server(answering(503, 500, 200)) as url:
        outcomes = await posted(url, payments(1), retries=2, secret=SECRET)
    assert (len(outcomes.sent_at), outcomes.kinds) == (1, {})
    assert outcomes.answered_at[0][1] >= 0.3  # the waits before both retries count
    async with server(answering(404, 200)) as url:
        assert (await posted(url, payments(1), retries=2)).kinds == {"http 404": 1}


async def test_no_more_are_under_way_than_connections_and_the_wait_counts_from_when_due() -> None:
    under_way = most = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.05)
        under_way -= 1
        return web.Response()

    async with server(handler) as url:
        outcomes = await posted(url, payments(12), connections=3)
    assert most == 3
    assert len(outcomes.answered_at) == 12
    assert max(at for _, at in outcomes.sent_at) >= 0.15  # sent when a connection was free
    assert max(at - due for due, at in outcomes.answered_at) >= 0.2  # four rounds of 50 ms, all due at 0


async def test_a_fault_of_the_tool_itself_is_raised_although_nothing_more_is_sent(monkeypatch) -> None:
    async def broken(*_: object) -> str | None:
        raise RuntimeError("broken")

    async with server(answering(200)) as url, WebhookTarget(url, Told(), RealTime()) as target:
        monkeypatch.setattr(target, "_try", broken)
        await target.send(payments(1), np.zeros(1))
        with pytest.raises(RuntimeError, match="broken"):
            await target.drain(5)


async def test_the_recorder_makes_a_report_of_it() -> None:
    """Three requests at a time, each of 20 ms, all due at once: the wait is in the latency, not only the answer."""

    async def handler(request: web.Request) -> web.Response:
        await asyncio.sleep(0.02)
        return web.Response(status=500 if (await request.json())["n"] == 5 else 200)

    recorder, clock = Recorder(lambda _: None), RealTime()
    async with (
        server(handler) as url,
        WebhookTarget(url, recorder, clock, WebhookSettings(connections=3)) as target,
    ):
        await target.send(payments(12), np.zeros(12))
        recorder.end(clock.now(), "source ended")
        await target.drain(5)
    report = recorder.report(described("speed"))
    assert report.counts.model_dump() == {
        "asked": 12,
        "sent": 12,
        "answered": 11,
        "failed": 1,
        "unanswered": 0,
        "errors": {"http 500": 1},
    }
    assert report.ack_ms.p50 is not None
    assert report.ack_ms.p50 >= 39
    assert broken(report, [parse_threshold("errors>0"), parse_threshold("max_ack_ms<80")]) == ["errors>0: found 1"]


class TestWhereItGoes:
    @pytest.mark.parametrize(
        "url", ["http://127.0.0.1:8080/webhook", "https://localhost/", "http://[::1]:8080/", "http://127.9.9.9/"]
    )
    def test_this_machine_needs_no_confirmation(self, url: str) -> None:
        assert check_target(url, yes=False).loopback

    @pytest.mark.parametrize(
        "url", ["http://192.0.2.7/", "http://0.0.0.0:8080/", "http://[2001:db8::1]/", "http://[::ffff:192.0.2.7]/"]
    )
    def test_any_other_does(self, url: str) -> None:
        with pytest.raises(BadInputError, match=r"is not this machine\. add --yes"):
            check_target(url, yes=False)
        assert not check_target(url, yes=True).loopback

    def test_a_name_is_what_it_resolves_to(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = [(2, 1, 6, "", ("127.0.0.1", 80)), (2, 1, 6, "", ("192.0.2.7", 80))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        with pytest.raises(BadInputError, match=r"localhost\.example/ is at 127\.0\.0\.1, 192\.0\.2\.7"):
            check_target("http://localhost.example/", yes=False)

    async def test_requests_go_to_the_addresses_that_were_checked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whatever the name resolves to when the connection is made."""
        async with server(answering(200)) as url:
            named = url.replace("127.0.0.1", "merchant.example")
            real = socket.getaddrinfo
            monkeypatch.setattr(
                socket,
                "getaddrinfo",
                lambda host, *more, **named: real(host.replace("merchant.example", "127.0.0.1"), *more, **named),
            )
            place = check_target(named, yes=False)
            outcomes = Told()
            async with WebhookTarget(named, outcomes, RealTime()) as target:
                monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("192.0.2.7", 80))])
                await target.send(payments(1), np.zeros(1))
                await target.drain(5)
        assert place.addresses == ("127.0.0.1",)
        assert len(outcomes.answered_at) == 1

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "127.0.0.1:8080",
            "//127.0.0.1",
            "ftp://127.0.0.1/",
            "http://",
            "http://127.0.0.1:99999/",
            "http://127.0.0.1/ x",
            "http://127.0.0.1/#x",
        ],
    )
    def test_what_is_no_url_is_refused_with_an_example(self, url: str) -> None:
        with pytest.raises(BadInputError, match="such as http://127"):
            check_target(url, yes=True)

    def test_a_password_is_refused_and_not_repeated(self) -> None:
        with pytest.raises(BadInputError) as caught:
            check_target("http://me:hush@127.0.0.1/", yes=True)
        assert "hush" not in str(caught.value)

    def test_an_unknown_host_is_unreachable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def unknown(*_: object, **__: object) -> None:
            raise socket.gaierror(-2, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        with pytest.raises(UnreachableError, match=r"nobody\.example: Name or service not known"):
            check_target("http://nobody.example/", yes=True)

    def test_a_name_is_told_with_its_addresses(self) -> None:
        said = check_target("http://localhost:8080/webhook", yes=False).in_words()
        assert said.startswith("http://localhost:8080/webhook (")
        assert "127.0.0.1" in said
        assert check_target("http://127.0.0.1/", yes=False).in_words() == "http://127.0.0.1/"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"connections": 0}, "--max-connections 0"),
        ({"retries": -1}, "--retries -1"),
        ({"total_seconds": 0.0}, "--timeout 0.0"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        WebhookSettings(**options)


def test_a_secret_comes_from_a_variable_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", "s3cret")
    monkeypatch.delenv("HOOK_SECRETS", raising=False)
    assert secret_from("HOOK_SECRET") == b"s3cret"
    assert secret_from(None) is None
    with pytest.raises(BadInputError, match="--hmac-secret-env HOOK_SECRETS: no such variable"):
        secret_from("HOOK_SECRETS")
