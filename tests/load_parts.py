"""Parts of a load for tests: a clock that is told the time, sources of frames, a target and a recorder that remember.

In: nothing. Out: stand-ins for `producers.load.parts`, and frames of records.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any

import numpy as np
import polars as pl

from producers.load.frames import CREATE_TIME, RECORDS
from producers.load.parts import Seconds


class FakeClock:
    """Time goes on where somebody sleeps, and by `pass_`."""

    def __init__(self) -> None:
        self.time = 0.0

    def begin(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def pass_(self, seconds: float) -> None:
        self.time += seconds

    async def sleep_until(self, seconds: float) -> None:
        self.time = max(self.time, seconds)


class Memory:
    """A target, and the outcomes of one: remembers everything."""

    def __init__(self, clock: FakeClock, takes: Callable[[int], float] = lambda _: 0.0) -> None:
        """Args: the clock, and how many seconds a hand-over of so many records takes."""
        self._clock, self._takes = clock, takes
        self.values: list[bytes | None] = []
        self.due: list[float] = []
        self.at: list[float] = []

    async def send(self, records: pl.DataFrame, due: Seconds) -> None:
        assert len(records) == len(due)
        self._clock.pass_(self._takes(len(records)))
        self.values += records["value"].to_list()
        self.due += due.tolist()
        self.at += [self._clock.now()] * len(due)

    async def drain(self, seconds: float) -> None:
        """Nothing is under way."""


class Heard:
    """A recorder that remembers."""

    def __init__(self) -> None:
        self.begun = 0
        self.ended: tuple[float, str] | None = None
        self.sent_due: list[float] = []
        self.sent_at: list[float] = []
        self.answered_due: list[float] = []
        self.answered_at: list[float] = []
        self.failures: dict[str, int] = {}
        self.waits: list[tuple[float, float]] = []

    def begin(self) -> None:
        self.begun += 1

    def end(self, seconds: float, reason: str) -> None:
        self.ended = (seconds, reason)

    def starved(self, seconds: float, at: float) -> None:
        self.waits.append((seconds, at))

    def sent(self, due: Seconds, at: float) -> None:
        self.sent_due += due.tolist()
        self.sent_at += [at] * len(due)

    def answered(self, due: Seconds, at: float) -> None:
        self.answered_due += due.tolist()
        self.answered_at += [at] * len(due)

    def failed(self, due: Seconds, at: float, kind: str) -> None:
        self.failures[kind] = self.failures.get(kind, 0) + len(due)


def records(
    count: int,
    *,
    timestamps: Iterable[int] | None = None,
    partitions: Sequence[int | None] | None = None,
    keys: Sequence[bytes | None] | None = None,
    values: Sequence[bytes | None] | None = None,
    headers: Sequence[list[tuple[str, bytes | None]]] | None = None,
    topic: str | None = None,
) -> pl.DataFrame:
    """Return records; by default numbered values without keys, headers or partitions, all of one time."""
    columns: dict[str, Any] = {
        "topic": [topic] * count,
        "partition": [None] * count if partitions is None else list(partitions),
        "offset": range(count),
        "timestamp": [1_763_312_400_000] * count if timestamps is None else list(timestamps),
        "timestamp_type": [CREATE_TIME] * count,
        "key": [None] * count if keys is None else list(keys),
        "value": [str(number).encode() for number in range(count)] if values is None else list(values),
        "headers": [
            [{"name": name, "value": value} for name, value in one] for one in headers or [[] for _ in range(count)]
        ],
    }
    return pl.DataFrame(columns, schema=RECORDS)


async def frames(*of: pl.DataFrame, rows: int = 1000) -> AsyncIterator[pl.DataFrame]:
    """A source of frames, cut to so many rows."""
    for frame in of:
        for one in frame.iter_slices(rows):
            yield one


def per_second(times: Sequence[float]) -> list[int]:
    """Count times by second."""
    return np.bincount(np.array(times, dtype=np.float64).astype(np.int64)).tolist()
