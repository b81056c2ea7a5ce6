"""What is on the topics, held against what `quetma schema` prints: values, keys, headers; all faults included."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from schemas.contracts import values_of
from schemas.topics import ALERTS, DEAD_LETTERS, PAYMENTS, STATE_CHANGELOG, TOPICS, Topic
from schemas.types import Contract
from services.topic_reader import read_all
from tests.contract.systems import FirstRun
from tests.system import System, usually_on

pytestmark = [pytest.mark.broker, usually_on("embedded")]  # that both brokers have the same is tested elsewhere

RUN = "schemas"
MOST = 2000
"""Records of a topic and run that are looked at."""
SPOILT = """\
extends = "an-giang"
name = "spoilt"

[stream_faults]
malformed_rate = { value = 0.01, source = "assumed" }

[[intervention]]
id = "swapped-from-the-start"
kind = "fraud_wave"
start = 2025-11-17
end = 2025-11-25
stalls = { value = 0.1, source = "assumed" }
source = "assumed"
"""
Records = dict[str, dict[str, list[Any]]]
"""By topic and run; the state of the workers, which is that of all runs, under no run's name."""


class Printed:
    """What `quetma schema` prints of the topics."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.document = self._json("--asyncapi")

    def value(self, topic: str) -> Draft202012Validator:
        """What validates the values of a topic."""
        return Draft202012Validator(self._json(topic))

    def messages(self, topic: str) -> dict[str, Any]:
        """A topic's messages in the AsyncAPI document, by name."""
        messages: dict[str, Any] = self.document["channels"][topic]["messages"]
        return messages

    def within(self, schema: Any) -> Draft7Validator:
        """What validates by a schema of the AsyncAPI document, whose schemas are those of draft 7."""
        return Draft7Validator({"allOf": [schema], "components": self.document["components"]})

    def _json(self, *arguments: str) -> Any:
        done = self._system.quetma("schema", *arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


class Seen:
    """The printed schemas, and records of two runs: one without CloudEvents headers, one with them."""

    def __init__(self, system: System, plain: str) -> None:
        self.plain = plain
        self.printed = Printed(system)
        self.records = asyncio.run(by_topic(system.servers, (plain, RUN)))

    def of(self, topic: str) -> list[Any]:
        return [record for listed in self.records[topic].values() for record in listed]

    @cached_property
    def unreadable(self) -> set[str]:
        """Payments that their schema refuses: topic-partition-offset."""
        schema = self.printed.value(PAYMENTS)
        return {place_of(record) for record in self.of(PAYMENTS) if not schema.is_valid(document_of(record))}

    def documents(self, topic: Topic) -> Iterator[tuple[Any, Any]]:
        """Records of a topic, and their values; without spoiled copies of payments."""
        for record in self.of(topic.name):
            if place_of(record) not in self.unreadable:
                yield record, document_of(record)


async def by_topic(servers: str, runs: Collection[str]) -> Records:
    records: Records = {topic.name: defaultdict(list) for topic in TOPICS}
    async for record in read_all(servers, records):
        run = run_of(record, runs)
        if run is not None and (record.topic == DEAD_LETTERS or len(records[record.topic][run]) < MOST):
            records[record.topic][run].append(record)
    return records


def run_of(record: Any, runs: Collection[str]) -> str | None:
    if record.topic == STATE_CHANGELOG:
        return ""
    if record.topic in {PAYMENTS, DEAD_LETTERS}:  # their keys name no run
        return next((run for run in runs if f'"run":"{run}"'.encode() in record.value), None)
    named = record.key.decode().partition("|")[0]
    return named if named in runs else None


def document_of(record: Any) -> Any:
    """The record's value; None, as no value is, where it is not JSON."""
    try:
        return json.loads(record.value)
    except ValueError:
        return None


def place_of(record: Any) -> str:
    return f"{record.topic}-{record.partition}-{record.offset}"


def required(schema: type[Contract]) -> set[str]:
    return {name for name, field in schema.model_fields.items() if field.is_required()}


def keys_of(topic: Topic, document: dict[str, Any]) -> set[str]:
    """The keys that a record may have by the table, which names fields of its value, and words."""
    alternatives = [
        [[str(document[part])] if part in document else part.split("/") for part in key.split("|")]
        for key in topic.key.split(" or ")
    ]
    return {"|".join(parts) for choices in alternatives for parts in product(*choices)}


@pytest.fixture
def seen(system: System, ran: FirstRun, tmp_path: Path, made: dict[System, Seen]) -> Seen:
    """What two runs have left on the topics of the shared system."""
    if system not in made:
        made[system] = Seen(produced(system, tmp_path), ran.name)
    return made[system]


@pytest.fixture(scope="module")
def made() -> dict[System, Seen]:
    """By system."""
    return {}


def produced(system: System, folder: Path) -> System:
    """The system, after a run with CloudEvents, swapped codes, spoiled copies and orders."""
    path = folder / "spoilt.toml"
    path.write_text(SPOILT, encoding="utf-8")
    arguments = ("produce", str(path), "--run", RUN, "--shard", "3/10", "--speed", "max")
    orders = (("interventions", "pace", RUN, "--speed", "max"), ("interventions", "send", RUN, "--kind", "outage"))
    for words in ((*arguments, "--days", "1"), *orders, (*arguments, "--days", "2")):
        done = system.quetma(*words, QUETMA_PRODUCER__HEADERS="true")
        assert done.returncode == 0, done.stderr
    assert system.quetma_verify("--run", RUN, "--wait", "15s")["exact"]
    return system


@pytest.mark.parametrize("topic", [topic for topic in TOPICS if values_of(topic)], ids=lambda topic: topic.name)
def test_each_record_is_one_of_its_topics_messages_by_value_and_key(seen: Seen, topic: Topic) -> None:
    value, found = seen.printed.value(topic.name), Counter[str]()
    kinds = {
        name: (seen.printed.within(message["payload"]), Draft7Validator(message["bindings"]["kafka"]["key"]))
        for name, message in seen.printed.messages(topic.name).items()
    }
    for record, document in seen.documents(topic):
        assert [error.message for error in value.iter_errors(document)] == []
        (name,) = [name for name, (payload, _) in kinds.items() if payload.is_valid(document)]
        key = record.key.decode()
        assert kinds[name][1].is_valid(key), key
        assert key in keys_of(topic, document)
        found[name] += 1
    assert set(found) == set(kinds)


def test_payments_that_the_schema_refuses_are_the_dead_letters(seen: Seen) -> None:
    letters = {record.key.decode() for record in seen.of(DEAD_LETTERS)}
    assert seen.unreadable
    assert seen.unreadable == letters & {place_of(record) for record in seen.of(PAYMENTS)}


@pytest.mark.parametrize("name", [topic.name for topic in TOPICS if not values_of(topic)])
def test_keys_of_what_has_no_schema(seen: Seen, name: str) -> None:
    (message,) = seen.printed.messages(name).values()
    key = Draft7Validator(message["bindings"]["kafka"]["key"])
    keys = [record.key.decode() for record in seen.of(name)]
    assert keys
    assert [key_ for key_ in keys if not key.is_valid(key_)] == []


@pytest.mark.parametrize("name", [topic.name for topic in TOPICS])
def test_headers_are_those_of_the_message(seen: Seen, name: str) -> None:
    headers = [{key: value.decode() for key, value in record.headers} for record in seen.of(name)]
    assert headers
    for message in seen.printed.messages(name).values():
        if "headers" not in message:
            assert not any(headers)
        else:
            validator = seen.printed.within(message["headers"])
            assert [one for one in headers if not validator.is_valid(one)] == []
            assert not validator.is_valid(headers[0] | {"more": "1"})


def test_cloud_events_headers_are_all_there_or_none(seen: Seen) -> None:
    cloud_event = seen.printed.within({"$ref": "#/components/schemas/CloudEventHeaders"})
    probed = 0
    for run, records in seen.records[PAYMENTS].items():
        for record in records:
            headers = {key: value.decode() for key, value in record.headers}
            probed += "sent_at" in headers
            assert cloud_event.is_valid(headers) is (run == RUN)
            assert run == RUN or set(headers) <= {"sent_at"}
            if run == RUN and (document := document_of(record)):
                assert headers["ce_id"] == document["payment_id"]
    assert probed


@pytest.mark.parametrize("topic", [topic for topic in TOPICS if values_of(topic)], ids=lambda topic: topic.name)
def test_a_spoiled_record_is_refused(seen: Seen, topic: Topic) -> None:
    """Whichever field is unknown, of another type, or missing, though all records of the topic have it."""
    value = seen.printed.value(topic.name)
    _, document = next(seen.documents(topic))
    needed = set.intersection(*map(required, values_of(topic)))
    assert len(needed) > 1
    assert value.is_valid(document)
    assert not value.is_valid(document | {"unknown": 1})
    for name in document:
        assert not value.is_valid(document | {name: [[]]}), name
    for name in needed:
        assert not value.is_valid({field: one for field, one in document.items() if field != name}), name


def test_alerts_are_among_the_records(seen: Seen) -> None:
    assert seen.records[ALERTS][RUN]
