"""What the page shows: the newest run, its sections; codes drawn only where they can move no money; orders."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.qr import build_dynamic, build_static
from services.page.feed import ALERTS_SHOWN, SHOWN, CodeBook, Feed, is_harmless, symbol
from services.page.order_book import OrderBook
from services.page.speed import SpeedGauge
from services.page.tails import SAMPLES, chosen
from services.page.view import MAX_RUNS, Health, PageView
from tests.unit.test_adoption_view import MIDNIGHT_MS, record, run_started, tally
from tests.unit.test_page_adoption import STALLS, cell

Json = dict[str, Any]
SECTIONS = "run today communes markets curve mix feed faults balance alerts orders pace health runs"


def payment(number: int = 1, **more: Any) -> Json:
    return {
        "run": "run-1",
        "payment_id": f"a-{number}",
        "source": "cho-a/0001",
        "cell": "cho-a",
        "commune": "binh-an",
        "sector": "market_stall",
        "method": "vietqr",
        "status": "settled",
        "amount_vnd": 20_000,
        "occurred_at": MIDNIGHT_MS + number,
        **more,
    }


def code(payload: str, kind: str = "static", name: str = "cho-a/0001") -> Json:
    return {"run": "run-1", "code": name, "kind": kind, "payload": payload}


STATIC = build_static(account="SIM0001")
DYNAMIC = build_dynamic(account="SIM0002", amount_vnd=50_000, bill_number="B1")


def view() -> PageView:
    made = PageView()
    made.learn_ledger(run_started())
    return made


# -- runs ----------------------------------------------------------------------------------------------------


def test_before_there_is_a_run_the_page_knows_only_how_the_pipeline_is() -> None:
    assert PageView().snapshot(None, Health(lag=3), 0.0) == {
        "run": None,
        "health": {"lag": 3, "dead_letters": {}, "latency_ms": {}, "silent_seconds": 0.0, "ready": False},
        "runs": [],
    }


def test_the_run_that_started_last_is_shown_and_others_by_name() -> None:
    page = PageView()
    page.learn_ledger(run_started("older", 1000))
    page.learn_ledger(run_started("newer", 2000))
    page.learn_ledger(run_started("oldest", 500))
    assert page.newest() == "newer"
    assert [one["run"] for one in page.runs()] == ["newer", "older", "oldest"]
    assert page.snapshot("older", Health(), 0.0)["run"]["run"] == "older"
    assert list(page.snapshot(None, Health(), 0.0)) == SECTIONS.split()


def test_only_the_newest_runs_are_kept_whatever_order_they_are_read_in() -> None:
    page = PageView()
    for number in (3, 9, 1, 7, 5, 8, 2):
        page.learn_ledger(run_started(f"run-{number}", number))
    for number in (1, 2, 3, 5):
        page.learn_adoption(record("day", STALLS, run=f"run-{number}"))
    assert [one["run"] for one in page.runs()] == ["run-9", "run-8", "run-7", "run-5"][:MAX_RUNS]
    assert not page.has("run-3")
    page.learn_ledger(run_started("run-10", 10))
    page.learn_adoption(record("day", STALLS, run="run-10"))
    assert page.newest() == "run-10"
    assert page.snapshot(None, Health(), 0.0)["today"]["payments"] == 4


def test_names_of_a_new_run_may_come_before_its_beginning_though_others_were_dropped() -> None:
    page = PageView()
    for number in range(MAX_RUNS + 3):
        page.learn_ledger(run_started(f"run-{number}", number))
    page.learn_cell(cell("cho-a") | {"run": "newest"})
    page.learn_ledger(run_started("newest", 99))
    assert page.snapshot(None, Health(), 0.0)["markets"][0]["name"] == "Chợ cho-a"
    page.learn_cell(cell("cho-a") | {"run": "run-0"})  # told again, and too old
    assert len(page.runs()) == MAX_RUNS
    assert page.newest() == "newest"


def test_what_comes_before_its_run_has_been_announced_is_not_lost() -> None:
    page = PageView()
    page.learn_adoption(record("day", STALLS))
    assert page.newest() is None
    page.learn_ledger(run_started())
    assert page.snapshot(None, Health(), 0.0)["today"]["payments"] == 4


# -- sections ------------------------------------------------------------------------------------------------


def test_the_snapshot_names_places_and_shows_the_codes() -> None:
    page = view()
    page.learn_cell(cell("cho-a"))
    page.codes.learn(code(STATIC))
    page.learn_payment(payment(), 0.0)
    page.learn_payment(payment(2, method="cash", status="failed", failure_reason="network"), 0.5)
    failed, paid = page.snapshot(None, Health(), 1.0)["feed"]
    assert (paid["place"], paid["amount_vnd"], paid["payload"]) == ("Chợ cho-a", 20_000, STATIC)
    assert paid["symbol"].startswith("<svg")
    assert (failed["symbol"], failed["payload"], failed["failure_reason"]) == (None, None, "network")


def test_books_are_in_the_snapshot() -> None:
    page = view()
    page.learn_adoption(record("total", {"water": {"cash": tally(2, 10)}}))
    entry = {"run": "run-1", "cell": "binh-an/water", "commune": "binh-an", "sector": "water", "day": "2026-01-01"}
    page.learn_ledger({"kind": "cell_day", **entry, "tallies": {"cash": tally(1, 5)}})
    assert page.snapshot(None, Health(), 0.0)["balance"]["payments"] == {"ledger": 1, "aggregates": 2}
    page.learn_ledger({"kind": "cell_day", **entry, "tallies": {"cash": tally(2, 10)}})
    page.learn_ledger({"kind": "run_faults", "run": "run-1", "shard": "x"})
    page.learn_ledger({"kind": "checkpoint", "run": "run-1", "shard": "1/1"})
    assert page.snapshot(None, Health(), 0.0)["balance"]["state"] == "exact"


# -- codes ---------------------------------------------------------------------------------------------------


def test_a_bill_has_its_own_code_and_a_stall_its_static_one() -> None:
    book = CodeBook()
    book.learn(code(STATIC))
    book.learn(code(DYNAMIC, "dynamic", "B1"))
    assert book.payload(payment()) == STATIC
    assert book.payload(payment(bill_number="B1")) == DYNAMIC
    assert book.payload(payment(bill_number="B2")) is None
    assert book.payload(payment(method="cash")) is None
    assert book.payload(payment(run="run-2")) is None


def test_no_more_codes_are_kept_than_may_be_and_the_oldest_go() -> None:
    book = CodeBook(max_static=2, max_dynamic=1)
    for name in ("a", "b", "a", "c"):
        book.learn(code(STATIC, name=name))
    assert [book.payload(payment(source=name)) for name in "abc"] == [STATIC, None, STATIC]
    book.learn(code(DYNAMIC, "dynamic", "B1"))
    book.learn(code(DYNAMIC, "dynamic", "B2"))
    assert len(book) == 3


REAL = build_static(account="SIM0001", bin="970422", allow_real=True)
BROKEN = STATIC[:-1] + ("0" if STATIC[-1] != "0" else "1")


@pytest.mark.parametrize("payload", ["nonsense", "", REAL, BROKEN])
def test_what_might_move_money_or_is_no_code_is_not_drawn(payload: str) -> None:
    assert not is_harmless(payload)
    assert symbol(payload) is None


def test_ours_are_harmless() -> None:
    assert is_harmless(STATIC)
    assert is_harmless(DYNAMIC)


# -- feed ----------------------------------------------------------------------------------------------------


def test_the_feed_keeps_the_newest_and_alerts_count_once() -> None:
    feed = Feed()
    for number in range(SHOWN + 5):
        feed.pay(payment(number))
    assert [one["payment_id"] for one in feed.payments][:2] == [f"a-{SHOWN + 4}", f"a-{SHOWN + 3}"]
    assert len(feed.payments) == SHOWN
    for number in (*range(ALERTS_SHOWN + 3), 4, 5):
        feed.alert({"payment_id": f"a-{number}", "occurred_at": number})
    assert feed.alert_count == ALERTS_SHOWN + 3
    assert [one["occurred_at"] for one in feed.alert_rows()] == list(range(ALERTS_SHOWN + 2, 2, -1))


def test_half_of_a_sample_has_codes_where_there_are_as_many() -> None:
    many = [payment(number, method="vietqr" if number % 6 == 0 else "cash") for number in range(60)]
    found = chosen(many, lambda one: one["method"] == "vietqr")
    assert len(found) == SAMPLES
    assert sum(one["method"] == "vietqr" for one in found) == SAMPLES // 2
    assert found == sorted(found, key=lambda one: one["occurred_at"])
    assert [one["payment_id"] for one in chosen(many[:3], lambda _: False)] == ["a-0", "a-1", "a-2"]
    assert chosen([], lambda _: True) == []


def test_the_speed_is_measured_over_the_last_seconds() -> None:
    gauge = SpeedGauge()
    for second in range(30):
        factor = 100 if second < 10 else 600
        gauge.see(float(second), MIDNIGHT_MS + second * factor * 1000)
        gauge.see(second + 0.1, MIDNIGHT_MS)  # a late one
    assert gauge.speed(29.5) == 600.0
    assert gauge.speed(60.0) is None  # nothing has come for long
    assert SpeedGauge().speed(0.0) is None


# -- orders --------------------------------------------------------------------------------------------------

ORDER = {
    "kind": "intervention",
    "run": "run-1",
    "id": "o-1",
    "ordered_at": 10,
    "start": None,
    "intervention": {"kind": "outage", "place": ["binh-an"]},
}
APPLIED = {"kind": "applied", "run": "run-1", "id": "o-1", "shard": "1/2", "from_day": "2026-01-03"}


def test_an_order_waits_is_applied_from_its_days_or_refused() -> None:
    book = OrderBook()
    book.learn(ORDER)
    assert book.rows()[0] | {"from_days": [], "refused": []} == book.rows()[0]
    book.learn(APPLIED)
    book.learn(APPLIED | {"shard": "2/2", "from_day": "2026-01-04"})
    book.learn({"kind": "begun", "run": "run-1", "shard": "1/2", "day": "2026-01-05"})
    assert book.rows()[0]["from_days"] == ["2026-01-03", "2026-01-04"]
    refused = {"kind": "applied", "run": "run-1", "id": "o-2", "shard": "1/2", "refused": "no such place"}
    book.learn(refused)  # before its order
    book.learn(ORDER | {"id": "o-2", "ordered_at": 11})
    assert book.rows()[0]["refused"] == ["no such place"]


def test_the_last_pace_is_known() -> None:
    book = OrderBook()
    pace = {"kind": "pace", "run": "run-1", "ordered_at": 1}
    book.learn(pace | {"id": "p-1", "speed": 1200.0})
    book.learn(pace | {"id": "p-2", "paused": True})
    assert (book.speed, book.paused) == (1200.0, True)
    assert [row["id"] for row in book.rows()] == ["p-1", "p-2"]
