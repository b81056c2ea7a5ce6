"""One load from its beginning to its end: what `quetma replay` and `quetma load` have in common.

In: a source, arrivals, a target, a recorder. Out: the recorder has heard of everything.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import Final, Literal, Protocol, TypeVar

from producers.load.clock import Clock
from producers.load.dispatch import LATE_SECONDS, Dispatch, Ended, Limits, begun
from producers.load.parts import Arrivals, Outcomes, Source, Target
from schemas.errors import QuetmaError
from services.processes import unless_stopped

T = TypeVar("T")
INTERRUPTED: Final[Literal["interrupted"]] = "interrupted"
DRAIN_SECONDS: Final = 10.0
"""For how long answers are waited for when nothing more is sent."""
INTERRUPTED_DRAIN_SECONDS: Final = 4.0
"""The same after Ctrl-C or SIGTERM: who sends them kills after some seconds, and the report is to come before."""
GRACE_SECONDS: Final = 0.5
"""What a dispatch has to end by itself, before it is taken from what it waits for."""
SWITCH_SECONDS: Final = 0.0005
"""For how long a thread keeps Python's lock where the event loop wants it; 5 ms would show in the pace."""


class Recorder(Outcomes, Protocol):
    """Hears of a load."""

    def begin(self) -> None:
        """The load begins."""

    def starved(self, seconds: float, at: float) -> None:
        """Sending has waited for its source, until now."""

    def end(self, seconds: float, reason: str) -> None:
        """Nothing more is sent; answers may still come."""


async def run_load(  # noqa: PLR0917  # one of each part of a load, in the order of the way
    source: Source,
    arrivals: Arrivals,
    target: Target,
    recorder: Recorder,
    clock: Clock,
    stop: asyncio.Event,
    limits: Limits | None = None,
    *,
    drain_seconds: float = DRAIN_SECONDS,
) -> None:
    """Send a source to a target, wait for the answers, and tell the recorder how it ended.

    Args:
        source: records.
        arrivals: when they are due.
        target: takes them; it is open.
        recorder: hears of what comes of them.
        clock: begins to count when the first records are there.
        stop: ends it, and what is unanswered then is waited for.
        limits: end it too.
        drain_seconds: for how long it is waited for answers.

    Raises:
        QuetmaError: what the source or the target raises; the recorder has heard of all that was sent before.
    """
    limits = limits or Limits()
    opened = await unless_stopped(begun(source), stop)
    if opened is None:
        recorder.end(0.0, INTERRUPTED)
        return
    switch = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.freeze()  # what is there stays: looking at it again and again for garbage shows in the pace
    clock.begin()
    recorder.begin()
    dispatch = Dispatch(arrivals, target, clock, stop, limits, recorder.starved)
    try:
        reached = await _dispatched(dispatch, opened, stop, limits)
    except Exception as error:
        recorder.end(clock.now(), f"error: {error if isinstance(error, QuetmaError) else repr(error)}")
        raise
    else:
        recorder.end(clock.now(), reached.reason)
    finally:
        sys.setswitchinterval(switch)
        gc.unfreeze()
        await target.drain(min(drain_seconds, INTERRUPTED_DRAIN_SECONDS) if stop.is_set() else drain_seconds)


async def _dispatched(dispatch: Dispatch, source: Source, stop: asyncio.Event, limits: Limits) -> Ended:
    """Run a dispatch; end it by force where the target takes nothing any more and it should have ended."""
    running = asyncio.ensure_future(dispatch.run(source))
    stopping = asyncio.ensure_future(stop.wait())
    most = limits.seconds + LATE_SECONDS + GRACE_SECONDS
    try:
        await asyncio.wait(
            {running, stopping}, timeout=None if most == float("inf") else most, return_when=asyncio.FIRST_COMPLETED
        )
        await asyncio.wait({running}, timeout=GRACE_SECONDS)
    finally:
        stopping.cancel()
        if not running.done():
            running.cancel()
            await asyncio.wait({running})
    if running.cancelled():
        return Ended(INTERRUPTED if stop.is_set() else "limit", dispatch.records)
    return running.result()
