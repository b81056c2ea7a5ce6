"""Cashless payments against those expected: blind to what is only calendar, quick to see an outage."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.expected_shares import LatestWindow, Standardised, baseline, counts_of, grown, standardised
from services.ratio_view import RatioView
from services.shown_runs import ShownRuns
from tests.monitoring_documents import adoption, run_started, stall_day, tallies

Json = dict[str, Any]
HALF = {"cash": (500, 500), "vietqr": (500, 500)}


class Flow:
    """A commune's payments as they come: totals and days, at stalls and by bank."""

    def __init__(self, commune: str = "binh-an", view: RatioView | None = None) -> None:
        self.runs = ShownRuns()
        self.runs.start(run_started())
        self.view = view or RatioView(self.runs)
        self.commune = commune
        self._total: dict[str, list[int]] = {}
        self._today: dict[str, list[int]] = {}
        self.day = -1
        self.next_day()

    def next_day(self) -> None:
        self.day += 1
        self._today = {}

    def pay(self, cash: int, cashless: int, sector: str = "market_stall") -> None:
        for sums in (self._total, self._today):
            counts = sums.setdefault(sector, [0, 0])
            counts[0] += cash
            counts[1] += cashless
        for window, sums in (("total", self._total), ("day", self._today)):
            sectors = {name: tallies({"cash": (a, a), "vietqr": (b, b)}) for name, (a, b) in sums.items()}
            self.view.apply(adoption(window, sectors, day=self.day, commune=self.commune))

    def days(self, number: int, cash: int = 500, cashless: int = 500) -> None:
        for _ in range(number):
            for _ in range(10):
                self.pay(cash // 10, cashless // 10)
            self.next_day()

    def ratios(self) -> dict[tuple[str, str], float]:
        return {
            (sample.labels.get("commune", "province"), sample.labels["window"]): sample.value
            for family in self.view.collect()
            for sample in family.samples
        }


def test_a_commune_that_keeps_its_share() -> None:
    flow = Flow()
    flow.days(5)
    flow.pay(500, 500)
    assert flow.ratios() == dict.fromkeys(
        [("binh-an", "latest"), ("binh-an", "days"), ("province", "latest"), ("province", "days")], pytest.approx(1)
    )


def test_nothing_is_said_before_there_is_a_day_to_compare_with() -> None:
    flow = Flow()
    flow.pay(500, 500)
    assert flow.ratios() == {}
    flow.next_day()
    flow.pay(0, 100)
    flow.pay(0, 100)
    assert set(flow.ratios()) == {("binh-an", "latest")}  # too few for the province, too early for days


def test_an_outage_brings_the_latest_payments_to_nothing_at_once_and_its_end_back() -> None:
    flow = Flow()
    flow.days(3)
    flow.pay(50, 50)
    flow.pay(60, 0)  # 30 expected
    assert flow.ratios()["binh-an", "latest"] == 0
    flow.pay(30, 30)
    assert flow.ratios()["binh-an", "latest"] == pytest.approx(1)


def test_an_outage_of_the_province_shows_in_the_province() -> None:
    first = Flow()
    flows = [first, *(Flow(name, first.view) for name in ("tan-loc", "an-minh"))]
    for flow in flows:
        flow.days(3)
        flow.pay(100, 100)
    for flow in flows[:1]:
        flow.pay(200, 0)
    assert 0.5 < first.ratios()["province", "latest"] < 0.8  # one commune alone is not the province
    for flow in flows:
        flow.pay(200, 0)
    assert first.ratios()["province", "latest"] == 0


def test_other_sectors_than_usual_are_only_calendar() -> None:
    """Bills are nearly all cashless: a day without them has another share, and the same adoption."""
    flow = Flow()
    for _ in range(5):
        flow.pay(800, 200)
        flow.pay(50, 950, "electricity")
        flow.next_day()
    for _ in range(2):
        flow.pay(800, 200)
        flow.next_day()
    flow.pay(800, 200)
    assert flow.ratios()["binh-an", "days"] == pytest.approx(1)
    assert flow.ratios()["binh-an", "latest"] == pytest.approx(1)


def test_a_sector_without_a_past_counts_on_neither_side() -> None:
    flow = Flow()
    flow.days(3)
    flow.pay(10, 90, "tuition")
    flow.pay(500, 500)
    assert flow.ratios()["binh-an", "latest"] == pytest.approx(1)


def test_adoption_that_falls_shows_in_whole_days() -> None:
    flow = Flow()
    flow.days(4)
    flow.days(1, cash=800, cashless=200)
    flow.pay(1, 1)
    assert flow.ratios()["binh-an", "days"] == pytest.approx(0.4)
    for _ in range(8):  # what is usual by now is no fall
        flow.days(1, cash=800, cashless=200)
    flow.pay(1, 1)
    assert flow.ratios()["binh-an", "days"] == pytest.approx(1, rel=0.01)


def test_the_running_day_is_no_whole_day() -> None:
    flow = Flow()
    flow.days(5)
    flow.pay(1000, 0)
    assert flow.ratios()["binh-an", "days"] == pytest.approx(1)


def test_a_small_commune_takes_more_days() -> None:
    flow = Flow()
    flow.days(3, cash=100, cashless=100)
    flow.days(3, cash=100, cashless=100)
    flow.pay(10, 10)
    assert ("binh-an", "days") not in flow.ratios()  # 300 expected
    flow.days(1, cash=100, cashless=100)
    flow.pay(10, 10)
    assert flow.ratios()["binh-an", "days"] == pytest.approx(1)


def test_what_is_read_again_counts_once() -> None:
    flow = Flow()
    flow.days(3)
    flow.pay(100, 100)
    flow.pay(60, 0)
    past = adoption("total", {"market_stall": tallies(HALF)})
    for _ in range(5):
        flow.view.apply(past)
        flow.view.apply(stall_day(0, HALF))
    assert flow.ratios()["binh-an", "latest"] == 0


def test_only_the_newest_run_is_shown() -> None:
    flow = Flow()
    flow.days(5)
    flow.pay(500, 500)
    flow.runs.start(run_started("newer", run_started()["started_at"] + 1))
    assert flow.ratios() == {}


def test_indirect_standardisation() -> None:
    """The text-book example: observed over the sum of each stratum's size times its standard rate."""
    days = [{"market_stall": (100, 20), "water": (50, 40)}, {"market_stall": (100, 40), "hospital": (10, 9)}]
    shares = baseline(days)
    assert shares == {"market_stall": 0.3, "water": 0.8}  # ten payments are no baseline
    found = standardised({"market_stall": (200, 30), "water": (10, 4), "tuition": (5, 5)}, shares)
    assert (found.observed, found.expected) == (34, pytest.approx(68))
    assert found.ratio == pytest.approx(0.5)


def test_counts_leave_out_what_failed_or_was_reversed() -> None:
    by_sector = {"market_stall": tallies({"cash": (3, 1), "card": (2, 1)}, failed=7)}
    by_sector["market_stall"]["card"] |= {"reversed": 2, "reversed_vnd": 9}
    assert counts_of(by_sector) == {"market_stall": (5, 2)}
    assert grown({"a": (5, 2), "b": (1, 1)}, {"a": (3, 2)}) == {"a": (2, 0), "b": (1, 1)}


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=80))
def test_the_latest_window_is_the_shortest_end_that_is_big_enough(parts: list[tuple[int, int]]) -> None:
    window = LatestWindow(30)
    for observed, expected in parts:
        window.add(Standardised(observed, expected))
    observed = expected = 0
    for one, whole in reversed(parts):
        if expected >= 30:
            break
        observed, expected = observed + one * (whole > 0), expected + whole
    assert window.ratio == (pytest.approx(observed / expected) if expected >= 30 else None)
