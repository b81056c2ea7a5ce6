"""Tallies, the smallest unit of the fold: five numbers for each method, side by side in one whole number.

In: payments counted one by one. Out: tallies as they are emitted and stored, and shares.
A tally is a sum of 25 lanes of 64 bits: settled by method, then VND of these, then failed, then reversals, then VND of
these. So tallies are added as numbers are, in a tenth of the time that lists of 25 take, and nothing can change one
that somebody else holds. No lane ever overflows: 2⁶³ VND are ten thousand years of Vietnam's cashless payments.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

import msgspec

from schemas.events import METHODS

Tally = int
Lanes = Sequence[int]

WIDTH: Final = len(METHODS)
SETTLED, VND, FAILED, REVERSED, REVERSED_VND = (group * WIDTH for group in range(5))
SIZE: Final = 5 * WIDTH
NOTHING: Final[Tally] = 0
CASH: Final = METHODS.index("cash")
METHOD_INDEX: Final = {method: number for number, method in enumerate(METHODS)}

_PLACES: Final = tuple((method, *range(number, SIZE, WIDTH)) for number, method in enumerate(METHODS))
"""Of each method, where its five numbers stand."""
_LANE: Final = struct.Struct("<q")
_ALL: Final = struct.Struct(f"<{SIZE}q")


def unit(lane: int) -> Tally:
    """Return the tally that has 1 in a lane; times n it has n there."""
    return 1 << (8 * _LANE.size * lane)


_OF_STATUS: Final = {
    "settled": (SETTLED, VND),
    "failed": (FAILED, None),
    "reversed": (REVERSED, REVERSED_VND),
}
COUNT_UNIT: Final[dict[tuple[str, str], Tally]] = {
    (method, status): unit(count + number)
    for status, (count, _) in _OF_STATUS.items()
    for method, number in METHOD_INDEX.items()
}
"""By method and status: what one payment adds, its amount left out."""
VND_UNIT: Final[dict[tuple[str, str], Tally]] = {
    (method, status): NOTHING if vnd is None else unit(vnd + number)
    for status, (_, vnd) in _OF_STATUS.items()
    for method, number in METHOD_INDEX.items()
}
"""By method and status: what one VND adds; nothing where it failed."""
SETTLED_UNITS: Final = {method: (COUNT_UNIT[method, "settled"], VND_UNIT[method, "settled"]) for method in METHODS}
"""By method: what a settled payment adds, and each VND of it."""


def single(method: str, status: str, amount_vnd: int) -> Tally:
    """Return the tally of one payment."""
    return COUNT_UNIT[method, status] + amount_vnd * VND_UNIT[method, status]


def lanes(tally: Tally) -> tuple[int, ...]:
    """Return the numbers of a tally, one by one."""
    return _ALL.unpack(tally.to_bytes(_ALL.size, "little"))


def of_lanes(numbers: Lanes) -> Tally:
    """Return the tally of such numbers."""
    return int.from_bytes(_ALL.pack(*numbers), "little")


def payments(numbers: Lanes) -> int:
    """Return the number of payments: settled, failed, reversals."""
    return sum(numbers[SETTLED:VND]) + sum(numbers[FAILED:REVERSED_VND])


class OfMethod(msgspec.Struct, gc=False, omit_defaults=True, frozen=True):
    """What was paid by one method, as `schemas.events.MethodTally` has it on the wire, made in a third of the time.

    Reversals are left out where there are none: few windows have any.
    """

    settled: int
    failed: int
    amount_vnd: int
    reversed: int = 0
    reversed_vnd: int = 0


def as_document(numbers: Lanes) -> dict[str, OfMethod]:
    """Return a tally as `schemas.events.Tallies` has it on the wire; methods without payments are left out."""
    return {
        method: OfMethod(numbers[settled], numbers[failed], numbers[vnd], numbers[reversed_], numbers[reversed_vnd])
        for method, settled, vnd, failed, reversed_, reversed_vnd in _PLACES
        if numbers[settled] or numbers[failed] or numbers[reversed_]
    }


def cashless_shares(numbers: Lanes) -> tuple[float | None, float | None]:
    """Return the cashless share of settled payments by count and by value; None where there is none.

    Gross: a payment that was reversed later was made by its method all the same.
    """
    count, value = sum(numbers[SETTLED:VND]), sum(numbers[VND:FAILED])
    if not count:
        return None, None
    return (count - numbers[SETTLED + CASH]) / count, (value - numbers[VND + CASH]) / value
