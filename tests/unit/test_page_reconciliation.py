"""The reconciliation on the page: exact, settling, or differs, and by how much."""

from __future__ import annotations

from typing import Any

from services.page.reconciliation import OPEN_DAYS, SETTLE_SECONDS, Balance, Balancer, LedgerSums, local_day
from tests.unit.test_adoption_view import MIDNIGHT_MS, of_market, record, tally

Json = dict[str, Any]
DAY = local_day(MIDNIGHT_MS)
BOTH = {
    "market_stall": {"cash": tally(3, 300_000), "vietqr": tally(1, 100_000, failed=1)},
    "water": {"card": tally(1, 9)},
}


def entry(cell: str, sector: str, tallies: Json, day: str = DAY, commune: str = "binh-an") -> Json:
    return {"kind": "cell_day", "cell": cell, "commune": commune, "sector": sector, "day": day, "tallies": tallies}


def ledger(*entries: Json) -> LedgerSums:
    sums = LedgerSums()
    for one in entries:
        sums.learn(one)
    return sums


ENTRIES = (entry("cho-binh-an", "market_stall", BOTH["market_stall"]), entry("binh-an/water", "water", BOTH["water"]))
TOTAL = record("total", BOTH)
MARKET = of_market(record("total", {"market_stall": BOTH["market_stall"]}))


def balanced(sums: LedgerSums, *totals: Json, balancer: Balancer | None = None, now: float = 0.0) -> Balance:
    return (balancer or Balancer()).compare(sums, totals, [MARKET], {MIDNIGHT_MS: (6, 400_009)}, now)


def test_equal_books_are_exact() -> None:
    balance = balanced(ledger(*ENTRIES), TOTAL)
    assert balance.state == "exact"
    assert (balance.payments, balance.amount_vnd) == ((6, 6), (400_009, 400_009))
    assert (balance.places, balance.differing) == (3, 0)
    assert (balance.days, balance.exact_days, balance.outside) == (1, 1, 0)


def test_the_last_entry_of_a_cell_and_day_counts() -> None:
    early = entry("cho-binh-an", "market_stall", {"cash": tally(1, 100_000)})
    sums = ledger(early)
    sums.settle()
    for one in ENTRIES:
        sums.learn(one)
    assert balanced(sums, TOTAL).state == "exact"


def test_one_dong_too_much_differs_when_nothing_moves_any_more() -> None:
    wrong = entry("binh-an/water", "water", {"card": tally(1, 10)})
    sums, balancer = ledger(ENTRIES[0], wrong), Balancer()
    assert balanced(sums, TOTAL, balancer=balancer, now=100.0).state == "settling"
    assert balanced(sums, TOTAL, balancer=balancer, now=100.0 + SETTLE_SECONDS - 0.1).state == "settling"
    balance = balanced(sums, TOTAL, balancer=balancer, now=100.0 + SETTLE_SECONDS)
    assert (balance.state, balance.differing, balance.exact_days) == ("differs", 1, 0)
    sums.learn(ENTRIES[1])
    assert balanced(sums, TOTAL, balancer=balancer, now=111.0).state == "exact"


def test_books_that_move_are_settling_however_long() -> None:
    balancer, sums = Balancer(), ledger(ENTRIES[0])
    for second in range(60):
        sums.learn(entry("binh-an/water", "water", {"card": tally(second + 100, 1)}))
        assert balanced(sums, TOTAL, balancer=balancer, now=float(second)).state == "settling"


def test_payments_on_the_wrong_method_differ_though_the_sums_agree() -> None:
    swapped = entry("binh-an/water", "water", {"cash": tally(1, 9)})
    balance = balanced(ledger(ENTRIES[0], swapped), TOTAL)
    assert balance.payments == (6, 6)
    assert balance.differing == 1


def test_old_days_are_kept_as_sums_and_told_again_count_once() -> None:
    days = [f"2026-{1 + index // 28:02}-{1 + index % 28:02}" for index in range(OPEN_DAYS + 9)]
    entries = [entry("binh-an/water", "water", {"card": tally(1, 5)}, day) for day in days]
    sums = ledger()
    for one in [*entries, *entries[:4], *entries[-3:]]:
        sums.learn(one)
        sums.settle()
    assert sums.places["water", "binh-an"]["card", "settled"] == len(days)
    assert sum(count for count, _ in sums.days.values()) == len(days)


def test_payments_outside_their_days_are_told() -> None:
    late = record("total", BOTH, outside_windows={"cash": tally(2, 7, failed=1)})
    assert balanced(ledger(*ENTRIES), late).outside == 3
