"""A scenario as the source of a load, with what a stream worker must know of it on its topics.

In: a plan, settings of the broker. Out: a `Source` without end.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import polars as pl
from prometheus_client import CollectorRegistry

from producers.load.sources.scenarios import scenario_source
from producers.plan import Plan
from producers.publisher import Publisher
from schemas.metrics import Metrics
from schemas.settings import Settings
from services.topic_admin import payment_partitions
from services.version import VERSION


async def announced_scenario(plan: Plan, settings: Settings) -> AsyncGenerator[pl.DataFrame, None]:
    """Yield payments; cells, accounts, codes and truth are on the topics of the broker before those that need them.

    Raises:
        BadInputError: if the broker has no topics of ours.
    """
    partitions = await payment_partitions(settings.kafka)
    headers = settings.producer.headers
    async with (
        Publisher(settings.kafka, settings.producer, Metrics("producer", CollectorRegistry(), VERSION)) as beside,
        aclosing(scenario_source(plan, partitions, beside.deliver, cloud_events=headers)) as source,
    ):
        async for frame in source:
            yield frame


def bare_scenario(plan: Plan, settings: Settings) -> AsyncGenerator[pl.DataFrame, None]:
    """Return payments alone, for a target that is no broker."""
    return scenario_source(plan, settings.kafka.partitions, cloud_events=settings.producer.headers)
