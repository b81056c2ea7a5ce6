"""What a cell's state holds, in Python's own types.

In: a cell's state or a tally. Out: what tests compare.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from streams import tallies
from streams.cells import CellState, day_of
from streams.tallies import NOTHING, lanes, of_lanes

if TYPE_CHECKING:
    from streams.tallies import Tally


def as_document(tally: Tally) -> Any:
    """A tally as it stands on the wire."""
    return msgspec.to_builtins(tallies.as_document(lanes(tally)))


def payments(tally: Tally) -> int:
    return tallies.payments(lanes(tally))


def open_days(cell: CellState) -> list[int]:
    """The days that have not closed, rising."""
    return sorted({*cell.days, *map(day_of, cell.hours)})


def paid_on(cell: CellState, day: int) -> Tally:
    """A day so far, its open hours included."""
    return cell.days.get(day, NOTHING) + sum(
        of_lanes(numbers) for hour, numbers in cell.hours.items() if day_of(hour) == day
    )
