"""The system as an AsyncAPI 3.0 document: servers, topics, what is on them, who sends and who receives it.

In: `schemas.topics`, the models, the broker's settings. Out: one JSON document, nothing in it written by hand twice.
A whole system has several applications; each operation is tagged with the one that it is of.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from schemas.contracts import Model, headers_of, values_of
from schemas.settings import KafkaSettings
from schemas.topics import PARTIES, PAYMENTS, STREAM_GROUP, TOPICS, Party, Topic
from services.json_schemas import Json, definitions, header_models, key_schema, value_models
from services.version import VERSION

ASYNCAPI: Final = "3.0.0"
NUMBERS: Final = ("retention.ms", "retention.bytes", "delete.retention.ms")
"""Settings of topics that the Kafka bindings want as numbers."""
BINDING_VERSION: Final = "0.5.0"
"""Of the Kafka bindings."""
COMPONENT: Final = "#/components/schemas/{model}"
RAW: Final = "raw"
"""Name of the messages of topics whose values have no schema."""
DEFAULT_SERVER: Final = "localhost:9092"
GROUPS: Final[dict[tuple[Party, str], str]] = {("stream", PAYMENTS): STREAM_GROUP}
"""Consumer groups, by reader and topic; all others read without one, from the beginning."""
ACTIONS: Final[dict[Literal["send", "receive"], str]] = {"send": "sends", "receive": "receives"}
ABOUT: Final = (
    "Payments of simulated Vietnamese provinces, cash and QR, and what a stream makes of them. Times are UTC epoch "
    "milliseconds, money is whole VND. Fields without a value are left out. A payment's record has its `occurred_at` "
    "as its timestamp."
)


def asyncapi_document(kafka: KafkaSettings) -> Json:
    """Return the document for a broker: its servers, numbers of partitions and replicas are those of the settings."""
    return {
        "asyncapi": ASYNCAPI,
        "info": {
            "title": "Quetma",
            "version": VERSION,
            "description": ABOUT,
            "tags": [{"name": party, "description": what} for party, what in PARTIES.items()],
        },
        "defaultContentType": "application/json",
        "servers": _servers(kafka.bootstrap_servers),
        "channels": {topic.name: _channel(topic, kafka) for topic in TOPICS},
        "operations": dict(_operation(*one) for one in _operations()),
        "components": {"schemas": definitions([*value_models(), *header_models()], COMPONENT)},
    }


def _servers(bootstrap_servers: str | None) -> Json:
    if bootstrap_servers is None:
        variable = {"default": DEFAULT_SERVER, "description": "one of `QUETMA_KAFKA__BOOTSTRAP_SERVERS`"}
        return {"kafka": {"host": "{server}", "protocol": "kafka", "variables": {"server": variable}}}
    hosts = [host.strip() for host in bootstrap_servers.split(",")]
    return {f"kafka-{number}": {"host": host, "protocol": "kafka"} for number, host in enumerate(hosts, 1)}


def _channel(topic: Topic, kafka: KafkaSettings) -> Json:
    return {
        "address": topic.name,
        "description": topic.meaning,
        "messages": {name: _message(topic, name, model) for name, model in _messages(topic).items()},
        "bindings": _kafka(
            partitions=topic.partition_count(kafka.partitions),
            replicas=kafka.replication,
            topicConfiguration=_configuration(topic),
        ),
    }


def _configuration(topic: Topic) -> Json:
    """Return what the topic is created with, in the types of the binding: lists and numbers, where Kafka has text."""
    settings: Json = {**topic.config(), "cleanup.policy": [topic.cleanup]}
    return settings | {name: int(settings[name]) for name in NUMBERS if name in settings}


def _messages(topic: Topic) -> dict[str, Model | None]:
    return {model.__name__: model for model in values_of(topic)} or {RAW: None}


def _message(topic: Topic, name: str, model: Model | None) -> Json:
    message: Json = {"name": name, "contentType": topic.media}
    if model is not None:
        message["payload"] = _component(model)
    if headers_of(topic):
        message["headers"] = _headers(topic)
    return message | {"bindings": _kafka(key=key_schema(topic, model))}


def _headers(topic: Topic) -> Json:
    choices = [_component(model) for model in headers_of(topic)]
    return choices[0] if len(choices) == 1 else {"type": "object", "anyOf": choices}


def _operations() -> list[tuple[Party, Literal["send", "receive"], Topic]]:
    return [
        (party, action, topic)
        for party in PARTIES
        for topic in TOPICS
        for action in ACTIONS
        if party in (topic.senders if action == "send" else topic.receivers)
    ]


def _operation(party: Party, action: Literal["send", "receive"], topic: Topic) -> tuple[str, Json]:
    channel = f"#/channels/{topic.name}"
    operation: Json = {
        "action": action,
        "title": f"{party} {ACTIONS[action]} {topic.name}",
        "channel": {"$ref": channel},
        "tags": [{"name": party}],
        "messages": [{"$ref": f"{channel}/messages/{name}"} for name in _messages(topic)],
    }
    if action == "receive" and (group := GROUPS.get((party, topic.name))):
        operation["bindings"] = _kafka(groupId={"type": "string", "const": group})
    return f"{party}.{action}.{topic.name}", operation


def _component(model: Model) -> Json:
    return {"$ref": COMPONENT.format(model=model.__name__)}


def _kafka(**binding: Any) -> Json:
    return {"kafka": {**binding, "bindingVersion": BINDING_VERSION}}
