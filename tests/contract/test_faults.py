"""What happens when things go wrong: nothing acknowledged is lost, nothing counts twice, and it is said."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from producers.encoding import partition_of
from schemas.events import DeadLetterReason, Payment
from schemas.topics import DEAD_LETTERS, PAYMENTS
from services.supervisor import Child
from services.topic_reader import read_all
from tests.kafka.server import ApacheKafka
from tests.system import System, run_quetma
from tests.tools import require_tool

pytestmark = pytest.mark.broker
on_embedded = pytest.mark.parametrize("system", ["embedded"], indirect=True)
on_kafka = pytest.mark.parametrize("system", ["kafka"], indirect=True)
"""What does not depend on the broker runs on one, to save minutes: the quicker, or the one with quick rebalances."""

FREE_PORTS = {
    "QUETMA_SERVE__PORT": "0",
    "QUETMA_STREAM__METRICS_PORT": "0",
    "QUETMA_PRODUCER__METRICS_PORT": "0",
}
SHARD = ("--shard", "3/10")


def finished(producer: Child) -> dict[str, Any]:
    """Wait for a producer's end and return its summary."""
    assert asyncio.run(producer.stopped(60.0)) == 0, producer.log_end()
    document: dict[str, Any] = json.loads(producer.output().splitlines()[-1])
    return document


def test_killed_worker_goes_on_exactly(system: System) -> None:
    worker, _ = system.ready()
    producer = system.start("produce", "produce", "an-giang", "--rate", "5000", "--for", "10s", "--json")
    for _ in range(2):
        seen = system.metrics("stream").total("quetma_processed_records_total")
        system.until(lambda seen=seen: system.metrics("stream").total("quetma_processed_records_total") > seen + 3000)
        worker.kill()
        worker.restart()
        system.until(lambda: system.metrics("stream").total("quetma_recovery_seconds") > 0, [worker])
    summary = finished(producer)
    verdict = system.verify()
    assert verdict["exact"], verdict["mismatches"][:5]
    assert verdict["payments"]["aggregates"] == summary["acked"] > 40_000
    assert system.metrics("stream").total("quetma_processed_records_total") == summary["acked"]
    system.until(lambda: system.metrics("serve").total("quetma_payments_total") == summary["acked"])


@on_kafka
def test_second_worker_takes_over_from_the_first(system: System) -> None:
    first, _ = system.ready()
    producer = system.start("produce", "produce", "an-giang", "--rate", "4000", "--for", "12s", "--json")
    system.until(lambda: system.metrics("stream").total("quetma_processed_records_total") > 5000)
    system.start("stream-2", "stream")
    system.until(lambda: system.metrics("stream-2").total("quetma_processed_records_total") > 1000)
    first.ask_to_stop()
    assert asyncio.run(first.stopped()) == 0, first.log_end()
    summary = finished(producer)
    verdict = system.verify()
    assert verdict["exact"], verdict["mismatches"][:5]
    assert verdict["payments"]["aggregates"] == summary["acked"]


@on_embedded
def test_worker_paused_beyond_its_session_starts_anew_and_stays_exact(system: System) -> None:
    worker, _ = system.ready()
    time.sleep(5)  # a worker that crashes in its first 10 s is not started anew
    producer = system.start("produce", "produce", "an-giang", "--rate", "3000", "--for", "16s", "--json")
    system.until(lambda: system.metrics("stream").total("quetma_processed_records_total") > 5000)
    worker.send(signal.SIGSTOP)
    time.sleep(8)
    worker.send(signal.SIGCONT)
    summary = finished(producer)
    verdict = system.verify(wait="30s")
    assert verdict["exact"], verdict["mismatches"][:5]
    assert verdict["payments"]["aggregates"] == summary["acked"]
    assert "starts anew" in worker.log_end(100_000)
    assert worker.exit_code is None


@on_embedded
def test_same_run_again_is_duplicates_and_still_exact(system: System) -> None:
    system.ready()
    arguments = ("produce", "an-giang", "--days", "1", *SHARD, "--speed", "max", "--json")
    first = json.loads(system.quetma(*arguments).stdout)
    assert system.verify()["exact"]
    second = json.loads(system.quetma(*arguments).stdout)
    assert first["acked"] == second["acked"]
    system.until(lambda: system.metrics("stream").total("quetma_dropped_duplicates_total") == second["acked"])
    verdict = system.verify()
    assert verdict["exact"]
    assert verdict["duplicates"] == second["acked"]
    assert verdict["payments"]["aggregates"] == first["acked"]


def good_payment(system: System) -> dict[str, Any]:
    async def first() -> dict[str, Any]:
        async for record in read_all(system.servers, [PAYMENTS]):
            document: dict[str, Any] = json.loads(record.value)
            return document
        raise AssertionError("no payment")

    return asyncio.run(first())


def test_bad_records_are_set_aside_with_their_reason(system: System) -> None:
    worker, _ = system.ready()
    produced = json.loads(system.quetma("produce", "--days", "1", *SHARD, "--speed", "max", "--json").stdout)
    good = good_payment(system)
    home = partition_of(good["commune"].encode(), 4)
    elsewhere = json.dumps({**good, "sequence": 10**6}).encode()
    bad = {
        b"not json": DeadLetterReason.MALFORMED,
        b"\xff\xfe": DeadLetterReason.MALFORMED,
        json.dumps({**good, "extra": 1}).encode(): DeadLetterReason.MALFORMED,
        json.dumps({**good, "method": "barter"}).encode(): DeadLetterReason.MALFORMED,
        json.dumps({**good, "schema_version": 2}).encode(): DeadLetterReason.VERSION,
        json.dumps({**good, "amount_vnd": 0}).encode(): DeadLetterReason.AMOUNT,
        json.dumps({**good, "amount_vnd": 10**13}).encode(): DeadLetterReason.AMOUNT,
        json.dumps({**good, "occurred_at": 12}).encode(): DeadLetterReason.TIME,
        json.dumps({**good, "cell": "atlantis"}).encode(): DeadLetterReason.UNKNOWN_CELL,
        json.dumps({**good, "run": "never-announced"}).encode(): DeadLetterReason.UNKNOWN_CELL,
        json.dumps({**good, "commune": "an-minh"}).encode(): DeadLetterReason.UNKNOWN_CELL,
        elsewhere: DeadLetterReason.MISROUTED,
    }
    last = len(bad) - 1

    async def send() -> None:
        async with AIOKafkaProducer(bootstrap_servers=system.servers) as producer:
            for number, value in enumerate(bad):
                await producer.send_and_wait(PAYMENTS, value, key=b"k", partition=(home + (number == last)) % 4)

    asyncio.run(send())
    system.until(lambda: system.metrics("stream").total("quetma_dead_letters_total") == len(bad), [worker])
    time.sleep(1)

    async def letters() -> list[Any]:
        return [record async for record in read_all(system.servers, [DEAD_LETTERS])]

    found = asyncio.run(letters())
    assert {record.value: dict(record.headers)["reason"].decode() for record in found} == bad
    assert len({record.key for record in found}) == len(bad)
    assert all(record.key.startswith(b"quetma.payments-") and dict(record.headers)["detail"] for record in found)
    by_reason: Counter[str] = Counter()
    for labels, count in system.metrics("stream").series("quetma_dead_letters_total"):
        by_reason[labels["reason"]] += int(count)
    assert by_reason == {"malformed": 4, "version": 1, "amount": 2, "time": 1, "unknown_cell": 3, "misrouted": 1}
    told: Counter[str] = Counter()
    for labels, count in system.metrics("serve").series("quetma_dead_letter_records_total"):
        told[labels["reason"]] += int(count)
    assert told == by_reason
    verdict = system.verify()
    assert verdict["exact"]
    assert verdict["payments"]["aggregates"] == produced["acked"]
    assert worker.exit_code is None


@on_embedded
def test_a_difference_is_found_and_named(system: System) -> None:
    system.ready()
    assert system.quetma("produce", "--days", "1", *SHARD, "--speed", "max").returncode == 0
    assert system.verify()["exact"]
    good = Payment.model_validate(good_payment(system))
    stranger = good.model_copy(update={"sequence": 10**6, "payment_id": "x", "amount_vnd": 1000, "method": "cash"})

    async def send() -> None:
        async with AIOKafkaProducer(bootstrap_servers=system.servers) as producer:
            value = stranger.model_dump_json(exclude_none=True).encode()
            await producer.send_and_wait(PAYMENTS, value, key=stranger.commune.encode())

    asyncio.run(send())
    system.until(lambda: not system.verify(wait="1s")["exact"])
    wrong = system.verify(wait="1s")
    assert {one["measure"] for one in wrong["mismatches"]} >= {"amount_vnd"}
    assert all(good.cell in one["cell"] or good.commune in one["cell"] for one in wrong["mismatches"])
    told = system.quetma("verify")
    assert told.returncode == 1
    assert "NOT exact" in told.stdout


@on_embedded
def test_producer_told_to_stop_leaves_its_books_in_order(system: System) -> None:
    system.ready()
    producer = system.start("produce", "produce", "an-giang", "--rate", "3000", "--json")
    system.until(lambda: system.metrics("produce").total("quetma_acked_payments_total") > 5000, [producer])
    producer.ask_to_stop()
    summary = finished(producer)
    assert summary["produced"] == summary["acked"] > 5000
    verdict = system.verify()
    assert verdict["exact"]
    assert verdict["payments"]["ledger"] == summary["acked"]


def test_broker_away_in_the_middle_loses_nothing(tmp_path: Path) -> None:
    # Apache Kafka alone: what the embedded broker has in memory is gone with it.
    require_tool("java", "mvn")
    with ApacheKafka(tmp_path) as kafka, System(kafka.bootstrap_servers, tmp_path) as system:
        worker, serve = system.ready()
        producer = system.start("produce", "produce", "an-giang", "--rate", "3000", "--for", "20s", "--json")
        system.until(lambda: system.metrics("stream").total("quetma_processed_records_total") > 5000)
        kafka.kill()
        time.sleep(6)
        asyncio.run(kafka.start())
        summary = finished(producer)
        assert "payments wait, none is lost" in producer.log_end()
        verdict = system.verify(wait="40s")
        assert verdict["exact"], verdict["mismatches"][:5]
        assert verdict["payments"]["ledger"] == summary["acked"] > 15_000
        assert (worker.exit_code, serve.exit_code) == (None, None)
        system.until(lambda: system.metrics("serve").total("quetma_payments_total") == summary["acked"])


@pytest.mark.parametrize("command", ["produce", "stream", "serve", "verify", "demo"])
def test_broker_away_at_start_is_said_within_seconds(command: str) -> None:
    begun = time.monotonic()
    done = run_quetma(command, "--broker", "127.0.0.1:9")
    assert done.returncode == 3
    assert "127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr
    assert time.monotonic() - begun < 15


def test_no_broker_at_all_is_said() -> None:
    done = run_quetma("produce")
    assert done.returncode == 3
    assert "--broker" in done.stderr


def children_of(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in listed.stdout.split()]


def start_demo(tmp_path: Path) -> Child:
    return Child("demo", ["demo", "--json"], FREE_PORTS, tmp_path)


def wait_for_children(demo: Child, count: int) -> list[int]:
    deadline = time.monotonic() + 40
    while len(children_of(demo.pid)) < count:
        assert demo.exit_code is None, demo.log_end()
        assert time.monotonic() < deadline, demo.log_end()
        time.sleep(0.2)
    return children_of(demo.pid)


def test_demo_interrupted_ends_in_order_and_exact(tmp_path: Path) -> None:
    demo = start_demo(tmp_path)
    children = wait_for_children(demo, 4)  # broker, stream, serve, produce
    time.sleep(4)
    demo.send(signal.SIGINT)
    assert asyncio.run(demo.stopped(60.0)) == 0, demo.log_end()
    document = json.loads(demo.output())
    assert document["exact"] is True
    assert document["acked"] == document["processed"] == document["exported"] > 0
    expected = "scenario seed produced acked processed duplicates dead_letters late exported exact mismatches"
    assert list(document) == [*expected.split(), "events_per_second", "latency_ms"]
    assert set(document["latency_ms"]) == {"p50", "p95", "p99"}
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)


def test_demo_brings_back_a_killed_worker_and_stays_exact(tmp_path: Path) -> None:
    demo = start_demo(tmp_path)
    _, stream, *_ = wait_for_children(demo, 4)
    time.sleep(4)
    assert b"stream" in Path(f"/proc/{stream}/cmdline").read_bytes()
    subprocess.run(["kill", "-9", str(stream)], check=True)
    time.sleep(5)
    demo.send(signal.SIGINT)
    assert asyncio.run(demo.stopped(60.0)) == 0, demo.log_end()
    assert json.loads(demo.output())["exact"] is True


def test_demo_killed_takes_all_its_processes_with_it(tmp_path: Path) -> None:
    demo = start_demo(tmp_path)
    children = wait_for_children(demo, 4)
    demo.kill()
    deadline = time.monotonic() + 5
    while any(Path(f"/proc/{pid}").exists() for pid in children):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_demo_on_a_cluster_of_ones_own_is_exact_and_so_is_the_next_one(tmp_path: Path) -> None:
    require_tool("java", "mvn")
    with ApacheKafka(tmp_path) as kafka:
        for _ in range(2):
            done = run_quetma("demo", "--broker", kafka.bootstrap_servers, "--for", "5s", "--json", **FREE_PORTS)
            assert done.returncode == 0, done.stderr
            document = json.loads(done.stdout)
            assert document["exact"] is True
            assert document["acked"] == document["processed"] == document["exported"] > 0
            assert document["duplicates"] == 0


@on_kafka
def test_simulated_time_far_ahead_of_the_clock_is_taken(system: System) -> None:
    # Kafka 4 refuses by default what is more than an hour ahead; our topics say otherwise.
    system.ready()
    text = Path("producers/scenarios/an-giang.toml").read_text(encoding="utf-8")
    scenario = system.folder / "ahead.toml"
    scenario.write_text(text.replace("start = 2025-11-17", "start = 2090-01-01"), encoding="utf-8")
    produced = json.loads(
        system.quetma("produce", str(scenario), "--days", "1", *SHARD, "--speed", "max", "--json").stdout
    )
    verdict = system.verify()
    assert verdict["exact"]
    assert verdict["payments"]["aggregates"] == produced["acked"] > 10_000
