"""Repeated payments, told apart exactly by source and sequence.

In: sequence numbers of one source, in any order. Out: whether each is seen for the first time.
Sources number without gaps, so what has been seen is a highest number and the gaps below it. In order there are
none; a payment out of order opens a gap and closes it. Unlike a bitmap of the last 64, no honest payment is
refused for being far behind, and the state is one number a source.
"""

from __future__ import annotations

from bisect import bisect_right

Gaps = list[list[int]]
"""Missing numbers as rising, disjoint intervals [first, last], both included."""

MAX_GAPS = 64
"""Intervals kept per source. Beyond, the oldest is given up: what it misses would count as repeated."""


def admit(highest: dict[str, int], gaps: dict[str, Gaps], source: str, sequence: int) -> bool:
    """Take note of a payment; return whether it is new.

    Args:
        highest: highest number seen, by source; changed in place.
        gaps: missing numbers below it, by source; changed in place.
        source: the till.
        sequence: number of the payment, from 1 on.
    """
    top = highest.get(source, 0)
    if sequence > top:
        if sequence > top + 1:
            _open(gaps.setdefault(source, []), top + 1, sequence - 1)
        highest[source] = sequence
        return True
    return source in gaps and _close(gaps, source, sequence)


def _open(intervals: Gaps, first: int, last: int) -> None:
    intervals.append([first, last])
    if len(intervals) > MAX_GAPS:
        del intervals[0]


def _close(gaps: dict[str, Gaps], source: str, sequence: int) -> bool:
    """Remove a number from the gaps; return whether it was missing."""
    intervals = gaps[source]
    place = bisect_right(intervals, sequence, key=lambda interval: interval[0]) - 1
    if place < 0 or intervals[place][1] < sequence:
        return False
    first, last = intervals[place]
    rest = [[first, sequence - 1], [sequence + 1, last]]
    intervals[place : place + 1] = [interval for interval in rest if interval[0] <= interval[1]]
    if not intervals:
        del gaps[source]
    elif len(intervals) > MAX_GAPS:
        del intervals[0]
    return True
