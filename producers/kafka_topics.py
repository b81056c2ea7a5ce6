"""Topics as a broker has them, asked for without making any.

In: a broker. Out: how many partitions topics have.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from schemas.errors import UnreachableError

NO_ERROR = 0


class Admin:
    """An admin client as a context manager, with our error for a broker that does not answer."""

    def __init__(self, servers: str) -> None:
        self._servers = servers
        self._client = AIOKafkaAdminClient(bootstrap_servers=self._servers.split(","))

    async def __aenter__(self) -> AIOKafkaAdminClient:
        try:
            await self._client.start()
        except KafkaError as error:
            await self._client.close()
            raise UnreachableError("topics", f"{self._servers} does not answer: {error}", "start it") from None
        except asyncio.CancelledError:
            await self._client.close()
            raise
        return self._client

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()


async def partition_counts(servers: str, topics: Iterable[str] | None = None) -> dict[str, int]:
    """Return the number of partitions of those topics that exist, of all topics if none are named.

    Raises:
        UnreachableError: if the broker does not answer.
    """
    async with Admin(servers) as admin:
        # Only existing ones are described: brokers may create what they are asked about, and Tansu 0.6 does.
        existing = set(await admin.list_topics())
        asked = sorted(existing) if topics is None else [topic for topic in topics if topic in existing]
        described = await admin.describe_topics(asked) if asked else []
    return {
        one["topic"]: len(one["partitions"]) for one in described if one["error_code"] == NO_ERROR and one["partitions"]
    }
