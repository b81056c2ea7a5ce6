"""What the exporter shows: the newest run of each province, counters that never fall, names and labels of the table."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from services.adoption_view import AdoptionView
from tests.stream_model import HOUR_MS, MIDNIGHT_MS
from tests.tools import require_tool

DAY_MS = 24 * HOUR_MS
Json = dict[str, Any]
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def run_started(run: str = "run-1", started_at: int = MIDNIGHT_MS, province: str = "an-giang") -> Json:
    return {"kind": "run_started", "run": run, "province": province, "started_at": started_at}


def tally(settled: int, amount_vnd: int, failed: int = 0, reversed_: tuple[int, int] = (0, 0)) -> Json:
    """A tally as the stream has it on the wire: reversals, and their VND, where there are any."""
    counts = {"settled": settled, "failed": failed, "amount_vnd": amount_vnd}
    return counts | (dict(zip(("reversed", "reversed_vnd"), reversed_, strict=True)) if any(reversed_) else {})


def record(window: str, sectors: dict[str, Json], *, day: int = 0, hour: int = 0, **more: Any) -> Json:
    """Return a commune's adoption record with these sectors' tallies."""
    whole: dict[str, Json] = {}
    for by_method in sectors.values():
        for method, one in by_method.items():
            mine = whole.setdefault(method, tally(0, 0))
            for measure, number in one.items():
                mine[measure] = mine.get(measure, 0) + number
    document: Json = {
        "run": "run-1",
        "province": "an-giang",
        "commune": "binh-an",
        "window": window,
        "tallies": whole,
        "by_sector": sectors,
        "revision": sum(one["settled"] + one["failed"] + one.get("reversed", 0) for one in whole.values()),
        "final": False,
    }
    settled, amount = sum(one["settled"] for one in whole.values()), sum(one["amount_vnd"] for one in whole.values())
    if settled:
        cash = whole.get("cash", tally(0, 0))
        document["cashless_share_count"] = 1 - cash["settled"] / settled
        document["cashless_share_value"] = 1 - cash["amount_vnd"] / amount
    if window == "total":
        document |= {"duplicates": 0, "late": 0, "outside_windows": {}}
    else:
        document["start_at"] = MIDNIGHT_MS + day * DAY_MS + hour * HOUR_MS
    return document | more


def of_market(document: Json, market: str = "cho-binh-an") -> Json:
    return {**{name: value for name, value in document.items() if name != "by_sector"}, "market": market}


TOTAL = record(
    "total",
    {
        "market_stall": {"cash": tally(6, 300_000), "vietqr": tally(2, 100_000, failed=1, reversed_=(1, 40_000))},
        "water": {"card": tally(1, 70_000)},
    },
    duplicates=3,
    late=2,
)
DAY = record("day", {"market_stall": {"cash": tally(3, 300_000), "vietqr": tally(1, 100_000)}})
MARKET_DAY = of_market(DAY)
HISTORY = [TOTAL, DAY, MARKET_DAY, of_market(TOTAL), record("hour", DAY["by_sector"], hour=9)]


def view_of(*documents: Json, runs: tuple[Json, ...] = (run_started(),)) -> AdoptionView:
    view = AdoptionView()
    for run in runs:
        view.start_run(run)
    for document in documents:
        view.apply(document)
    return view


def exposition(view: AdoptionView) -> str:
    registry = CollectorRegistry()
    registry.register(view)
    return generate_latest(registry).decode()


def samples(view: AdoptionView) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(exposition(view))
        for sample in family.samples
    }


def value(view: AdoptionView, name: str, **labels: str) -> float | None:
    return samples(view).get((name, frozenset({"province": "an-giang", **labels}.items())))


def test_payments_by_sector_method_and_status():
    found = {
        (dict(labels)["sector"], dict(labels)["method"], dict(labels)["status"]): number
        for (name, labels), number in samples(view_of(*HISTORY)).items()
        if name == "quetma_payments_total"
    }
    assert found == {
        ("market_stall", "cash", "settled"): 6,
        ("market_stall", "cash", "failed"): 0,
        ("market_stall", "cash", "reversed"): 0,
        ("market_stall", "vietqr", "settled"): 2,
        ("market_stall", "vietqr", "failed"): 1,
        ("market_stall", "vietqr", "reversed"): 1,
        ("water", "card", "settled"): 1,
        ("water", "card", "failed"): 0,
        ("water", "card", "reversed"): 0,
    }
    assert view_of(*HISTORY).payments == sum(found.values()) == 11


def test_money_by_sector_and_method():
    found = {
        (dict(labels)["sector"], dict(labels)["method"]): number
        for (name, labels), number in samples(view_of(*HISTORY)).items()
        if name == "quetma_payments_vnd_total"
    }
    assert found == {
        ("market_stall", "cash"): 300_000,
        ("market_stall", "vietqr"): 100_000,
        ("water", "card"): 70_000,
    }


def test_money_that_went_back():
    view = view_of(TOTAL, {**TOTAL, "commune": "tan-loc"})
    labels = {"sector": "market_stall"}
    assert value(view, "quetma_reversed_vnd_total", **labels, method="vietqr") == 80_000
    assert value(view, "quetma_reversed_vnd_total", **labels, method="cash") == 0
    assert value(view, "quetma_payments_vnd_total", **labels, method="vietqr") == 200_000


def test_communes_of_a_province_add_up():
    other = {**TOTAL, "commune": "tan-loc", "revision": 10}
    view = view_of(TOTAL, other)
    labels = {"sector": "market_stall", "method": "cash"}
    assert value(view, "quetma_payments_total", **labels, status="settled") == 12
    assert value(view, "quetma_payments_vnd_total", **labels) == 600_000
    assert value(view, "quetma_duplicates_total") == 6
    assert value(view, "quetma_late_payments_total") == 4
    assert view.payments == 21


def test_provinces_do_not_mix():
    other = {**TOTAL, "province": "bac-giang", "run": "run-2"}
    view = view_of(TOTAL, other, runs=(run_started(), run_started("run-2", province="bac-giang")))
    for province in ("an-giang", "bac-giang"):
        assert value(view, "quetma_duplicates_total", province=province) == 3


def test_shares_of_the_newest_day():
    view = view_of(*HISTORY, record("day", {"water": {"vietqr": tally(1, 1)}}, day=-1))
    for name, labels in (
        ("quetma_commune_cashless_share", {"commune": "binh-an"}),
        ("quetma_market_cashless_share", {"commune": "binh-an", "market": "cho-binh-an"}),
        ("quetma_province_cashless_share", {}),
    ):
        assert value(view, name, **labels, by="count") == 0.25
        assert value(view, name, **labels, by="value") == 0.25
    view.apply(record("day", {"water": {"vietqr": tally(3, 30_000), "cash": tally(1, 90_000)}}, day=1))
    assert value(view, "quetma_commune_cashless_share", commune="binh-an", by="count") == 0.75
    assert value(view, "quetma_commune_cashless_share", commune="binh-an", by="value") == 0.25


def test_the_share_of_a_province_is_of_its_payments_and_not_of_its_communes():
    small = record("day", {"water": {"vietqr": tally(1, 10_000)}}, commune="tan-loc")
    view = view_of(DAY, small)
    assert value(view, "quetma_province_cashless_share", by="count") == pytest.approx(2 / 5)
    assert value(view, "quetma_province_cashless_share", by="value") == pytest.approx(110 / 410)


def test_the_share_of_a_province_is_of_one_day():
    """A commune that has no payment yet today does not bring yesterday in."""
    view = view_of(DAY, record("day", {"water": {"vietqr": tally(1, 10_000)}}, day=1, commune="tan-loc"))
    assert value(view, "quetma_province_cashless_share", by="count") == 1


def test_no_share_of_nothing():
    view = view_of(record("day", {"water": {"vietqr": tally(0, 0, failed=2)}}))
    assert not [name for name, _ in samples(view) if name.endswith("share")]


def test_hours_change_no_share():
    hour = record("hour", {"market_stall": {"vietqr": tally(9, 9)}}, hour=5)
    view = view_of(DAY, MARKET_DAY, hour, of_market(hour), of_market(TOTAL))
    assert value(view, "quetma_commune_cashless_share", commune="binh-an", by="count") == 0.25
    labels = {"commune": "binh-an", "market": "cho-binh-an"}
    assert value(view, "quetma_market_cashless_share", **labels, by="count") == 0.25


def test_simulated_time_is_that_of_the_newest_hour():
    view = view_of(*HISTORY, record("hour", {}, hour=3), record("day", {}, day=1))
    assert value(view, "quetma_simulated_time_seconds") == (MIDNIGHT_MS + 9 * HOUR_MS) / 1000


def test_only_the_newest_run_of_a_province_is_shown():
    old, new = run_started("old", MIDNIGHT_MS), run_started("run-1", MIDNIGHT_MS + 1)
    past = [
        {**one, "run": "old", "commune": "tan-loc"} for one in (record("day", DAY["by_sector"], day=3), TOTAL, *HISTORY)
    ]
    expected = samples(view_of(*HISTORY))
    for runs in ((old, new), (new, old), (new, old, old)):
        assert samples(view_of(*past, *HISTORY, runs=runs)) == expected
        assert samples(view_of(*HISTORY, *past, runs=runs)) == expected
        assert view_of(*HISTORY, *past, runs=runs).payments == 11


def test_a_run_is_shown_from_when_it_is_known():
    view = view_of(*HISTORY, runs=())
    assert samples(view) == {}
    assert view.payments == 0
    view.start_run(run_started())
    assert samples(view) == samples(view_of(*HISTORY))


def grown(step: int) -> list[Json]:
    """Return the records of a commune and its market after some payments; the day moves on."""
    counts = {
        "market_stall": {
            "cash": tally(step + 1, 1000 * (step + 1), failed=step // 2, reversed_=(step // 5, 100 * step))
        }
    }
    total = record("total", counts, duplicates=step // 3, late=step // 4)
    day, hour = divmod(step, 24)
    today, now = record("day", counts, day=day), record("hour", counts, day=day, hour=hour)
    return [total, today, of_market(today), now]


@given(st.lists(st.integers(0, 39), max_size=60))
def test_counters_never_fall(steps):
    """Old records come again when topics are read again, or from a worker that has lost its partition."""
    view, newest, before = view_of(), -1, Samples()
    for step in steps:
        for document in grown(step):
            view.apply(document)
        newest = max(newest, step)
        after = samples(view)
        for (name, labels), number in before.items():
            if name.endswith(("_total", "_seconds")):
                assert after[name, labels] >= number
        assert after == samples(view_of(*grown(newest)))
        before = after


@given(st.lists(st.integers(0, 39), min_size=1, max_size=40).map(sorted), st.data())
def test_a_restart_shows_the_same(steps, data):
    """Whatever is left of the history: compaction keeps at least the last record of each key."""
    history = [document for step in steps for document in grown(step)]
    kept = data.draw(st.integers(0, len(steps) - 1))
    left = [document for step in steps[kept:] for document in grown(step)]
    assert samples(view_of(*left)) == samples(view_of(*history)) == samples(view_of(*history, *history))


def test_a_repeat_that_was_dropped_is_progress():
    view = view_of(TOTAL, {**TOTAL, "duplicates": 5}, TOTAL)
    assert value(view, "quetma_duplicates_total") == 5


def test_what_is_final_replaces_what_was_not():
    view = view_of(DAY)
    view.apply({**DAY, "final": True, "cashless_share_count": 0.5})
    view.apply(DAY)
    assert value(view, "quetma_commune_cashless_share", commune="binh-an", by="count") == 0.5


def test_a_commune_that_stops_paying_goes_stale_and_comes_back():
    """Its share would stand still, and look as if it held. Simulated time tells, and that of its own partition."""
    silent = [record("hour", DAY["by_sector"], hour=9), DAY, MARKET_DAY]
    view = view_of(*silent)

    def others_pay_until(day: int, hour: int, partition: int = 0) -> None:
        view.apply(record("hour", DAY["by_sector"], day=day, hour=hour, commune="tan-loc"), partition)

    def shown() -> set[str]:
        return {name for name, labels in samples(view) if dict(labels).get("commune") == "binh-an"}

    last = "quetma_commune_last_payment_time_seconds"
    fresh = {"quetma_commune_cashless_share", "quetma_market_cashless_share", "quetma_market_payments", last}
    others_pay_until(day=1, hour=8)
    assert shown() == fresh
    assert value(view, "quetma_stale_communes") == 0
    others_pay_until(day=9, hour=9, partition=1)  # its own partition may be far behind
    assert shown() == fresh
    others_pay_until(day=1, hour=9)
    assert shown() == fresh - {"quetma_commune_cashless_share"}  # its market's day has ended only nine hours ago
    assert value(view, "quetma_stale_communes") == 1
    others_pay_until(day=2, hour=0)
    assert shown() == {last}
    assert value(view, last, commune="binh-an") == (MIDNIGHT_MS + 9 * HOUR_MS) / 1000
    assert value(view, "quetma_payments_total", sector="water", method="card", status="settled") is None
    view.apply(record("hour", DAY["by_sector"], day=2, hour=1))
    assert "quetma_commune_cashless_share" in shown()
    assert value(view, "quetma_stale_communes") == 0


def test_no_counter_falls_when_a_commune_goes_stale():
    view = view_of(*HISTORY)
    before = samples(view)
    view.apply(record("hour", DAY["by_sector"], day=9, commune="tan-loc"))
    after = samples(view)
    assert value(view, "quetma_stale_communes") == 1
    assert all(after[one] == number for one, number in before.items() if one[0].endswith("_total"))


@pytest.mark.parametrize("view", [AdoptionView(), view_of(*HISTORY)], ids=["empty", "full"])
def test_prometheus_finds_nothing_wrong(view):
    (promtool,) = require_tool("promtool")
    found = subprocess.run(
        [promtool, "check", "metrics"], input=exposition(view), text=True, capture_output=True, check=False
    )
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")
