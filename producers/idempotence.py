"""Whether a broker keeps producers' sequences, so that a batch that is sent again is written once.

In: a broker. Out: yes or no. Apache Kafka does; Tansu 0.6 gives no producer's id.
aiokafka's producer asks for one at its start too, but complains in the log, and for ever if the connection is dropped.
"""

from __future__ import annotations

import asyncio
import logging

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, NoError, for_code
from aiokafka.protocol.transaction import InitProducerIdRequest

log = logging.getLogger("quetma.publisher")

MAX_INT = 2**31 - 1
PATIENCE_SECONDS = 2.0


async def keeps_sequences(servers: str) -> bool:
    """Ask a broker for a producer's id; where there is none, say so in the log."""
    client = AIOKafkaClient(bootstrap_servers=servers.split(","))
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await client.bootstrap()
            request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=MAX_INT)
            response = await client.send(client.get_random_node(), request)
        error = for_code(response.error_code)
        if error is NoError or error.retriable:
            return True
        found = repr(error())
    except (KafkaError, TimeoutError) as failure:
        found = repr(failure)
    finally:
        await client.close()
    log.info("%s: no idempotent producer (%s); the stream drops what comes twice", servers, found)
    return False
