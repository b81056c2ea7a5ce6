"""Tallies as flat lists, the smallest unit of the fold: five numbers for each method.

In: payments counted one by one. Out: tallies as they are emitted, and shares.
Layout: settled by method, then VND of these, then failed, then reversals, then VND of these.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import add as plus

import msgspec

from schemas.events import METHODS

Tally = list[int]

WIDTH = len(METHODS)
SETTLED, VND, FAILED, REVERSED, REVERSED_VND = (group * WIDTH for group in range(5))
SIZE = 5 * WIDTH
NOTHING: Tally = [0] * SIZE
"""The tally of nothing, not to be changed."""
CASH = METHODS.index("cash")
_PLACES = tuple((method, *range(number, SIZE, WIDTH)) for number, method in enumerate(METHODS))
"""Of each method, where its five numbers stand."""
METHOD_INDEX = {method: number for number, method in enumerate(METHODS)}


def empty() -> Tally:
    """Return a tally of nothing."""
    return [0] * SIZE


def add(target: Tally, other: Tally) -> None:
    """Add ``other`` to ``target`` in place."""
    target[:] = map(plus, target, other)


def count(tally: Tally, method: int, status: str, amount_vnd: int) -> None:
    """Count one payment in place; ``method`` is its index in METHODS, ``status`` one of STATUSES."""
    if status == "settled":
        tally[SETTLED + method] += 1
        tally[VND + method] += amount_vnd
    elif status == "failed":
        tally[FAILED + method] += 1
    else:
        tally[REVERSED + method] += 1
        tally[REVERSED_VND + method] += amount_vnd


def total(tallies: Iterable[Tally]) -> Tally:
    """Return the sum of tallies; of a single one itself. It is not to be changed."""
    listed = [tally for tally in tallies if tally is not NOTHING]
    if not listed:
        return NOTHING
    return listed[0] if len(listed) == 1 else list(map(sum, zip(*listed, strict=True)))


def payments(tally: Tally) -> int:
    """Return the number of payments: settled, failed, reversals."""
    return sum(tally[SETTLED:VND]) + sum(tally[FAILED:REVERSED_VND])


class OfMethod(msgspec.Struct, gc=False, omit_defaults=True, frozen=True):
    """What was paid by one method, as `schemas.events.MethodTally` has it on the wire, made in a third of the time.

    Reversals are left out where there are none: few windows have any.
    """

    settled: int
    failed: int
    amount_vnd: int
    reversed: int = 0
    reversed_vnd: int = 0


def as_document(tally: Tally) -> dict[str, OfMethod]:
    """Return the tally as `schemas.events.Tallies` has it on the wire; methods without payments are left out."""
    if tally is NOTHING:
        return {}
    return {
        method: OfMethod(tally[settled], tally[failed], tally[vnd], tally[reversed_], tally[reversed_vnd])
        for method, settled, vnd, failed, reversed_, reversed_vnd in _PLACES
        if tally[settled] or tally[failed] or tally[reversed_]
    }


def cashless_shares(tally: Tally) -> tuple[float | None, float | None]:
    """Return the cashless share of settled payments by count and by value; None where there is none.

    Gross: a payment that was reversed later was made by its method all the same.
    """
    count, value = tally[SETTLED:VND], tally[VND:FAILED]
    return _cashless(count), _cashless(value)


def _cashless(by_method: list[int]) -> float | None:
    whole = sum(by_method)
    return None if not whole else (whole - by_method[CASH]) / whole
