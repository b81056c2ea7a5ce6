"""Records put in order of time, within a buffer that is bounded.

In: frames in any order. Out: the same records, sorted by timestamp; those of one time stay in the order in which they
came. A record that is later than the buffer can mend ends it with an error: nothing is left out, or sent out of turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import polars as pl

from producers.load.sources.places import Places, time_text
from schemas.errors import BadInputError

DEFAULT_BUFFER: Final = 100_000
"""Records that are held back for those that may come behind them."""
MOST_PIECES: Final = 64
"""Of what is held back, in memory."""


def in_order(frames: Iterator[pl.DataFrame], buffer: int, places: Places) -> Iterator[pl.DataFrame]:
    """Yield records in order of time.

    Args:
        frames: of records.
        buffer: how many are held back; a frame more may be in memory.
        places: names the record that an error is about.

    Raises:
        BadInputError: if a record is older than what has been passed on.
    """
    held: pl.DataFrame | None = None
    passed: int | None = None
    for frame in frames:
        if passed is not None:
            _check(frame, passed, buffer, places)
        held = _sorted(frame if held is None else _joined(held, frame))
        ready = len(held) - buffer
        if ready > 0:
            passed = held["timestamp"][ready - 1]
            yield held.head(ready)
            held = held.slice(ready)
    if held is not None and len(held):
        yield held


def _joined(held: pl.DataFrame, frame: pl.DataFrame) -> pl.DataFrame:
    """Return one behind the other; filters leave small frames, and each call takes time for each piece there is."""
    joined = pl.concat([held, frame])
    return joined.rechunk() if joined.n_chunks() > MOST_PIECES else joined


def _sorted(frame: pl.DataFrame) -> pl.DataFrame:
    """Sort a frame; most are in order, and then nothing is copied."""
    return frame if frame["timestamp"].is_sorted() else frame.sort("timestamp", maintain_order=True)


def _check(frame: pl.DataFrame, passed: int, buffer: int, places: Places) -> None:
    late = (frame["timestamp"] < passed).arg_true()
    if not len(late):
        return
    row = late[0]
    at = frame["timestamp"][row]
    found = f"{places.of(frame, row)}: its time {time_text(at)} is before {time_text(passed)}, which has been sent"
    fix = (
        f"give a --sort-buffer above {buffer}, sort the source by time, "
        "or keep its own order with --rate N or --speed max"
    )
    raise BadInputError("source", found, fix)
