"""The judge of chaos objects to every single thing that can be wrong."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from services.chaos.judge import Evidence, objections

VERDICT: dict[str, Any] = {
    "exact": True,
    "payments": {"ledger": 1000, "aggregates": 1000},
    "amount_vnd": {"ledger": 5_000_000, "aggregates": 5_000_000},
    "reversed_vnd": {"ledger": 7_000, "aggregates": 7_000},
    "duplicates": 15,
    "faults": {
        "duplicates": {"ledger": 10, "stream": 15},
        "malformed": {"ledger": 3, "stream": 4},
        "late": {"ledger": 2, "stream": 0},
    },
    "mismatches": [],
}
GOOD = Evidence(VERDICT, exit_code=0, on_topic=1000 + 15 + 4, exported=1000)


def with_verdict(*path: str, value: Any) -> Evidence:
    verdict = copy.deepcopy(VERDICT)
    place = verdict
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return replace(GOOD, verdict=verdict)


def test_good_books_are_good() -> None:
    assert objections(GOOD) == []
    assert objections(replace(GOOD, exported=None)) == []


@pytest.mark.parametrize(
    "bad",
    [
        replace(GOOD, exit_code=1),
        replace(GOOD, on_topic=GOOD.on_topic + 1),  # a record that nobody counted
        replace(GOOD, on_topic=GOOD.on_topic - 1),  # one that counted twice
        replace(GOOD, exported=999),
        with_verdict("exact", value=False),
        with_verdict("payments", "ledger", value=1001),
        with_verdict("amount_vnd", "aggregates", value=5_000_001),
        with_verdict("reversed_vnd", "aggregates", value=0),
        with_verdict("faults", "duplicates", "stream", value=9),
        with_verdict("faults", "malformed", "stream", value=2),
        with_verdict("duplicates", value=14),
    ],
)
def test_every_single_fault_of_the_books_is_objected_to(bad: Evidence) -> None:
    assert objections(bad)


def test_a_run_without_a_payment_proves_nothing() -> None:
    empty = {**VERDICT, "payments": {"ledger": 0, "aggregates": 0}, "duplicates": 0, "faults": {}}
    assert objections(Evidence(empty, 0, 0, 0)) == ["there was not one payment"]
