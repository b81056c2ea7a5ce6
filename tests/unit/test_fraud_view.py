"""Suspected swaps by commune: each alert once, and 0 where there is none."""

from __future__ import annotations

from schemas.events import Alert
from services.fraud_view import KINDS, FraudView
from services.shown_runs import ShownRuns
from tests.monitoring_documents import alert, run_started, stall_day


def view_of(*alerts: dict[str, object]) -> FraudView:
    runs = ShownRuns()
    runs.start(run_started())
    view = FraudView(runs)
    for commune in ("binh-an", "tan-loc"):
        view.know(stall_day(0, {}, commune=commune))
    for one in alerts:
        view.apply(one)
    return view


def samples(view: FraudView) -> dict[tuple[str, ...], float]:
    return {
        (one.labels["commune"], one.labels.get("kind", "vnd")): one.value
        for family in view.collect()
        for one in family.samples
    }


def test_a_commune_without_any_has_zero() -> None:
    """So that the first one is a rise: a counter that begins with 1 has not risen, for Prometheus."""
    expected = {(commune, kind) for commune in ("binh-an", "tan-loc") for kind in (*KINDS, "vnd")}
    assert samples(view_of()) == dict.fromkeys(expected, 0)


def test_counts_payments_by_kind_and_their_money() -> None:
    found = samples(view_of(alert("a-1"), alert("a-2", amount_vnd=20_000), alert("b-1", "unregistered")))
    assert found["binh-an", "other_account"] == 2
    assert found["binh-an", "unregistered"] == 1
    assert found["binh-an", "vnd"] == 120_000
    assert found["tan-loc", "other_account"] == 0


def test_an_alert_that_comes_again_counts_once() -> None:
    assert samples(view_of(*[alert("a-1")] * 3)) == samples(view_of(alert("a-1")))


def test_payments_of_another_run_are_others() -> None:
    view = view_of(alert("a-1"), {**alert("a-1"), "run": "run-0"})
    assert samples(view)["binh-an", "other_account"] == 1


def test_kinds_are_those_of_the_contract() -> None:
    kinds = Alert.model_json_schema()["properties"]["kind"]["enum"]
    assert set(kinds) == set(KINDS)
