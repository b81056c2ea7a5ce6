"""How far the stream workers are behind, as the broker tells it: also while no worker lives to say so.

In: the ends of the payments topic and the group's commits. Out: the gauge ``quetma_stream_lag_records``.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aiokafka.errors import GroupLoadInProgressError

from producers.lag import StreamLag
from schemas.metrics import Metrics
from schemas.topics import PAYMENTS
from services.topic_reader import ends_of

LAG_SECONDS = 2.0


async def watch_lag(bootstrap_servers: str, metrics: Metrics) -> None:
    """Set the gauge every 2 s, for ever; a broker that goes away ends it with aiokafka's error."""
    gauge = metrics.gauge("quetma_stream_lag_records")
    async with StreamLag(bootstrap_servers) as lag:
        while True:
            ends = await ends_of(bootstrap_servers, PAYMENTS)
            with suppress(GroupLoadInProgressError):  # the gauge keeps what it was
                for partition, records in (await lag.by_partition(ends)).items():
                    gauge.labels(partition=str(partition)).set(records)
            await asyncio.sleep(LAG_SECONDS)
