"""The parts of a load, and what each may expect of the next.

In: nothing. Out: `Source`, `Arrivals`, `Target`, `Outcomes`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

Seconds = npt.NDArray[np.float64]
"""Seconds since the load began, of the monotonic clock, shape (n,)."""

UNANSWERED: Final = "unanswered"
"""The kind of failure of records that nothing was heard of in time."""

Source = AsyncIterator[pl.DataFrame]
"""Frames as in `producers.load.frames.RECORDS`, in order of sending, of some thousand rows each: sources may be larger
than memory. Bad input ends it with an error that names file or topic, row and column."""


class Arrivals(Protocol):
    """When records are due."""

    def of(self, timestamps: npt.NDArray[np.int64]) -> Seconds:
        """Return when the next records are due, never falling; fewer than there are records where the load ends.

        Args:
            timestamps: of the records that come next, UTC epoch milliseconds.
        """

    def asked(self, second: int) -> float | None:
        """Return how many records are asked for in a second, None where no rate is: by the records' own times, or max.

        Args:
            second: whole seconds since the load began.
        """


class Target(Protocol):
    """A system under test, and the way to it. It tells an `Outcomes` what comes of each record."""

    async def send(self, records: pl.DataFrame, due: Seconds) -> None:
        """Hand over records that are due now; return as soon as the next may come.

        It waits only where more records are unanswered than it may hold. The wait shows in the report, since times
        are counted from when a record was due.
        """

    async def drain(self, seconds: float) -> None:
        """Wait for what is unanswered, for so many seconds at most; what is unanswered then has failed."""


class Outcomes(Protocol):
    """Hears of what has been sent and what came of it. Times are seconds since the load began."""

    def sent(self, due: Seconds, at: float) -> None:
        """Records were handed over together."""

    def answered(self, due: Seconds, at: float) -> None:
        """Records were acknowledged, or answered well, together."""

    def failed(self, due: Seconds, at: float, kind: str) -> None:
        """Records failed together, for a reason that is one of few words."""
