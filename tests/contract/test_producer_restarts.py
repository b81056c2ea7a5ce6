"""Producers that are killed and started again: the run goes on where it was, without a gap and without a repeat."""

from __future__ import annotations

import asyncio
import json
import random
from collections import defaultdict
from typing import Any

import msgspec
import pytest

from producers.idempotence import keeps_sequences
from schemas.events import decode_payment
from schemas.topics import LEDGER, PAYMENTS, QR_CODES, TRUTH
from tests.contract.systems import FirstRun, records_of
from tests.system import System, finished, usually_on

pytestmark = pytest.mark.broker
SEED = 57
KILLS = 3

Records = dict[str, list[Any]]
Paid = tuple[str, int]
"""Source and sequence."""


def test_a_run_whose_producer_was_killed_is_as_one_that_went_through(system: System, ran: FirstRun) -> None:
    arguments = (*ran.arguments[1:-2], "--rate", "12000")
    producer = system.produce("restarted", *arguments)
    chance = random.Random(SEED)
    for _ in range(KILLS):
        goal = chance.randrange(1, 6000)
        system.until(lambda goal=goal: system.acked() > goal, [producer])
        producer.kill()
        producer.restart()
    last = finished(producer)
    assert "resumes run restarted on 2025-11-" in producer.log_end()
    assert last["produced"] == last["acked"] == ran.acked > last["behind"] > 0
    verdict = system.verify("restarted")
    assert verdict["exact"], verdict["mismatches"][:5]
    for measure in ("payments", "amount_vnd", "reversed_vnd", "duplicates", "faults", "cells"):
        assert verdict[measure] == ran.verdict[measure], measure
    records = asyncio.run(records_of(system.servers))
    assert sent(records, "restarted") == sent(ran.records, ran.name)
    for topic in (QR_CODES, TRUTH):
        assert keys(records[topic], "restarted") == keys(ran.records[topic], ran.name)
    assert newest_entries(records, "restarted") == newest_entries(ran.records, ran.name)


def sent(records: Records, run: str) -> dict[int, list[Paid | None]]:
    """Return what was paid, in order within each partition; None for a spoiled copy."""
    found: dict[int, list[Paid | None]] = defaultdict(list)
    for record in records[PAYMENTS]:
        if f'"run":"{run}"'.encode() in record.value:
            found[record.partition].append(paid(record.value))
    return found


def paid(value: bytes) -> Paid | None:
    try:
        payment = decode_payment(value)
    except msgspec.DecodeError:
        return None
    return payment.source, payment.sequence


def keys(records: list[Any], run: str) -> set[bytes]:
    """Return the keys of a run's records, without what only its name decides."""
    mine = [(record.key, json.loads(record.value)) for record in records]
    return {f"{one['source']}|{key.rsplit(b'-', 1)[-1].decode()}".encode() for key, one in mine if one["run"] == run}


def newest_entries(records: Records, run: str) -> dict[bytes, Any]:
    """Return the last of each of a run's ledger entries, by the rest of its key."""
    begin = f"{run}|".encode()
    return {
        record.key.removeprefix(begin): {**json.loads(record.value), "run": ""}
        for record in records[LEDGER]
        if record.key.startswith(begin) and b"|checkpoint|" not in record.key
    }


def test_a_finished_run_started_again_sends_nothing(system: System, ran: FirstRun) -> None:
    again = system.quetma("produce", *ran.arguments, "--json")
    assert again.returncode == 0, again.stderr
    assert f"run {ran.name} is complete: {ran.acked:,} payments are there, nothing is sent" in again.stderr
    summary = json.loads(again.stdout)
    assert summary["produced"] == summary["acked"] == summary["behind"] == ran.acked
    assert summary["events_per_second"] == 0


@usually_on("embedded")
@pytest.mark.parametrize(
    ("more", "found"),
    [
        (("--seed", "7"), "was begun with seed 57, now 7"),
        (("--shard", "3/9"), "is cut into 10 shards, not as --shard 3/9 says"),
    ],
)
def test_another_run_of_the_same_name_is_refused(
    system: System, ran: FirstRun, more: tuple[str, str], found: str
) -> None:
    done = system.quetma("produce", *ran.arguments, "--run", ran.name, *more)
    assert done.returncode == 2
    assert found in done.stderr
    assert "another --run" in done.stderr


def test_apache_kafka_keeps_sequences_and_the_embedded_broker_does_not(broker_kind: str, system: System) -> None:
    assert asyncio.run(keeps_sequences(system.servers)) == (broker_kind == "kafka")
