"""The clock of a load: seconds since it began.

In: the machine's monotonic clock. Out: the time, and a sleep that ends when it should.
An event loop's own timers are too coarse to keep a pace by: uvloop counts in milliseconds. Where the kernel has timers
that are files (Linux), the loop waits for one of them, to some tens of microseconds and without turning round and
round meanwhile.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from types import TracebackType
from typing import Final, Protocol, Self

AT_ONCE: Final = 50e-6
"""Seconds that are not worth sleeping."""
COARSE: Final = 2e-3
"""Without a kernel's timer: seconds before the time at which the loop's own timer ends."""


class Clock(Protocol):
    """Seconds since the load began."""

    def begin(self) -> None:
        """Begin to count: this is 0."""

    def now(self) -> float:
        """Return the time."""

    async def sleep_until(self, seconds: float) -> None:
        """Return at a time, or at once if it has been; let other tasks run in any case."""


class RealClock:
    """The machine's clock. Use as a context manager within a running event loop."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._timer: _KernelTimer | None = None

    def __enter__(self) -> Self:
        self._timer = _KernelTimer.made()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.close()
            self._timer = None

    def begin(self) -> None:
        """Begin to count."""
        self._begun = time.monotonic()

    def now(self) -> float:
        """Return seconds since it began."""
        return time.monotonic() - self._begun

    async def sleep_until(self, seconds: float) -> None:
        """Sleep, to less than a millisecond."""
        left = seconds - self.now()
        if left <= AT_ONCE:
            await asyncio.sleep(0)
        elif self._timer is not None:
            await self._timer.sleep(left)
        else:
            await asyncio.sleep(max(0.0, left - COARSE))
            while self.now() < seconds:  # noqa: ASYNC110  # there is no event: time itself is waited for
                await asyncio.sleep(0)


class _Times(ctypes.Structure):
    """``struct itimerspec``: the interval, of no use here, and the time left, in seconds and nanoseconds."""

    _fields_ = (
        ("interval_seconds", ctypes.c_long),
        ("interval_nanoseconds", ctypes.c_long),
        ("seconds", ctypes.c_long),
        ("nanoseconds", ctypes.c_long),
    )


class _KernelTimer:
    """A timer of Linux that the loop waits for as for a socket; Python has these from 3.13 on."""

    def __init__(self, libc: ctypes.PyDLL, file: int) -> None:
        self._libc, self._file = libc, file
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Future[None] | None = None
        self._loop.add_reader(file, self._rang)

    @classmethod
    def made(cls) -> _KernelTimer | None:
        """Return a timer, None where the kernel has none."""
        try:
            # Calls that take a microsecond: giving Python's lock away for them, as CDLL does, means to wait for it.
            libc = ctypes.PyDLL(None)
            file = libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, AttributeError):
            return None
        return cls(libc, file) if file >= 0 else None

    async def sleep(self, seconds: float) -> None:
        """Sleep; one sleeper at a time."""
        whole = int(seconds)
        times = _Times(0, 0, whole, max(1, int((seconds - whole) * 1e9)))
        self._waiting = self._loop.create_future()
        self._libc.timerfd_settime(self._file, 0, ctypes.byref(times), None)
        try:
            await self._waiting
        finally:
            self._waiting = None

    def close(self) -> None:
        """Give it back."""
        self._loop.remove_reader(self._file)
        os.close(self._file)

    def _rang(self) -> None:
        try:
            os.read(self._file, 8)
        except BlockingIOError:  # it was set anew meanwhile
            return
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
