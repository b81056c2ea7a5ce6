"""Ledger and aggregates in flow: what is due must agree, what is not due says nothing, what agrees is forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from services.day_books import DayBooks, day_number
from services.reconciliation_view import ReconciliationView
from services.shown_runs import ShownRuns
from tests.monitoring_documents import RUN, adoption, checkpoint, day_name, ledger_day, run_started, stall_day, tallies

DAY = {"cash": (6, 600_000), "vietqr": (4, 900_000)}
LESS = {"cash": (5, 500_000), "vietqr": (4, 900_000)}
Json = dict[str, Any]


def books_of(*documents: Json, partition: int = 0) -> DayBooks:
    books = DayBooks()
    give(books, *documents, partition=partition)
    return books


def give(books: DayBooks, *documents: Json, partition: int = 0) -> None:
    take = {"cell_day": books.enter, "checkpoint": books.checkpoint}
    for document in documents:
        if "window" in document:
            books.learn(document, partition)
        else:
            take[document["kind"]](document)


def difference(books: DayBooks) -> tuple[int, int]:
    standing = books.stand()
    return standing.difference_payments, standing.difference_vnd


CLOSED = (checkpoint("1/1", 1), stall_day(0, DAY, final=True))


def test_a_day_that_both_sides_have_closed_and_that_agrees() -> None:
    standing = books_of(ledger_day(0, DAY), *CLOSED).stand()
    assert (standing.difference_payments, standing.difference_vnd, standing.reconciled_payments) == (0, 0, 10)
    assert standing.reconciled_until == day_number(day_name(1))


@pytest.mark.parametrize(
    ("ledger", "seen", "payments", "vnd"),
    [(DAY, LESS, 1, 100_000), (LESS, DAY, 1, 100_000), (DAY, {}, 10, 1_500_000), ({}, DAY, 10, 1_500_000)],
    ids=["lost", "twice", "all lost", "out of nowhere"],
)
def test_what_one_side_has_alone(ledger: Any, seen: Any, payments: int, vnd: int) -> None:
    books = books_of(ledger_day(0, ledger), checkpoint("1/1", 1), stall_day(0, seen, final=True))
    standing = books.stand()
    assert (standing.difference_payments, standing.difference_vnd) == (payments, vnd)
    assert standing.reconciled_until in {None, day_number(day_name(0))}


def test_a_day_whose_commune_is_unheard_of_is_lost_when_the_others_have_closed_it() -> None:
    books = books_of(ledger_day(0, DAY), *CLOSED, ledger_day(0, LESS, cell="x", commune="tan-loc"))
    assert difference(books) == (9, 1_400_000)


def test_a_day_that_its_commune_has_not_told_is_lost_when_its_partition_has_closed_it() -> None:
    """A commune that falls silent does not hold its own days open."""
    books = books_of(*(ledger_day(day, DAY) for day in range(2)), checkpoint("1/1", 2), stall_day(0, DAY, final=True))
    assert difference(books) == (0, 0)
    give(books, ledger_day(1, DAY, cell="x", commune="tan-loc"), stall_day(1, DAY, commune="tan-loc", final=True))
    assert difference(books) == (10, 1_500_000)


@pytest.mark.parametrize(
    "closed",
    [
        (checkpoint("1/1", 0), stall_day(0, LESS, final=True)),  # more may come into the ledger
        (checkpoint("1/1", 1), stall_day(0, LESS)),  # more may come into the aggregates
        (checkpoint("1/2", 1), checkpoint("2/2", 0), stall_day(0, LESS, final=True)),  # the other shard is behind
    ],
    ids=["ledger open", "window open", "a shard behind"],
)
def test_what_is_not_due_says_nothing(closed: tuple[Json, ...]) -> None:
    standing = books_of(ledger_day(0, DAY), *closed).stand()
    assert (standing.difference_payments, standing.reconciled_payments) == (0, 0)
    assert standing.reconciled_until in {None, day_number(day_name(0))}


def test_another_partition_that_is_ahead_closes_nothing() -> None:
    books = books_of(ledger_day(0, DAY), checkpoint("1/1", 9), stall_day(0, LESS))
    give(books, stall_day(3, DAY, commune="tan-loc", final=True), ledger_day(3, DAY, commune="tan-loc"), partition=1)
    assert difference(books) == (0, 0)


def late(counts: Json, number: int) -> Json:
    total = adoption("total", {"market_stall": tallies({"cash": (9, 9)})}, late=number)
    return {**total, "outside_windows": counts}


def test_late_payments_explain_what_their_days_lack() -> None:
    one = tallies({"cash": (1, 100_000)})
    books = books_of(ledger_day(0, DAY), checkpoint("1/1", 1), stall_day(0, LESS, final=True), late(one, 1))
    standing = books.stand()
    assert (standing.difference_payments, standing.difference_vnd, standing.reconciled_payments) == (0, 0, 10)
    assert standing.reconciled_until == day_number(day_name(1))


def test_late_payments_explain_no_surplus_and_no_more_than_they_are() -> None:
    one = tallies({"cash": (1, 100_000)})
    surplus = books_of(ledger_day(0, LESS), checkpoint("1/1", 1), stall_day(0, DAY, final=True), late(one, 1))
    assert difference(surplus) == (1, 100_000)
    more = books_of(ledger_day(0, DAY), checkpoint("1/1", 1), stall_day(0, {}, final=True), late(one, 1))
    assert difference(more) == (9, 1_400_000)


def test_a_payment_in_the_wrong_day_or_by_the_wrong_method_does_not_cancel_out() -> None:
    days = [ledger_day(0, DAY), ledger_day(1, LESS), checkpoint("1/1", 2)]
    assert difference(books_of(*days, stall_day(0, LESS), stall_day(1, DAY, final=True))) == (2, 200_000)
    swapped = {"cash": (4, 900_000), "vietqr": (6, 600_000)}
    assert difference(books_of(*days[:1], checkpoint("1/1", 1), stall_day(0, swapped, final=True))) == (4, 600_000)


def test_cells_of_a_commune_add_up_and_the_last_entry_of_each_counts() -> None:
    entries = [ledger_day(0, LESS), ledger_day(0, {"cash": (3, 300_000)}), ledger_day(0, LESS, cell="other")]
    books = books_of(*entries, checkpoint("1/1", 1))
    assert (books.ledger_payments, books.ledger_vnd) == (12, 1_700_000)
    give(books, stall_day(0, {"cash": (8, 800_000), "vietqr": (4, 900_000)}, final=True))
    assert difference(books) == (0, 0)


def test_failed_payments_count_and_move_no_money() -> None:
    books = books_of(ledger_day(0, DAY, failed=2), *CLOSED)
    assert difference(books) == (2, 0)
    assert books.ledger_payments == 12


def test_a_restart_that_reads_all_again_finds_the_same() -> None:
    documents = [ledger_day(0, DAY), *CLOSED, ledger_day(1, LESS), stall_day(1, {"cash": (2, 200_000)})]
    once, twice = books_of(*documents), books_of(*documents)
    before = once.stand(), once.ledger_payments
    twice.stand()
    give(twice, *documents)
    assert (twice.stand(), twice.ledger_payments) == before


def test_an_older_record_takes_nothing_back() -> None:
    books = books_of(ledger_day(0, DAY), *CLOSED, stall_day(0, LESS))
    assert difference(books) == (0, 0)


def test_what_agrees_takes_no_memory() -> None:
    books = books_of(*(ledger_day(day, DAY) for day in range(100)), checkpoint("1/1", 100))
    give(books, *(stall_day(day, DAY, final=True) for day in range(100)))
    assert books.stand().reconciled_payments == 1000
    assert sum(map(len, books._ledger.values())) == sum(map(len, books._windows.values())) == 0


class TestView:
    def samples(self, view: ReconciliationView) -> dict[str, float]:
        return {one.name: one.value for family in view.collect() for one in family.samples}

    def test_says_when_it_found_how_far_both_agree(self) -> None:
        now, runs = [100.0], ShownRuns()
        view = ReconciliationView(runs, lambda: now[0])
        runs.start(run_started())
        found = self.samples(view)
        assert found["quetma_reconciliation_difference_payments"] == found["quetma_ledger_payments_total"] == 0
        assert "quetma_reconciliation_timestamp_seconds" not in found
        for document in (ledger_day(0, DAY), checkpoint("1/1", 1)):
            view.apply_ledger(document)
        view.apply(stall_day(0, DAY, final=True), 0)
        for now[0] in (200.0, 300.0):
            assert self.samples(view)["quetma_reconciliation_timestamp_seconds"] == 200
        assert self.samples(view)["quetma_reconciled_time_seconds"] == stall_day(1, DAY)["start_at"] / 1000
        view.apply_ledger(ledger_day(1, DAY))
        assert self.samples(view)["quetma_ledger_payments_total"] == 20
        assert self.samples(view)["quetma_reconciled_payments"] == 10

    def test_shows_only_the_newest_run(self) -> None:
        runs = ShownRuns()
        view = ReconciliationView(runs)
        runs.start(run_started())
        for document in (ledger_day(0, DAY), checkpoint("1/1", 1)):
            view.apply_ledger(document)
        view.apply(stall_day(0, LESS, final=True), 0)
        assert self.samples(view)["quetma_reconciliation_difference_payments"] == 1
        runs.start(run_started("newer", run_started()["started_at"] + 1))
        assert self.samples(view)["quetma_reconciliation_difference_payments"] == 0
        assert RUN != "newer"
