"""Runs that have gone idle: their windows close, and in the end their state leaves.

In: a partition's own state, its cells, the wall clock as it is passed in. Out: watermarks moved on; cells to forget.
Pure. A watermark moves with payments alone, so the last windows of a run that is over would stay open for ever, and
its cells in the state. Idleness is judged by partition and run: one that is idle holds nothing of another back.

Closing harms no sum: payments that come after all are late, in the totals, told apart. Forgetting is final: of a run
that was forgotten the totals are known no more, so its payments are set aside with the reason ``ended_run``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from streams.cells import HOUR_MS, CellState, day_of, first_hour
from streams.fold import PartitionState

MAX_ENDED: Final = 1000
"""Runs that are remembered as forgotten, the newest ones."""


@dataclass(frozen=True)
class Patience:
    """How long a run may be idle, in milliseconds of the wall clock."""

    close_after_ms: int = 0
    """Then its windows close; never if 0."""
    forget_after_ms: int = 0
    """Then its state leaves; never if 0."""


NO_END: Final = Patience()


def note(state: PartitionState, seen: Iterable[str], now: int) -> None:
    """Remember when runs were seen; those that nobody knows when, from a version before, are seen now."""
    for run in seen:
        state.seen_at[run] = now
    for run in state.watermarks:
        state.seen_at.setdefault(run, now)


def close_idle(state: PartitionState, cells: Collection[CellState], patience: Patience, now: int) -> bool:
    """Move the watermarks of idle runs to the end of their last open day; return whether any moved."""
    moved = False
    for run in _idle(state, patience.close_after_ms, now):
        days = [day for cell in cells if cell.run == run for day in (*cell.days, *map(day_of, cell.hours))]
        end = first_hour(max(days) + 1) * HOUR_MS if days else 0
        if end > state.watermarks[run]:
            state.watermarks[run], moved = end, True
    return moved


def forget_idle(state: PartitionState, cells: Collection[CellState], patience: Patience, now: int) -> set[str]:
    """Return the runs whose cells are to leave now, entered as ended; none that has open windows yet."""
    runs = set(_idle(state, patience.forget_after_ms, now))
    runs -= {cell.run for cell in cells if cell.hours or cell.days}
    for run in runs:
        del state.watermarks[run], state.seen_at[run]
    for cell in cells:
        if cell.run in runs:
            state.forgotten.add(cell)
    state.ended = [*state.ended, *sorted(runs)][-MAX_ENDED:]
    return runs


def _idle(state: PartitionState, limit_ms: int, now: int) -> list[str]:
    return [run for run, at in state.seen_at.items() if run in state.watermarks and 0 < limit_ms <= now - at]
