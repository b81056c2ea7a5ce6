"""The AsyncAPI document: as the official schema has it, complete in itself, and true of the code."""

from __future__ import annotations

import ast
import copy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from schemas import topics
from schemas.contracts import values_of
from schemas.settings import KafkaSettings
from schemas.topics import INTERVENTIONS, PARTIES, PAYMENTS, STATE_CHANGELOG, TOPICS
from services import exporter
from services.asyncapi import ASYNCAPI, asyncapi_document
from tests.asyncapi.official import official_schema
from tests.unit.test_json_schemas import objects

DOCUMENT = asyncapi_document(KafkaSettings())
DRAFT_7 = {
    "$ref",
    "additionalProperties",
    "anyOf",
    "const",
    "default",
    "description",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "items",
    "maxLength",
    "maximum",
    "minLength",
    "minimum",
    "oneOf",
    "pattern",
    "properties",
    "propertyNames",
    "required",
    "title",
    "type",
    "unit",  # our own: says something, holds nothing
}
"""Keywords that mean the same in draft 7 as in 2020-12."""
CHANNELS, OPERATIONS = DOCUMENT["channels"], DOCUMENT["operations"]


# -- the official schema -------------------------------------------------------------------------------------


@cache
def official() -> Draft7Validator:
    return Draft7Validator(official_schema(ASYNCAPI))


def test_it_is_as_the_official_schema_says():
    assert [error.message[:300] for error in official().iter_errors(DOCUMENT)] == []


def at(document: dict[str, Any], *path: str) -> dict[str, Any]:
    for name in path:
        document = document[name]
    return document


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (("channels", PAYMENTS, "bindings", "kafka"), {"partitions": "4"}),
        (("channels", PAYMENTS, "bindings", "kafka", "topicConfiguration"), {"cleanup.policy": "compact"}),
        (("channels", PAYMENTS, "messages", "Payment"), {"payload": {"type": "money"}}),
        (("channels", PAYMENTS), {"topic": PAYMENTS}),
        (("operations", f"stream.receive.{PAYMENTS}"), {"action": "read"}),
        (("servers", "kafka"), {"protocol": None}),
        (("components", "schemas", "Payment"), {"required": "run"}),
    ],
    ids=lambda value: value[-1] if isinstance(value, tuple) else "-".join(value),
)
def test_the_official_schema_sees_each_mistake(path, wrong):
    document = copy.deepcopy(DOCUMENT)
    at(document, *path).update(wrong)
    assert not official().is_valid(document)


# -- complete in itself --------------------------------------------------------------------------------------


def test_every_reference_leads_somewhere():
    references = {one["$ref"] for one in objects(DOCUMENT) if "$ref" in one}
    assert len(references) > len(TOPICS)
    for reference in references:
        root, *path = reference.split("/")
        assert root == "#"
        assert at(DOCUMENT, *path), reference


def test_its_schemas_keep_to_what_draft_7_knows():
    """AsyncAPI's own schema objects are those of draft 7; the models' are 2020-12."""
    for name, schema in DOCUMENT["components"]["schemas"].items():
        Draft7Validator.check_schema(schema)
        properties = {field for one in objects(schema) for field in one.get("properties", {})}
        assert {keyword for one in objects(schema) for keyword in one} - properties <= DRAFT_7, name


def test_every_topic_is_a_channel_with_messages_and_a_key():
    assert list(CHANNELS) == [topic.name for topic in TOPICS]
    for topic in TOPICS:
        channel = CHANNELS[topic.name]
        assert channel["address"] == topic.name
        assert list(channel["messages"]) == ([model.__name__ for model in values_of(topic)] or ["raw"])
        for message in channel["messages"].values():
            assert message["bindings"]["kafka"]["key"]["pattern"]
            assert ("payload" in message) is bool(values_of(topic)) is (message["contentType"] == "application/json")


def test_what_is_set_is_what_it_says():
    set_ = asyncapi_document(KafkaSettings(bootstrap_servers="one:9092, two:9093", partitions=12, replication=3))
    assert [server["host"] for server in set_["servers"].values()] == ["one:9092", "two:9093"]
    for topic in TOPICS:
        binding = set_["channels"][topic.name]["bindings"]["kafka"]
        assert binding["partitions"] == (topic.partitions or 12)
        assert binding["replicas"] == 3
        settings, table = binding["topicConfiguration"], topic.config()
        assert settings.pop("cleanup.policy") == [table.pop("cleanup.policy")]
        assert {name: str(value) for name, value in settings.items()} == table


# -- who sends, who receives ---------------------------------------------------------------------------------


def test_operations_are_those_of_the_table():
    told = {(one["tags"][0]["name"], one["action"], one["channel"]["$ref"]) for one in OPERATIONS.values()}
    assert told == {
        (party, action, f"#/channels/{topic.name}")
        for topic in TOPICS
        for action, parties in (("send", topic.senders), ("receive", topic.receivers))
        for party in parties
    }
    assert len(told) == len(OPERATIONS)
    assert all(topic.senders for topic in TOPICS)
    for one in OPERATIONS.values():
        channel = one["channel"]["$ref"]
        messages = {f"{channel}/messages/{name}" for name in at(DOCUMENT, *channel.split("/")[1:])["messages"]}
        assert {reference["$ref"] for reference in one["messages"]} == messages
    groups = {name: one["bindings"]["kafka"]["groupId"] for name, one in OPERATIONS.items() if "bindings" in one}
    assert groups == {f"stream.receive.{PAYMENTS}": {"type": "string", "const": topics.STREAM_GROUP}}


def named_in(*places: str, but_not: str = "-") -> set[str]:
    """The topics whose constants the modules of these places import."""
    found = set()
    for path in (path for place in places for path in Path().glob(place) if not path.is_relative_to(but_not)):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "schemas.topics":
                found |= {getattr(topics, alias.name) for alias in node.names}
    return {topic.name for topic in TOPICS} & {name for name in found if isinstance(name, str)}


def of_party(party: str) -> set[str]:
    assert party in PARTIES
    return {topic.name for topic in TOPICS if party in (*topic.senders, *topic.receivers)}


def test_parties_have_the_topics_that_their_code_names():
    # a load takes any topic, and is no party to any
    assert of_party("producer") == named_in("producers/**/*.py", but_not="producers/load")
    assert of_party("stream") == named_in("streams/**/*.py")
    assert of_party("serve") == set(exporter.TOPICS) | named_in("services/page/*.py")
    assert of_party("operator") == {INTERVENTIONS}
    assert of_party("verify") == named_in("services/verify.py", "services/faults.py")
    assert STATE_CHANGELOG in of_party("stream")
