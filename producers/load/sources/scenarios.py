"""Payments of a scenario as a source: simulated while they are sent, as `quetma produce` would, without end.

In: a world, a name for the run. Out: frames of payments; before each day's, what a stream worker must know of it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Final

import numpy as np
import polars as pl

from producers.ahead import Ahead, Tomorrow
from producers.announcements import block_of, wall_clock
from producers.blocks import PaymentBlock, RecordBlock
from producers.checkpoints import Beginning, first_checkpoint
from producers.encoding import cell_records
from producers.load.frames import CREATE_TIME, HEADERS, RECORDS
from producers.orders import Orders
from producers.outbox import Opening, Outbox
from producers.plan import Plan
from producers.recovery import Recovery
from schemas.events import encode
from schemas.topics import CELLS

Announce = Callable[[RecordBlock], Awaitable[None]]
"""Takes records that are to be on their topics before what comes next: `producers.publisher.Publisher.deliver`."""
FRAME_RECORDS: Final = 20_000
_NO_HEADERS: Final = pl.Series([[]], dtype=HEADERS)


async def scenario_source(
    plan: Plan,
    partitions: int,
    announce: Announce | None = None,
    *,
    frame_records: int = FRAME_RECORDS,
    cloud_events: bool = False,
) -> AsyncGenerator[pl.DataFrame, None]:
    """Yield the payments of a run, in order of sending, faults of the stream included.

    Args:
        plan: the world, and the run's name, which no other run may have.
        partitions: of the payments topic.
        announce: is given cells at first, then before each day codes, accounts and truth, and waited for. None where
            the target does not know of them.
        frame_records: records of a frame, at most.
        cloud_events: whether payments have headers.
    """
    if announce is not None:
        cells = [(f"{cell.run}|{cell.cell}", encode(cell)) for cell in cell_records(plan.world, plan.run)]
        await announce(block_of(CELLS, cells, wall_clock()))
    tomorrow = Tomorrow()
    orders = Orders(plan, wall_clock)
    outbox = Outbox(plan, orders, partitions, frame_records, cloud_events=cloud_events, tomorrow=tomorrow)
    beginning = Beginning(first_checkpoint(plan, [0] * partitions), Recovery({}), resumes=False)
    number = 0
    with ThreadPoolExecutor(1, thread_name_prefix="simulate") as pool, closing(tomorrow):
        ahead = Ahead(pool, outbox.items(beginning))
        try:
            while (item := await ahead.following()) is not None:
                if isinstance(item, PaymentBlock):
                    yield frame_of(item.records, number)
                    number += len(item)
                elif isinstance(item, Opening):
                    tomorrow.opened(item.day.number)
                    for block in item.before if announce is not None else ():
                        if len(block):
                            await announce(block)  # type: ignore[misc]  # it is there: see above
        finally:
            tomorrow.close()
            await ahead.end()


def frame_of(block: RecordBlock, number: int) -> pl.DataFrame:
    """Return a block as a frame of records.

    Args:
        block: encoded records.
        number: of its first row.
    """
    length = len(block)
    headers = _NO_HEADERS.new_from_index(0, length) if block.headers is None else list(map(_headers, block.headers))
    return pl.DataFrame(
        {
            "topic": pl.repeat(block.topic, length, dtype=pl.String, eager=True),
            "partition": block.partition,
            "offset": np.arange(number, number + length),
            "timestamp": block.timestamp,
            "timestamp_type": np.full(length, CREATE_TIME),
            "key": block.key.cast(pl.Binary),
            "value": block.value.cast(pl.Binary),
            "headers": headers,
        },
        schema=RECORDS,
    )


def _headers(headers: list[tuple[str, bytes]]) -> list[dict[str, str | bytes]]:
    return [{"name": name, "value": value} for name, value in headers]
