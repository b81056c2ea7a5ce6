"""The page's API on a running system: it says what `quetma verify` says, orders reach their topic, and the OpenAPI
document is kept, whatever is asked."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.orders import InterventionOrder, PaceOrder
from schemas.topics import INTERVENTIONS
from services.broker import free_port
from services.topic_reader import read_all
from tests.contract.systems import FirstRun, Systems, first_run
from tests.system import System, usually_on

# One broker is enough: the page reads with the same clients as everything else.
pytestmark = [pytest.mark.broker, usually_on("embedded")]

TOKEN = "a-token-for-tests-0123"
SECONDS = 15
"""That schemathesis may take."""


@pytest.fixture(scope="module")
def paged(system: System) -> FirstRun:
    """A run of our own: the page keeps the newest only."""
    return first_run(system, "--run", "paged")


@pytest.fixture(scope="module")
def system(systems: Systems) -> Iterator[System]:
    """The system that has run, with a second server whose token is known."""
    running, _ = systems.get()
    running.ports["page"] = free_port()
    server = running.start(
        "page",
        "serve",
        QUETMA_SERVE__PORT=str(running.ports["page"]),
        QUETMA_SERVE__TOKEN=TOKEN,
        QUETMA_SERVE__CHANGES_PER_MINUTE="10000",
    )
    running.until(lambda: ready(running), [server])
    yield running
    server.ask_to_stop()
    assert asyncio.run(server.stopped(10.0)) == 0, server.log_end()


def ready(system: System) -> bool:
    try:
        return bool(get(system, "/readyz")["ok"]) and get(system, "/api/state")["run"] is not None
    except OSError:
        return False


def url(system: System, path: str) -> str:
    return f"http://127.0.0.1:{system.ports['page']}{path}"


def get(system: System, path: str) -> Any:
    with urllib.request.urlopen(url(system, path), timeout=10) as response:
        return json.load(response)


def post(system: System, path: str, body: Any, port: str = "page", token: str = TOKEN) -> tuple[int, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{system.ports[port]}{path}",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def orders(system: System) -> list[Any]:
    async def read() -> list[Any]:
        return [record async for record in read_all(system.servers, [INTERVENTIONS])]

    return asyncio.run(read())


def test_the_page_says_what_verify_says(system: System, paged: FirstRun) -> None:
    run = paged
    system.until(lambda: get(system, f"/api/state?run={run.name}")["balance"]["state"] == "exact")
    state = get(system, f"/api/state?run={run.name}")
    assert state["balance"]["payments"] == run.verdict["payments"]
    assert state["balance"]["amount_vnd"] == run.verdict["amount_vnd"]
    assert state["faults"] == {name: run.verdict[name] for name in ("duplicates", "late")}
    assert state["today"]["run_payments"] == run.acked
    assert state["balance"]["exact_days"] == state["balance"]["days"] == 1
    assert sum(state["health"]["dead_letters"].values()) >= run.malformed > 0
    shares = {
        labels["commune"]: value
        for labels, value in run.exporter.series("quetma_commune_cashless_share")
        if labels["by"] == "count"
    }
    found = {row["id"]: row["share_count"] for row in state["communes"] if row["share_count"] is not None}
    assert found == pytest.approx(shares, abs=1e-4)
    settled = sum(count for by_method in state["mix"].values() for count, _ in by_method.values())
    assert settled == run.exporter.total("quetma_payments_total") - sum(
        value for labels, value in run.exporter.series("quetma_payments_total") if labels["status"] != "settled"
    )


def test_a_commune_is_part_of_the_province(system: System, paged: FirstRun) -> None:
    state = get(system, f"/api/state?run={paged.name}")
    communes = [get(system, f"/api/communes/{row['id']}?run={paged.name}") for row in state["communes"]]
    assert (
        sum(one["today"]["payments"] for one in communes if one["day_at"] == state["today"]["day_at"])
        == (state["today"]["payments"])
    )
    assert sum(len(one["markets"]) for one in communes) == len(state["markets"]) > 10


@pytest.mark.parametrize("packed", [False, True])
def test_the_stream_pushes_all_sections_at_once(system: System, packed: bool) -> None:
    headers = {"Accept-Encoding": "gzip"} if packed else {}
    request = urllib.request.Request(url(system, "/api/stream"), headers=headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        assert response.headers.get("Content-Encoding") == ("gzip" if packed else None)
        unpack = zlib.decompressobj(wbits=31)
        text = b""
        while text.count(b"\n\n") < 2:
            piece = response.read1(65_536)
            text += unpack.decompress(piece) if packed else piece
    event = text.split(b"\n\n")[1]
    assert event.startswith(b"event: state\ndata: ")
    assert set(json.loads(event.split(b"data: ", 1)[1])) == set(get(system, "/api/state"))


def test_an_order_reaches_its_topic(system: System) -> None:
    run = get(system, "/api/state")["run"]["run"]
    place = get(system, "/api/state")["communes"][0]["id"]
    wanted = {"kind": "outage", "place": [place], "for_hours": 3, "then": "retry"}
    status, accepted = post(system, "/api/interventions", {"intervention": wanted, "start": "2026-02-01"})
    assert status == 202
    (record,) = [one for one in orders(system) if one.key.decode() == f"{run}|{accepted['id']}"]
    order = InterventionOrder.model_validate_json(record.value)
    assert order.start is not None
    assert (order.run, order.start.isoformat(), order.intervention.place) == (run, "2026-02-01", (place,))
    system.until(lambda: get(system, "/api/state")["orders"][0]["id"] == accepted["id"])

    assert post(system, "/api/pace", {"speed": 1200})[0] == 202
    pace = PaceOrder.model_validate_json(orders(system)[-1].value)
    assert (orders(system)[-1].key.decode(), pace.speed) == (f"{run}|pace|speed", 1200)


def test_a_token_is_made_and_printed_where_none_is_set(system: System) -> None:
    said = system.exporter.log_end()
    (token,) = re.findall(r"^token for changes by the page: (\S+)$", said, re.MULTILINE)
    assert len(token) >= 24
    assert post(system, "/api/pace", {"speed": 60}, "serve", token)[0] == 202
    assert post(system, "/api/pace", {"speed": 60}, "serve", TOKEN)[0] == 401


def test_a_stream_that_is_open_does_not_keep_the_server_from_stopping(system: System) -> None:
    port = free_port()
    server = system.start("serve-3", "serve", QUETMA_SERVE__PORT=str(port))
    system.ports["serve-3"] = port
    system.until(lambda: bool(system.metrics("serve-3")), [server])
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/stream", timeout=10) as response:
        assert response.readline() == b"retry: 1000\n"
        server.ask_to_stop()
        assert asyncio.run(server.stopped(10.0)) == 0


def test_the_openapi_document_is_kept(system: System, tmp_path: Path) -> None:
    """Schemathesis asks what the document allows, and what it does not; /api/stream never ends, so it is left out."""
    before = len(orders(system))
    bounds = ["--phases", "examples,coverage,fuzzing", "--max-time", str(SECONDS), "--seed", "1"]
    options = ["--exclude-path", "/api/stream", "--header", f"Authorization: Bearer {TOKEN}", "--no-color"]
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", url(system, "/openapi.json"), *bounds, *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS * 4,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert "Tested: 5" in done.stdout
    assert len(orders(system)) > before + 5  # orders that the document allows are taken
    assert get(system, "/healthz")["ok"]
