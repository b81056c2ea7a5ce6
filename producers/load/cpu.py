"""CPU time of this process, to tell whether it, its neighbours or the target were the limit.

In: the operating system's clocks. Out: seconds of CPU.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

RESOLUTION: Final = 1e-6
"""Seconds: in less, clocks of CPU time tell nothing."""
SCHEDULER: Final = Path("/proc/thread-self/schedstat")


@dataclass(frozen=True)
class CpuTimes:
    """Seconds of CPU, user and system."""

    process: float
    """Of all threads."""
    loop: float
    """Of the thread that asks: the one whose event loop keeps the pace."""
    waited: float = 0.0
    """Seconds that this thread was ready to run and had no core, because others had them; 0 where nobody counts it."""


def cpu_times() -> CpuTimes:
    """Return what has been used until now. Call it in the event loop's thread."""
    return CpuTimes(time.process_time(), time.thread_time(), _waited())


def _waited() -> float:
    """Return what Linux has counted of the time on its run queue, in nanoseconds in the second field."""
    try:
        return int(SCHEDULER.read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def shares_of(before: CpuTimes, after: CpuTimes, seconds: float) -> list[float | None]:
    """Return seconds per second of the process, of the thread, and of its waits; None in no time."""
    used = (after.process - before.process, after.loop - before.loop, after.waited - before.waited)
    return [one / seconds if seconds >= RESOLUTION else None for one in used]


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
