"""Verification finds every difference and names it, and takes payments that were late for what they are."""

from __future__ import annotations

import asyncio
import copy
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from schemas.events import Adoption, LedgerEntry
from services import faults
from services.faults import count_spoiled, is_spoiled, put_in
from services.verify import Verdict, compare
from tests.stream_model import MIDNIGHT_MS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DAY_MS = 24 * 3_600_000
DAYS = ("2026-03-02", "2026-03-03")
Json = dict[str, Any]

PAID: dict[tuple[str, str, str], tuple[Json, Json]] = {
    ("cho-binh-an", "binh-an", "market_stall"): (
        {"cash": [10, 0, 500_000], "vietqr": [4, 1, 260_000, 1, 60_000]},
        {"cash": [9, 0, 450_000], "vietqr": [6, 0, 300_000, 2, 30_000]},
    ),
    ("cho-dem", "binh-an", "market_stall"): ({"cash": [3, 0, 90_000]}, {"cash": [2, 0, 40_000]}),
    ("binh-an/electricity", "binh-an", "electricity"): ({"card": [1, 1, 700_000]}, {"bank_transfer": [2, 0, 900_000]}),
    ("tan-loc/water", "tan-loc", "water"): ({"cash": [1, 0, 70_000]}, {}),
}
"""Cell, commune, sector: by day and method what was settled, failed, the VND, and what was reversed of it."""


def tallies(*counts: Json) -> Json:
    """Return the sum of these, as records have it."""
    whole: dict[str, dict[str, int]] = {}
    for by_method in counts:
        for method, numbers in by_method.items():
            tally = whole.setdefault(method, {"settled": 0, "failed": 0, "amount_vnd": 0})
            for measure, number in zip(_MEASURES, numbers, strict=False):
                tally[measure] = tally.get(measure, 0) + number
    return whole


def ledger() -> list[Json]:
    return [
        {
            "kind": "cell_day",
            "schema_version": 1,
            "run": "run-1",
            "cell": cell,
            "commune": commune,
            "sector": sector,
            "day": day,
            "tallies": tallies(counts),
        }
        for (cell, commune, sector), by_day in PAID.items()
        for day, counts in zip(DAYS, by_day, strict=True)
        if counts
    ]


def aggregates() -> list[Json]:
    """Return what the stream should tell of it: totals and days of communes and markets, an hour for good measure."""
    documents = []
    for window in ("total", 0, 1):
        for commune in ("binh-an", "tan-loc"):
            cells = {cell: _in_window(by_day, window) for cell, by_day in PAID.items() if cell[1] == commune}
            sectors = {cell[2] for cell in cells}
            if any(cells.values()):
                by_sector = {
                    sector: tallies(*[counts for cell, counts in cells.items() if cell[2] == sector])
                    for sector in sectors
                }
                whole = tallies(*cells.values())
                documents.append(adoption(commune, window, whole, by_sector=by_sector))
            documents += [
                adoption(commune, window, tallies(counts), market=cell[0])
                for cell, counts in cells.items()
                if cell[2] == "market_stall"
            ]
    return documents


def _in_window(by_day: tuple[Json, Json], window: str | int) -> Json:
    if isinstance(window, int):
        return by_day[window]
    return {
        method: [numbers[measure] for measure in _MEASURES if measure in numbers]
        for method, numbers in tallies(*by_day).items()
    }


_MEASURES = ("settled", "failed", "amount_vnd", "reversed", "reversed_vnd")


def adoption(commune: str, window: str | int, counts: Json, **more: Any) -> Json:
    document = {
        "schema_version": 1,
        "run": "run-1",
        "province": "an-giang",
        "commune": commune,
        "window": window if isinstance(window, str) else "day",
        "tallies": counts,
        "revision": sum(tally["settled"] + tally["failed"] + tally.get("reversed", 0) for tally in counts.values()),
        "final": False,
        "emitted_at": MIDNIGHT_MS,
        **more,
    }
    if isinstance(window, int):
        document |= {"start_at": MIDNIGHT_MS + window * DAY_MS, "end_at": MIDNIGHT_MS + (window + 1) * DAY_MS}
    else:
        document |= {"duplicates": 0, "late": 0, "outside_windows": {}}
    return document


def find(documents: list[Json], place: str, window: str, day: int = 0) -> Json:
    (found,) = [
        one
        for one in documents
        if one.get("market", one["commune"]) == place
        and one["window"] == window
        and one.get("start_at") in (None, MIDNIGHT_MS + day * DAY_MS)
    ]
    return found


def parts(documents: list[Json], sector: str, window: str, day: int = 0) -> list[Json]:
    """Return the tallies that a payment of binh-an is in, in one window: its market's or none, its sector's."""
    commune = find(documents, "binh-an", window, day)["by_sector"][sector]
    return [commune] if sector != "market_stall" else [commune, find(documents, "cho-binh-an", window, day)["tallies"]]


def verdict(aggregates_: list[Json], ledger_: list[Json] | None = None) -> Verdict:
    return compare("run-1", ledger=ledger() if ledger_ is None else ledger_, aggregates=aggregates_)


def named(verdict_: Verdict) -> set[tuple[str, str, str, str, int, int]]:
    keys = ("cell", "day", "method", "measure", "ledger", "aggregates")
    return {tuple(one[key] for key in keys) for one in verdict_.mismatches}


def test_the_documents_here_are_as_the_contracts_have_them():
    for entry in ledger():
        LedgerEntry.model_validate_json(json.dumps(entry))
    for document in aggregates():
        Adoption.model_validate_json(json.dumps(document))


def test_equal_books_are_exact():
    found = verdict(aggregates())
    assert found.exact
    assert found.cells == 4
    assert found.payments == {"ledger": 43, "aggregates": 43}
    assert found.reversed_vnd == {"ledger": 90_000, "aggregates": 90_000}
    assert found.amount_vnd == {"ledger": 3_310_000, "aggregates": 3_310_000}
    assert (found.duplicates, found.late) == (0, 0)
    assert found.document() == {
        "exact": True,
        "run": "run-1",
        "cells": 4,
        "payments": found.payments,
        "amount_vnd": found.amount_vnd,
        "reversed_vnd": found.reversed_vnd,
        "duplicates": 0,
        "late": 0,
        "faults": {},
        "mismatches": [],
    }


def test_nothing_is_exact():
    assert verdict([], []).document() | {"run": ""} == {
        "exact": True,
        "run": "",
        "cells": 0,
        "payments": {"ledger": 0, "aggregates": 0},
        "amount_vnd": {"ledger": 0, "aggregates": 0},
        "reversed_vnd": {"ledger": 0, "aggregates": 0},
        "duplicates": 0,
        "late": 0,
        "faults": {},
        "mismatches": [],
    }


@pytest.mark.parametrize("measure", _MEASURES)
@pytest.mark.parametrize("by", [-1, 1])
def test_a_total_that_differs(measure, by):
    documents = aggregates()
    for tally in parts(documents, "market_stall", "total"):
        tally["vietqr"][measure] += by
    true = {"settled": 10, "failed": 1, "amount_vnd": 560_000, "reversed": 3, "reversed_vnd": 90_000}[measure]
    found = verdict(documents)
    assert not found.exact
    assert named(found) == {
        ("cho-binh-an", "total", "vietqr", measure, true, true + by),
        ("binh-an/market_stall", "total", "vietqr", measure, true, true + by),
    }


@pytest.mark.parametrize("measure", _MEASURES)
@pytest.mark.parametrize("by", [-1, 1])
@pytest.mark.parametrize("day", [0, 1])
def test_a_day_that_differs(measure, by, day):
    documents = aggregates()
    (tally,) = parts(documents, "electricity", "day", day)
    method = ("card", "bank_transfer")[day]
    true = tally[method].get(measure, 0)
    tally[method][measure] = true + by
    assert named(verdict(documents)) == {("binh-an/electricity", DAYS[day], method, measure, true, true + by)}


def test_another_method():
    documents = aggregates()
    for window, day in (("total", 0), ("day", 0)):
        (tally,) = parts(documents, "electricity", window, day)
        tally["e_wallet"] = tally.pop("card")
    found = verdict(documents)
    assert found.payments["ledger"] == found.payments["aggregates"]
    assert found.amount_vnd["ledger"] == found.amount_vnd["aggregates"]
    assert named(found) == {
        ("binh-an/electricity", day, method, measure, *numbers)
        for day in ("total", DAYS[0])
        for measure, true in (("settled", 1), ("failed", 1), ("amount_vnd", 700_000))
        for method, numbers in (("card", (true, 0)), ("e_wallet", (0, true)))
    }


def test_a_payment_in_the_wrong_day():
    """It is in the total, and the days together are right as well."""
    documents = aggregates()
    for place, tally in zip(
        parts(documents, "market_stall", "day", 0), parts(documents, "market_stall", "day", 1), strict=True
    ):
        place["cash"]["settled"] -= 1
        tally["cash"]["settled"] += 1
    assert named(verdict(documents)) == {
        ("cho-binh-an", DAYS[0], "cash", "settled", 10, 9),
        ("cho-binh-an", DAYS[1], "cash", "settled", 9, 10),
        ("binh-an/market_stall", DAYS[0], "cash", "settled", 13, 12),
        ("binh-an/market_stall", DAYS[1], "cash", "settled", 11, 12),
    }


def test_a_payment_in_the_wrong_sector():
    documents = aggregates()
    for window in ("total", "day"):
        commune = find(documents, "binh-an", window)
        commune["by_sector"]["electricity"]["cash"] = {"settled": 1, "failed": 0, "amount_vnd": 50_000}
        commune["by_sector"]["market_stall"]["cash"]["settled"] -= 1
        commune["by_sector"]["market_stall"]["cash"]["amount_vnd"] -= 50_000
    found = verdict(documents)
    assert found.payments["ledger"] == found.payments["aggregates"]
    assert {(one[0], one[1]) for one in named(found)} == {
        (f"binh-an/{sector}", day) for sector in ("electricity", "market_stall") for day in ("total", DAYS[0])
    }


def test_a_market_that_is_not_there():
    documents = [one for one in aggregates() if one.get("market") != "cho-dem"]
    assert {(one[0], one[1], one[5]) for one in named(verdict(documents))} == {
        ("cho-dem", day, 0) for day in ("total", *DAYS)
    }


def test_a_commune_that_is_not_there():
    documents = [one for one in aggregates() if one["commune"] != "tan-loc"]
    found = verdict(documents)
    assert named(found) == {
        ("tan-loc/water", day, "cash", measure, number, 0)
        for day in ("total", DAYS[0])
        for measure, number in (("settled", 1), ("amount_vnd", 70_000))
    }
    assert found.payments == {"ledger": 43, "aggregates": 42}
    assert found.amount_vnd == {"ledger": 3_310_000, "aggregates": 3_240_000}


def test_a_day_that_is_not_there():
    documents = [one for one in aggregates() if one["commune"] != "tan-loc" or one["window"] != "day"]
    assert {(one[0], one[1]) for one in named(verdict(documents))} == {("tan-loc/water", DAYS[0])}


def test_a_cell_that_the_ledger_does_not_have():
    entries = [one for one in ledger() if one["cell"] != "cho-dem"]
    found = verdict(aggregates(), entries)
    assert found.cells == 3
    assert {(one[0], one[1]) for one in named(found)} == {
        (cell, day) for cell in ("cho-dem", "binh-an/market_stall") for day in ("total", *DAYS)
    }


def test_duplicates_and_late_ones_are_of_communes():
    """A market's are in its commune's."""
    documents = aggregates()
    for place, duplicates, late in (("binh-an", 5, 2), ("tan-loc", 1, 0), ("cho-binh-an", 4, 2)):
        find(documents, place, "total").update(duplicates=duplicates, late=late)
    found = verdict(documents)
    assert (found.duplicates, found.late, found.exact) == (6, 2, True)


def make_late(documents: list[Json], *, accounted: bool = True) -> None:
    """Take two payments of the market's first day out of it, as if they had come after it had closed."""
    late = {"cash": {"settled": 1, "failed": 0, "amount_vnd": 30_000}, "vietqr": {"settled": 0, "failed": 1}}
    for tally in parts(documents, "market_stall", "day"):
        tally["cash"]["settled"] -= 1
        tally["cash"]["amount_vnd"] -= 30_000
        tally["vietqr"]["failed"] -= 1
    for place in ("binh-an", "cho-binh-an") if accounted else ():
        find(documents, place, "total")["outside_windows"] = copy.deepcopy(late)


def test_what_came_too_late_for_its_day_is_accounted_for():
    documents = aggregates()
    make_late(documents)
    assert verdict(documents).exact


def test_a_day_in_which_all_came_too_late():
    documents = [one for one in aggregates() if one["commune"] != "tan-loc" or one["window"] != "day"]
    find(documents, "tan-loc", "total")["outside_windows"] = {"cash": {"settled": 1, "failed": 0, "amount_vnd": 70_000}}
    assert verdict(documents).exact


def test_what_a_day_lacks_without_being_late():
    documents = aggregates()
    make_late(documents, accounted=False)
    assert {(one[0], one[1], one[2], one[3]) for one in named(verdict(documents))} == {
        (cell, DAYS[0], method, measure)
        for cell in ("cho-binh-an", "binh-an/market_stall")
        for method, measure in (("cash", "settled"), ("cash", "amount_vnd"), ("vietqr", "failed"))
    }


@pytest.mark.parametrize("measure", _MEASURES)
@pytest.mark.parametrize("by", [-1, 1])
@pytest.mark.parametrize("day", [0, 1])
def test_late_payments_hide_no_difference(measure, by, day):
    documents = aggregates()
    make_late(documents)
    (tally,) = parts(documents, "electricity", "day", day)
    counts = tally[("card", "bank_transfer")[day]]
    counts[measure] = counts.get(measure, 0) + by
    assert ("binh-an/electricity", DAYS[day]) in {(one[0], one[1]) for one in named(verdict(documents))}


def test_late_payments_hide_no_payment_in_the_wrong_day():
    documents = aggregates()
    make_late(documents)
    for first, second in zip(
        parts(documents, "market_stall", "day", 0), parts(documents, "market_stall", "day", 1), strict=True
    ):
        first["vietqr"]["settled"] -= 1
        second["vietqr"]["settled"] += 1
    assert {("cho-binh-an", DAYS[0]), ("cho-binh-an", DAYS[1])} <= {
        (one[0], one[1]) for one in named(verdict(documents))
    }


def test_late_payments_of_a_commune_do_not_explain_its_markets():
    documents = aggregates()
    make_late(documents)
    find(documents, "cho-binh-an", "total")["outside_windows"] = {}
    assert {one[0] for one in named(verdict(documents))} == {"cho-binh-an"}


def test_late_payments_that_the_days_have_after_all():
    documents = aggregates()
    find(documents, "tan-loc", "total")["outside_windows"] = {"cash": {"settled": 1, "failed": 0, "amount_vnd": 0}}
    assert named(verdict(documents)) == {("tan-loc/commune", "outside", "cash", "settled", 0, 1)}


def test_hours_and_their_order_do_not_matter():
    documents = aggregates()
    hour = {**find(documents, "cho-dem", "day"), "window": "hour", "tallies": {}}
    assert verdict([hour, *reversed(documents), hour]).exact


def test_a_reversal_that_is_not_there():
    documents = aggregates()
    for window, day in (("total", 0), ("day", 0)):
        for tally in parts(documents, "market_stall", window, day):
            tally["vietqr"]["reversed"] -= 1
            tally["vietqr"]["reversed_vnd"] -= 60_000
    found = verdict(documents)
    assert found.payments == {"ledger": 43, "aggregates": 42}
    assert found.amount_vnd["ledger"] == found.amount_vnd["aggregates"]
    assert found.reversed_vnd == {"ledger": 90_000, "aggregates": 30_000}
    assert {one[3] for one in named(found)} == {"reversed", "reversed_vnd"}


# -- faults that were put in ----------------------------------------------------------------------------------


def with_faults(put_in_: Json, *, duplicates: int = 0, late: int = 0, spoiled: int = 0) -> Verdict:
    documents = aggregates()
    find(documents, "binh-an", "total").update(duplicates=duplicates, late=late)
    return compare("run-1", ledger=ledger(), aggregates=documents, faults=put_in_, spoiled=spoiled)


def test_faults_of_all_shards_add_up():
    shards = [{"kind": "run_faults", "duplicates": 2, "malformed": 1, "late": 0}, {"duplicates": 3, "out_of_order": 4}]
    assert put_in(shards) == {"duplicates": 5, "malformed": 1, "late": 0, "out_of_order": 4}
    assert not any(put_in([]).values())


def test_faults_that_were_found():
    sent = {"duplicates": 5, "malformed": 2, "late": 3, "out_of_order": 9}
    found = with_faults(sent, duplicates=7, late=1, spoiled=2)
    assert found.exact
    assert found.document()["faults"] == {
        "duplicates": {"ledger": 5, "stream": 7},  # a batch that was sent again
        "malformed": {"ledger": 2, "stream": 2},
        "late": {"ledger": 3, "stream": 1},  # the others were in time for their hours
        "out_of_order": {"ledger": 9},
    }


@pytest.mark.parametrize("kind", ["duplicates", "malformed"])
def test_a_fault_that_was_not_found(kind):
    found = with_faults({"duplicates": 5, "malformed": 5}, **{"duplicates": 5, "spoiled": 5} | {_FOUND[kind]: 4})
    assert named(found) == {("all", "total", "all", kind, 5, 4)}
    assert not found.exact


_FOUND = {"duplicates": "duplicates", "malformed": "spoiled"}


def test_faults_excuse_nothing():
    documents = [one for one in aggregates() if one["commune"] != "tan-loc"]
    found = compare("run-1", ledger=ledger(), aggregates=documents, faults={"malformed": 1}, spoiled=1)
    assert found.payments == {"ledger": 43, "aggregates": 42}
    assert not found.exact


def letter(text: bytes | None, *, reason: bytes = b"malformed", key: bytes = b"quetma.payments-0-1") -> Any:
    return SimpleNamespace(key=key, value=text, headers=[("reason", reason), ("detail", b"")])


def test_a_spoiled_record_is_known_by_its_run():
    cut, other = b'{"schema_version":1,"run":"run-1","sour', b'{"schema_version":1,"run":"run-10","sour'
    assert is_spoiled(letter(cut), "run-1")
    assert is_spoiled(letter('{"run":"đợt 1"'.encode()), "đợt 1")
    assert not is_spoiled(letter(other), "run-1")
    assert not is_spoiled(letter(cut, reason=b"unknown_cell"), "run-1")
    assert not is_spoiled(letter(None), "run-1")
    assert not is_spoiled(SimpleNamespace(key=b"k", value=cut, headers=[]), "run-1")


def test_a_dead_letter_that_was_written_twice_counts_once(monkeypatch):
    cut = b'{"run":"run-1",'
    letters = [letter(cut), letter(cut), letter(cut, key=b"quetma.payments-0-2"), letter(b"{", key=b"k")]

    async def read(_servers: str, topics: tuple[str, ...]) -> AsyncIterator[Any]:
        assert topics == ("quetma.payments.dead-letters",)
        for one in letters:
            yield one

    monkeypatch.setattr(faults, "read_all", read)
    assert asyncio.run(count_spoiled("broker", "run-1")) == 2
