"""The page's API without a broker: what is read, what is refused and why, and what is ordered."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from fastapi.testclient import TestClient

from schemas.errors import UnreachableError
from services.page.api import PageParts, build_app
from services.page.guard import MAX_BODY
from services.page.orders import Order
from services.page.problems import MEDIA_TYPE
from services.page.snapshots import Snapshots
from services.page.view import Health, PageView
from tests.unit.test_adoption_view import record, run_started
from tests.unit.test_page_adoption import STALLS, cell

Json = dict[str, Any]
TOKEN = "a-token-for-tests-0123"
AUTH = {"Authorization": f"Bearer {TOKEN}"}
OUTAGE = {"intervention": {"kind": "outage", "place": ["binh-an"], "for_hours": 2.5}}


class Api:
    """An application over a view, and what it has published."""

    def __init__(self, *, empty: bool = False, per_minute: int = 100, names: str = "", away: bool = False) -> None:
        self.view = PageView()
        self.orders: list[Order] = []
        self._away = away
        if not empty:
            self.view.learn_ledger(run_started())
            self.view.learn_cell(cell("cho-a"))
            self.view.learn_adoption(record("day", STALLS))
        parts = PageParts(
            view=self.view,
            snapshots=Snapshots(self.view, Health),
            publish=self._publish,
            token=TOKEN,
            names=frozenset(filter(None, [names])),
            changes_per_minute=per_minute,
            version="1.2.3",
        )
        self.snapshots = parts.snapshots
        self.client = TestClient(build_app(parts), base_url="http://127.0.0.1:9700")

    async def _publish(self, order: Order) -> None:
        if self._away:
            raise UnreachableError("order", "broker:9092 does not take it", "start the broker")
        self.orders.append(order)

    def post(self, body: Any = OUTAGE, path: str = "/api/interventions", **headers: str) -> Any:
        return self.client.post(path, json=body, headers={**AUTH, **headers})


def is_problem(answer: Any, status: int) -> Json:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    body: Json = answer.json()
    assert body["status"] == status
    assert body["detail"]
    return body


# -- reads ---------------------------------------------------------------------------------------------------


def test_state_is_the_snapshot() -> None:
    api = Api()
    state = api.client.get("/api/state").json()
    assert state["run"]["run"] == "run-1"
    assert state["today"]["payments"] == 4
    assert api.client.get("/api/state?run=run-1").json()["communes"] == state["communes"]


def test_state_without_a_run_says_so() -> None:
    assert Api(empty=True).client.get("/api/state").json()["run"] is None


def test_runs_and_communes() -> None:
    client = Api().client
    assert [one["run"] for one in client.get("/api/runs").json()] == ["run-1"]
    assert client.get("/api/communes/binh-an").json()["today"]["payments"] == 4
    assert "atlantis" in is_problem(client.get("/api/communes/atlantis"), 404)["detail"]
    assert "run-1" in is_problem(client.get("/api/state?run=none"), 404)["detail"]
    assert "query.run" in is_problem(client.get("/api/state?run="), 422)["detail"]


def test_unknown_paths_and_methods_are_problems_too() -> None:
    client = Api().client
    is_problem(client.get("/nothing"), 404)
    is_problem(client.get("/static/nothing.js"), 404)
    answer = client.delete("/api/state")
    is_problem(answer, 405)
    assert answer.headers["allow"] == "GET"


def test_the_page_and_its_scripts_are_served_and_nothing_else() -> None:
    client = Api().client
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert "unsafe-eval" not in page.headers["content-security-policy"]
    plotly = client.get("/static/plotly.min.js")
    assert plotly.headers["content-type"].startswith("text/javascript")
    assert plotly.headers["content-encoding"] == "gzip"
    assert len(plotly.content) > 1_000_000
    assert client.get("/static/texts/vi.json").status_code == 200
    assert client.get("/static/..%2f..%2fpyproject.toml").status_code == 404


async def test_a_stream_sends_everything_and_then_what_is_new() -> None:
    api = Api()
    events = api.snapshots.stream(None)
    assert await anext(events) == b"retry: 1000\n\n"
    first = sections(await anext(events))
    assert {"communes", "health", "balance"} <= set(first)
    api.view.learn_adoption(record("day", STALLS, day=1))
    second = sections(await anext(events))
    assert "communes" in second or "today" in second
    assert "health" not in second
    api.snapshots.closing.set()
    with pytest.raises(StopAsyncIteration):
        await asyncio.wait_for(anext(events), 2)


def sections(event: bytes) -> Json:
    kind, data, *_ = event.split(b"\n")
    assert kind == b"event: state"
    decoded: Json = msgspec.json.decode(data.removeprefix(b"data: "))
    return decoded


# -- orders --------------------------------------------------------------------------------------------------


def test_an_order_goes_to_the_newest_run() -> None:
    api = Api()
    answer = api.post({**OUTAGE, "start": "2026-03-01"})
    assert answer.status_code == 202
    (order,) = api.orders
    assert answer.json() == {"id": order.id, "run": "run-1"}
    wire = order.model_dump(mode="json")
    assert wire["start"] == "2026-03-01"
    assert wire["intervention"] | {"kind": "outage", "place": ["binh-an"], "for_hours": 2.5} == wire["intervention"]


def test_pace_is_speed_or_pause() -> None:
    api = Api()
    for body in ({"speed": 1200}, {"speed": "max"}, {"paused": True, "run": "run-1"}):
        assert api.post(body, "/api/pace").status_code == 202
    assert [(one.speed, one.paused) for one in api.orders] == [(1200, None), ("max", None), (None, True)]  # type: ignore[union-attr]
    for body in ({}, {"speed": 1, "paused": False}, {"speed": -1}, {"speed": "fast"}, {"paused": "yes"}):
        is_problem(api.post(body, "/api/pace"), 422)
    assert len(api.orders) == 3


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"intervention": {"kind": "earthquake"}}, "body.intervention"),
        ({"intervention": {"kind": "outage", "for_hours": 0}}, "body.intervention.outage.for_hours"),
        ({"intervention": {"kind": "outage"}, "start": "soon"}, "body.start"),
        ({"intervention": {"kind": "tet"}, "more": 1}, "body.more"),
        ({"intervention": {"kind": "tet", "place": ["Chợ Lớn"]}}, "body.intervention.tet.place.0"),
        ([], "body"),
    ],
)
def test_wrong_orders_are_told_where_what_and_what_is_allowed(body: Any, place: str) -> None:
    api = Api()
    problem = is_problem(api.post(body), 422)
    error = problem["errors"][0]
    assert error["place"] == place
    assert error["found"]
    assert error["allowed"]
    assert api.orders == []


def test_a_place_that_the_run_has_not_is_told() -> None:
    api = Api()
    problem = is_problem(api.post({"intervention": {"kind": "tet", "place": ["binh-an", "cho-lon"]}}), 404)
    assert [error["found"] for error in problem["errors"]] == ["cho-lon"]
    assert api.orders == []


def test_orders_for_no_run_or_one_unknown() -> None:
    is_problem(Api(empty=True).post({"intervention": {"kind": "tet"}}), 409)
    is_problem(Api().post({"run": "other", "intervention": {"kind": "tet"}}), 404)


def test_a_broker_that_is_away_is_told() -> None:
    assert "broker:9092" in is_problem(Api(away=True).post(), 503)["detail"]


# -- who may ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [None, "Bearer wrong-token-0123456", f"Basic {TOKEN}", "Bearer", TOKEN])
def test_changes_need_the_token(given: str | None) -> None:
    api = Api()
    headers = {} if given is None else {"Authorization": given}
    answer = api.client.post("/api/interventions", json=OUTAGE, headers=headers)
    is_problem(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert api.orders == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:8000"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_of_other_sites_may_not_change_anything(headers: dict[str, str]) -> None:
    api = Api()
    is_problem(api.post(**headers), 403)
    assert api.orders == []


def test_our_own_page_may() -> None:
    answer = Api().post(Origin="http://127.0.0.1:9700", **{"Sec-Fetch-Site": "same-origin"})
    assert answer.status_code == 202


@pytest.mark.parametrize("host", ["evil.example", "evil.example:9700", "127.0.0.1.evil.example", "", "[::1"])
def test_names_that_are_not_ours_are_refused(host: str) -> None:
    is_problem(Api().client.get("/api/state", headers={"Host": host}), 421)


@pytest.mark.parametrize("host", ["localhost:9700", "127.0.0.1", "[::1]:9700", "192.0.2.7:80", "Page.Example:80"])
def test_addresses_and_our_names_are_taken(host: str) -> None:
    assert Api(names="page.example").client.get("/api/state", headers={"Host": host}).status_code == 200


def test_large_bodies_are_refused_with_and_without_a_length() -> None:
    api = Api()
    large = b'{"intervention":{"kind":"tet"},"x":"' + b"a" * MAX_BODY + b'"}'
    headers = {**AUTH, "Content-Type": "application/json"}
    is_problem(api.client.post("/api/interventions", content=large, headers=headers), 413)
    is_problem(api.client.post("/api/interventions", content=iter([large[:9000], large[9000:]]), headers=headers), 413)
    assert api.orders == []


def test_more_changes_than_allowed_wait() -> None:
    api = Api(per_minute=3)
    assert [api.post().status_code for _ in range(4)] == [202, 202, 202, 429]
    answer = api.post()
    is_problem(answer, 429)
    assert 1 <= int(answer.headers["retry-after"]) <= 61
    assert api.client.get("/api/state").status_code == 200  # reads are not counted
    assert len(api.orders) == 3


def test_guessing_tokens_is_limited_and_does_not_lock_out_who_has_it() -> None:
    api = Api(per_minute=2)
    wrong = {"Authorization": "Bearer guess"}
    found = [api.client.post("/api/pace", json={}, headers=wrong).status_code for _ in range(3)]
    assert found == [401, 401, 429]
    assert api.post().status_code == 202


def test_what_is_no_json_is_told() -> None:
    headers = {**AUTH, "Content-Type": "application/json"}
    answer = Api().client.post("/api/interventions", content=b"{nonsense", headers=headers)
    is_problem(answer, 422)


def test_the_openapi_document_tells_of_everything() -> None:
    document = Api().client.get("/openapi.json").json()
    assert document["info"] == {"title": "Quetma", "version": "1.2.3", "summary": document["info"]["summary"]}
    paths = {"/api/state", "/api/stream", "/api/communes/{id}", "/api/runs", "/api/interventions", "/api/pace"}
    assert set(document["paths"]) == paths
    for path in ("/api/interventions", "/api/pace"):
        operation = document["paths"][path]["post"]
        assert operation["security"] == [{"HTTPBearer": []}]
        assert {"202", "401", "403", "409", "413", "422", "429", "503"} <= set(operation["responses"])
