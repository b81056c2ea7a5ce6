"""Topics on the broker, made from the one table.

In: `schemas.topics.TOPICS` and a broker. Out: the topics exist as the table has them, or a clear error.
"""

from __future__ import annotations

from dataclasses import dataclass

from aiokafka.admin import NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from producers.kafka_topics import NO_ERROR, Admin, partition_counts
from schemas.errors import BadInputError
from schemas.settings import KafkaSettings
from schemas.topics import INTERVENTIONS, PAYMENTS, TOPICS, Topic


@dataclass(frozen=True)
class TopicState:
    """A topic of the table, and how many partitions the broker has for it; none if it does not exist."""

    topic: Topic
    wanted: int
    found: int | None


async def topic_states(kafka: KafkaSettings) -> list[TopicState]:
    """Ask the broker about every topic of the table."""
    assert kafka.bootstrap_servers is not None
    found = await partition_counts(kafka.bootstrap_servers, [topic.name for topic in TOPICS])
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
        assert kafka.bootstrap_servers is not None
        async with Admin(kafka.bootstrap_servers) as admin:
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
