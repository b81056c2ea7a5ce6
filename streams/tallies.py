"""Tallies as flat lists, the smallest unit of the fold: three numbers for each method.

In: payments counted one by one. Out: tallies as they are emitted, and shares.
Layout: settled by method, then VND by method, then failed by method.
"""

from __future__ import annotations

from collections.abc import Iterable

from schemas.events import METHODS

Tally = list[int]

WIDTH = len(METHODS)
SETTLED, VND, FAILED = 0, WIDTH, 2 * WIDTH
SIZE = 3 * WIDTH
CASH = METHODS.index("cash")
METHOD_INDEX = {method: number for number, method in enumerate(METHODS)}


def empty() -> Tally:
    """Return a tally of nothing."""
    return [0] * SIZE


def add(target: Tally, other: Tally) -> None:
    """Add ``other`` to ``target`` in place."""
    target[:] = map(int.__add__, target, other)


def total(tallies: Iterable[Tally]) -> Tally:
    """Return the sum of tallies."""
    listed = list(tallies)
    return [sum(column) for column in zip(*listed, strict=True)] if listed else empty()


def payments(tally: Tally) -> int:
    """Return the number of payments, settled and failed."""
    return sum(tally[SETTLED:VND]) + sum(tally[FAILED:])


def as_document(tally: Tally) -> dict[str, dict[str, int]]:
    """Return the tally as `schemas.events.Tallies` has it on the wire: methods without payments left out."""
    return {
        method: {
            "settled": tally[SETTLED + number],
            "failed": tally[FAILED + number],
            "amount_vnd": tally[VND + number],
        }
        for number, method in enumerate(METHODS)
        if tally[SETTLED + number] or tally[FAILED + number]
    }


def cashless_shares(tally: Tally) -> tuple[float | None, float | None]:
    """Return the cashless share of settled payments by count and by value; None where there is none."""
    count, value = tally[SETTLED:VND], tally[VND:FAILED]
    return _cashless(count), _cashless(value)


def _cashless(by_method_: list[int]) -> float | None:
    whole = sum(by_method_)
    return None if not whole else (whole - by_method_[CASH]) / whole
