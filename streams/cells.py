"""The state of a cell: its hours and days, what repeats, and up to which record it has been brought.

In: payments one by one (`streams.fold` does that inline), event time. Out: totals, windows, and one packed value.
Everything is in one value, so that a crash cannot tear it. Payments are folded into hours only; an hour that has
closed goes into its day, a day that has closed leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from streams import tallies
from streams.duplicates import Gaps, admit
from streams.tallies import Lanes, Tally, lanes, of_lanes

HOUR_MS: Final = 3_600_000
HOURS_PER_DAY: Final = 24
UTC_OFFSET_HOURS: Final = 7
"""Asia/Ho_Chi_Minh, without daylight saving: local days begin at 17:00 UTC."""


class CellState(msgspec.Struct, gc=False):
    """What a worker knows of one cell of one run. Hours and days are numbered from the epoch; days are local."""

    run: str
    cell: str
    commune: str
    sector: str
    province: str
    applied_offset: int = -1
    """The last record that was folded into the cell: up to here, those read again are passed over."""
    closed: Tally = tallies.NOTHING
    """Sum of all payments that are in no open hour."""
    hours: dict[int, Lanes] = msgspec.field(default_factory=dict)
    """Open hours, counted in place."""
    days: dict[int, Tally] = msgspec.field(default_factory=dict)
    """Open days, without their open hours."""
    closed_until: int = 0
    """First hour that has not left `hours`; windows before it have been emitted as final."""
    outside: Tally = tallies.NOTHING
    """Payments whose day had closed: in `closed`, in no window."""
    late: int = 0
    """Payments whose hour, at least, had closed."""
    duplicates: int = 0
    highest: dict[str, int] = msgspec.field(default_factory=dict)
    """Highest sequence number seen, by source: of the sources that were seen in this generation."""
    before: dict[str, int] = msgspec.field(default_factory=dict)
    """The same of those that were seen in the generation before this one, and not since."""
    generation: int = 0
    """Its number, counted from the epoch; 0 if no window has closed yet."""
    gaps: dict[str, Gaps] = msgspec.field(default_factory=dict)

    @property
    def key(self) -> str:
        """Its key in the table."""
        return f"{self.run}|{self.cell}"

    def admit(self, source: str, sequence: int) -> bool:
        """Take note of a payment, not the next one of its source; return whether it is new."""
        if source in self.before:
            self.highest[source] = self.before.pop(source)
        return admit(self.highest, self.gaps, source, sequence)

    def total(self) -> Tally:
        """Return everything ever folded into the cell."""
        return self.closed + sum(map(of_lanes, self.hours.values()))

    def payments(self) -> int:
        """Return how many payments that is."""
        return tallies.payments(lanes(self.total()))


def day_of(hour: int) -> int:
    """Return the local day of an hour."""
    return (hour + UTC_OFFSET_HOURS) // HOURS_PER_DAY


def first_hour(day: int) -> int:
    """Return the hour with which a local day begins."""
    return day * HOURS_PER_DAY - UTC_OFFSET_HOURS


def add_late(state: CellState, hour: int, tally: Tally, watermark_hour: int) -> None:
    """Fold a payment of an hour that has closed: into its day if that is open, else beside all windows.

    Args:
        state: the cell; changed in place.
        hour: the hour it belongs to.
        tally: its own.
        watermark_hour: first hour that has not closed.
    """
    state.late += 1
    state.closed += tally
    day = day_of(hour)
    if day_is_closed(day, watermark_hour):
        state.outside += tally
    else:
        state.days[day] = state.days.get(day, tallies.NOTHING) + tally


def day_is_closed(day: int, watermark_hour: int) -> bool:
    """Return whether a day's last hour has closed."""
    return first_hour(day + 1) <= watermark_hour


def has_closed(state: CellState, watermark_hour: int) -> bool:
    """Return whether a window of the cell has closed and not left."""
    return any(hour < watermark_hour for hour in state.hours) or any(
        day_is_closed(day, watermark_hour) for day in state.days
    )


def close(state: CellState, watermark_hour: int, filter_days: int) -> None:
    """Let the windows that have closed leave: hours into their days, days altogether.

    Every so many days the sources that emitted nothing for as long leave the duplicates filter. One that comes back is
    as one that is new: what it sent before is a gap.

    Call it only when they have been emitted as final and that is acknowledged: what has left is not emitted again.
    """
    for hour in [hour for hour in state.hours if hour < watermark_hour]:
        tally = of_lanes(state.hours.pop(hour))
        state.closed += tally
        state.days[day_of(hour)] = state.days.get(day_of(hour), tallies.NOTHING) + tally
    for day in [day for day in state.days if day_is_closed(day, watermark_hour)]:
        del state.days[day]
    state.closed_until = max(state.closed_until, watermark_hour)
    _forget_idle_sources(state, day_of(watermark_hour) // filter_days)


def _forget_idle_sources(state: CellState, generation: int) -> None:
    if generation <= state.generation:
        return
    if state.generation:
        for source in state.before:
            state.gaps.pop(source, None)
        state.before, state.highest = state.highest, {}
    state.generation = generation


class _Stored(msgspec.Struct, gc=False):
    """A `CellState` with the lanes of its tallies, since msgpack has no numbers of more than 64 bits."""

    run: str
    cell: str
    commune: str
    sector: str
    province: str
    applied_offset: int
    closed: Lanes
    hours: dict[int, Lanes]
    days: dict[int, Lanes]
    closed_until: int
    outside: Lanes
    late: int
    duplicates: int
    highest: dict[str, int]
    gaps: dict[str, Gaps]
    before: dict[str, int] = {}
    generation: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Stored).decode


def pack(state: CellState) -> bytes:
    """Return the one value that holds the state."""
    return _encode(_Stored(**_converted(msgspec.structs.asdict(state), lanes)))


def unpack(value: bytes) -> CellState:
    """Return the state that `pack` made a value of."""
    return CellState(**_converted(msgspec.structs.asdict(_decode(value)), of_lanes))


def _converted(fields: dict[str, Any], of_tally: Callable[[Any], Any]) -> dict[str, Any]:
    """Return the fields of a state with each tally converted."""
    one = {name: of_tally(fields[name]) for name in ("closed", "outside")}
    days = {day: of_tally(tally) for day, tally in fields["days"].items()}
    return {**fields, **one, "days": days}
