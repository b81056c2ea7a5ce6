"""Topics on the broker, made from the one table.

In: `schemas.topics.TOPICS` and a broker. Out: the topics exist as the table has them, or a clear error.
"""

from __future__ import annotations

from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from schemas.errors import BadInputError, UnreachableError
from schemas.settings import KafkaSettings
from schemas.topics import INTERVENTIONS, PAYMENTS, TOPICS, Topic

NO_ERROR = 0


@dataclass(frozen=True)
class TopicState:
    """A topic of the table, and how many partitions the broker has for it; none if it does not exist."""

    topic: Topic
    wanted: int
    found: int | None


async def topic_states(kafka: KafkaSettings) -> list[TopicState]:
    """Ask the broker about every topic of the table."""
    async with _Admin(kafka) as admin:
        # Only existing ones are described: Tansu 0.6 creates what it is asked about.
        existing = set(await admin.list_topics())
        described = await admin.describe_topics([topic.name for topic in TOPICS if topic.name in existing])
    found = {
        one["topic"]: len(one["partitions"]) for one in described if one["error_code"] == NO_ERROR and one["partitions"]
    }
    return [TopicState(topic, topic.partition_count(kafka.partitions), found.get(topic.name)) for topic in TOPICS]


async def ensure_topics(kafka: KafkaSettings) -> list[str]:
    """Create the topics that are missing; return their names.

    Raises:
        BadInputError: if a topic exists with another number of partitions, which would tear communes apart.
    """
    states = await topic_states(kafka)
    wrong = [state for state in states if state.found not in {None, state.wanted}]
    if wrong:
        found = "; ".join(f"{one.topic.name} has {one.found} partitions, the table says {one.wanted}" for one in wrong)
        fix = "set QUETMA_KAFKA__PARTITIONS to what is there, or delete the topics"
        raise BadInputError("topics", found, fix)
    missing = [state for state in states if state.found is None]
    if missing:
        async with _Admin(kafka) as admin:
            response = await admin.create_topics([_new(state, kafka.replication) for state in missing])
        for name, code, *message in response.topic_errors:
            if code not in {NO_ERROR, TopicAlreadyExistsError.errno}:
                raise BadInputError("topics", f"{name}: {for_code(code).__name__} {message}", "see the broker's log")
    return [state.topic.name for state in missing]


async def payment_partitions(kafka: KafkaSettings) -> int:
    """Return the number of partitions that the payments topic has.

    Raises:
        BadInputError: if it does not exist, or orders to producers have no topic, as on a broker of a version before.
    """
    found = {state.topic.name: state.found for state in await topic_states(kafka)}
    for name in (INTERVENTIONS, PAYMENTS):
        if found[name] is None:
            raise BadInputError("topics", f"{name} does not exist", "run `quetma topics create` first")
    partitions = found[PAYMENTS]
    assert partitions is not None
    return partitions


def _new(state: TopicState, replication: int) -> NewTopic:
    return NewTopic(state.topic.name, state.wanted, replication, topic_configs=state.topic.config())


class _Admin:
    """An admin client as a context manager, with our error for a broker that does not answer."""

    def __init__(self, kafka: KafkaSettings) -> None:
        assert kafka.bootstrap_servers is not None
        self._servers = kafka.bootstrap_servers
        self._client = AIOKafkaAdminClient(bootstrap_servers=self._servers.split(","))

    async def __aenter__(self) -> AIOKafkaAdminClient:
        try:
            await self._client.start()
        except KafkaError as error:
            await self._client.close()
            raise UnreachableError("topics", f"{self._servers} does not answer: {error}", "start it") from None
        return self._client

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()
