"""Who was the limit: this tool, its source, others on its machine, the target, or nobody.

In: seconds of a load. Out: warnings in words.

A second is *late* if one record in a hundred was sent more than `LATE_MS` from when it was due. It is *busy* if the
thread that keeps the pace used `FULL` of a core, or all threads together `FULL` of all cores. It is *crowded* if that
thread had no core for `CROWDED` of the time although it was ready to run. It is *starved* if sending waited for records
for `STARVED` of it: they were read or made too slowly. A second that is late and busy or starved was lost by the tool,
one that is late and crowded to others on its machine: its figures say nothing about the target. One that is late and
none of these was lost to the target, which took no more. As fast as it goes, there is no pace to be late for:
seconds that are busy then show how fast the tool is, not how fast the target could be.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from schemas.load_report import Pace, Second

LATE_MS: Final = 10.0
FULL: Final = 0.85
CROWDED: Final = 0.05
STARVED: Final = 0.05


def is_busy(row: Second, cores: int) -> bool:
    """Return whether the tool had no CPU left in a second."""
    return (row.loop_cpu or 0.0) >= FULL or (row.cpu or 0.0) >= FULL * cores


def is_crowded(row: Second) -> bool:
    """Return whether others had the cores that the tool needed in a second."""
    return (row.loop_waited or 0.0) >= CROWDED


def is_starved(row: Second) -> bool:
    """Return whether there was nothing to send in a part of a second."""
    return row.source_waited >= STARVED


def is_late(row: Second) -> bool:
    """Return whether the pace was not kept in a second."""
    return (row.p99_pacing_ms or 0.0) > LATE_MS


def warnings_of(rows: Sequence[Second], cores: int, pace: Pace) -> list[str]:
    """Return what readers of a report must know before they believe it."""
    sending = [row for row in rows if row.sent]
    busy = [row for row in sending if is_busy(row, cores)]
    if pace == "max":
        return [
            *_where(busy, sending, "the tool had no CPU left: the rate is what it can do, the target may take more"),
            *_where([row for row in sending if is_crowded(row)], sending, f"{_OTHERS}: the target may take more"),
            *_where([row for row in sending if is_starved(row)], sending, f"{_SLOW}: the target may take more"),
        ]
    late = [row for row in sending if is_late(row)]
    idle = [row for row in late if not is_busy(row, cores) and not is_starved(row)]
    return [
        *_where([row for row in late if is_starved(row) and not is_busy(row, cores)], sending, _SOURCE),
        *_where(
            [row for row in busy if is_late(row)], sending, "the tool was the limit, not the target: " + _NONE_LEFT
        ),
        *_where([row for row in idle if is_crowded(row)], sending, f"{_OTHERS}, and it sent late"),
        *_where([row for row in idle if not is_crowded(row)], sending, _TARGET),
        *_where(
            [row for row in busy if not is_late(row)], sending, "the tool had hardly any CPU left; the pace was kept"
        ),
    ]


_NONE_LEFT: Final = "it had no CPU left and sent late"
_OTHERS: Final = "others on this machine had the CPU that the tool needed"
_SLOW: Final = "records were read or made too slowly"
_SOURCE: Final = f"the source was the limit, not the target: {_SLOW}"
_TARGET: Final = "records were sent late although the tool had CPU left: the target took no more"


def _where(rows: Sequence[Second], of: Iterable[Second], text: str) -> list[str]:
    if not rows:
        return []
    return [f"in {len(rows):,} of {sum(1 for _ in of):,} seconds, the first at {rows[0].second} s, {text}"]
