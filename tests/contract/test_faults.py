"""What happens when things go wrong: nothing acknowledged is lost, nothing counts twice, and it is said."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from producers.encoding import partition_of
from schemas.events import DeadLetterReason, Payment
from schemas.settings import load_settings
from schemas.topics import DEAD_LETTERS, PAYMENTS, STREAM_GROUP
from services.broker import EmbeddedBroker
from services.scrape import Samples
from services.topic_reader import read_all
from services.worker_end import CRASH_LOOP_SECONDS
from streams.offsets import end_offsets
from tests.contract.systems import FirstRun
from tests.kafka.server import ApacheKafka
from tests.system import ON_BOTH, SESSION_SECONDS, System, finished, on, records_of, run_quetma, usually_on
from tests.tools import require_tool

pytestmark = pytest.mark.broker
STORES = [("embedded", "memory"), ("kafka", "memory"), ("kafka", "rocksdb")]
"""What a killed worker is tried with: broker and store."""
usually_on_embedded, usually_on_kafka = usually_on("embedded"), usually_on("kafka")
any_store = pytest.mark.parametrize("store", ["memory", "rocksdb"])

SHARD = ("--days", "1", "--shard", "3/10", "--speed", "max")
QUARTER = ("--shard", "3/4")
"""Of the province: a day of all of it takes seconds to simulate."""


@pytest.mark.parametrize(
    ("broker_kind", "store"), [*STORES, *([("embedded", "rocksdb")] if ON_BOTH else [])], indirect=["broker_kind"]
)
def test_killed_worker_goes_on_exactly(system: System, store: str) -> None:
    seen = before = system.processed()
    run = f"killed-{store}"
    producer = system.produce(run, "--rate", "10000")
    for _ in range(2):
        system.until(lambda seen=seen: system.processed() > seen + 3000)
        seen = system.processed()
        system.worker.kill()
        system.worker.restart()
        system.until(system.recovered, [system.worker])
    system.until(lambda: system.acked() > 40_000, [producer])
    producer.ask_to_stop()
    summary = finished(producer)
    verdict = system.verify(run)
    assert verdict["exact"], verdict["mismatches"][:5]
    assert verdict["payments"]["aggregates"] == summary["acked"] > 40_000
    assert system.processed() == before + records_of(verdict) > before + summary["acked"]
    system.until(lambda: system.metrics("serve").total("quetma_payments_total") == summary["acked"])


@usually_on_kafka
@any_store
def test_second_worker_takes_over_from_the_first(system: System, store: str) -> None:
    run = f"two-workers-{store}"
    first, before = system.worker, system.processed()
    producer = system.produce(run, "--rate", "4000", *QUARTER)
    system.until(lambda: system.processed() > before + 5000)
    second = system.start("stream-2", "stream")
    system.until(lambda: system.processed("stream-2") > 0, [second])
    taken_over = system.processed("stream-2")
    system.until(lambda: system.processed("stream-2") > taken_over + 1000, [second])
    by_both = system.processed() + system.processed("stream-2")
    first.ask_to_stop()
    assert asyncio.run(first.stopped()) == 0, first.log_end()
    system.until(lambda: system.processed("stream-2") > by_both + 1000, [second])
    producer.ask_to_stop()
    summary = finished(producer)
    verdict = system.verify(run)
    assert verdict["exact"], verdict["mismatches"][:5]
    assert verdict["payments"]["aggregates"] == summary["acked"]
    system.go_on_with(second)


@usually_on_embedded
def test_all_records_of_a_run_again_are_duplicates_and_it_is_still_exact(system: System, ran: FirstRun) -> None:
    before = system.metrics("stream").total("quetma_dropped_duplicates_total")
    records = ran.records[PAYMENTS]

    async def send() -> None:
        async with AIOKafkaProducer(bootstrap_servers=system.servers) as producer:
            for one in records:
                await producer.send(PAYMENTS, one.value, one.key, one.partition, one.timestamp)

    asyncio.run(send())
    dropped = ran.acked + ran.duplicates
    system.until(
        lambda: system.metrics("stream").total("quetma_dropped_duplicates_total") == before + dropped,
        [system.worker],
    )
    system.until(lambda: system.verify(ran.name)["duplicates"] >= ran.duplicates + dropped, [system.worker])
    verdict = system.verify(ran.name)
    assert verdict["exact"]
    assert verdict["faults"]["duplicates"] == {"ledger": ran.duplicates, "stream": ran.duplicates + dropped}
    assert verdict["faults"]["malformed"] == {"ledger": ran.malformed, "stream": 2 * ran.malformed}
    assert verdict["payments"]["aggregates"] == ran.acked


def good_payment(system: System, run: str) -> dict[str, Any]:
    """Return a settled payment of a run."""

    async def first() -> dict[str, Any]:
        async for record in read_all(system.servers, [PAYMENTS]):
            if f'"run":"{run}"'.encode() in record.value and b'"status":"settled"' in record.value:
                document: dict[str, Any] = json.loads(record.value)
                return document
        raise AssertionError("no payment")

    return asyncio.run(first())


def by_reason(samples: Samples, name: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for labels, count in samples.series(name):
        counts[labels["reason"]] += int(count)
    return counts


def test_bad_records_are_set_aside_with_their_reason(system: System, ran: FirstRun) -> None:
    async def letters() -> list[Any]:
        return [record async for record in read_all(system.servers, [DEAD_LETTERS])]

    set_aside = {record.key for record in asyncio.run(letters())}
    counted = by_reason(system.metrics("stream"), "quetma_dead_letters_total")
    told = by_reason(system.metrics("serve"), "quetma_dead_letter_records_total")
    good = good_payment(system, ran.name)
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
    goal = counted.total() + len(bad)
    system.until(lambda: system.metrics("stream").total("quetma_dead_letters_total") == goal, [system.worker])
    time.sleep(1)
    found = [record for record in asyncio.run(letters()) if record.key not in set_aside]
    assert {record.value: dict(record.headers)["reason"].decode() for record in found} == bad
    assert len({record.key for record in found}) == len(bad)
    assert all(record.key.startswith(b"quetma.payments-") and dict(record.headers)["detail"] for record in found)
    reasons = {"malformed": 4, "version": 1, "amount": 2, "time": 1, "unknown_cell": 3, "misrouted": 1}
    assert by_reason(system.metrics("stream"), "quetma_dead_letters_total") - counted == reasons
    assert by_reason(system.metrics("serve"), "quetma_dead_letter_records_total") - told == reasons
    verdict = system.verify(ran.name)
    assert verdict["exact"]
    assert verdict["payments"]["aggregates"] == ran.acked
    assert system.worker.exit_code is None


@usually_on_embedded
def test_a_difference_is_found_and_named(system: System) -> None:
    assert system.quetma("produce", "--run", "differs", *SHARD).returncode == 0
    assert system.verify("differs")["exact"]
    good = Payment.model_validate(good_payment(system, "differs"))
    stranger = good.model_copy(update={"sequence": 10**6, "payment_id": "x", "amount_vnd": 1000, "method": "cash"})

    async def send() -> None:
        async with AIOKafkaProducer(bootstrap_servers=system.servers) as producer:
            value = stranger.model_dump_json(exclude_none=True).encode()
            await producer.send_and_wait(PAYMENTS, value, key=stranger.commune.encode())

    asyncio.run(send())
    system.until(lambda: not system.verify("differs", wait_seconds=0)["exact"])
    wrong = system.quetma_verify("--wait", "1s")  # of the run that started last
    assert wrong["run"] == "differs"
    assert {one["measure"] for one in wrong["mismatches"]} >= {"amount_vnd"}
    assert all(good.cell in one["cell"] or good.commune in one["cell"] for one in wrong["mismatches"])
    told = system.quetma("verify")
    assert told.returncode == 1
    assert "NOT exact" in told.stdout


@usually_on_embedded
def test_producer_told_to_stop_leaves_its_books_in_order(system: System) -> None:
    producer = system.produce("stopped", "--rate", "3000", *QUARTER)
    system.until(lambda: system.acked() > 5000, [producer])
    producer.ask_to_stop()
    summary = finished(producer)
    assert summary["produced"] == summary["acked"] > 5000
    verdict = system.verify("stopped")
    assert verdict["exact"]
    assert verdict["payments"]["ledger"] == summary["acked"]


@usually_on_embedded
@any_store
def test_worker_paused_beyond_its_session_starts_anew_and_stays_exact(system: System, store: str) -> None:
    run = f"paused-{store}"
    worker, before = system.worker, system.processed()
    crashes = worker.log_end(1_000_000).count("has crashed and starts anew")
    producer = system.produce(run, "--rate", "6000", *QUARTER)
    system.until(lambda: system.processed() > before + 5000, [worker])
    # A worker that crashes in its first 10 s is not started anew.
    time.sleep(max(0.0, psutil.Process(worker.pid).create_time() + CRASH_LOOP_SECONDS - time.time()))
    seen = system.processed()
    worker.send(signal.SIGSTOP)
    time.sleep(SESSION_SECONDS + 1.5)
    worker.send(signal.SIGCONT)
    system.until(lambda: worker.log_end(1_000_000).count("has crashed and starts anew") > crashes, [worker])
    system.until(lambda: system.processed() > seen + 1000, [worker])
    system.until(lambda: system.acked() > 15_000, [producer])
    producer.ask_to_stop()
    summary = finished(producer)
    verdict = system.verify(run, wait_seconds=30)
    assert verdict["exact"], verdict["mismatches"][:5]
    assert verdict["payments"]["aggregates"] == summary["acked"] > 15_000
    assert worker.exit_code is None


@usually_on_kafka
def test_simulated_time_far_ahead_of_the_clock_is_taken(system: System) -> None:
    # Kafka 4 refuses by default what is more than an hour ahead; our topics say otherwise.
    scenario = system.folder / "ahead.toml"
    scenario.write_text('extends = "an-giang"\nname = "ahead"\nstart = 2090-01-01\n', encoding="utf-8")
    done = system.quetma("produce", str(scenario), "--run", "ahead", *SHARD, "--json")
    assert done.returncode == 0, done.stderr
    produced = json.loads(done.stdout)
    verdict = system.verify("ahead")
    assert verdict["exact"]
    assert verdict["payments"]["aggregates"] == produced["acked"] > 10_000


async def pay_in_a_transaction(servers: str, record: Any) -> None:
    """Send a record again, in a transaction of its own: a marker without a record follows it."""
    async with (
        AIOKafkaProducer(bootstrap_servers=servers, transactional_id="gaps") as producer,
        producer.transaction(),
    ):
        await producer.send(PAYMENTS, record.value, record.key, record.partition)


@on("kafka")  # the embedded broker has no transactions
def test_numbers_without_a_record_are_no_hole(system: System, ran: FirstRun) -> None:
    crashes = system.worker.log_end(1_000_000).count("Crashed")
    for _ in range(3):
        seen = system.processed()
        asyncio.run(pay_in_a_transaction(system.servers, ran.records[PAYMENTS][0]))
        system.until(lambda seen=seen: system.processed() == seen + 1, [system.worker])
    assert system.worker.log_end(1_000_000).count("Crashed") == crashes
    assert system.verify(ran.name)["exact"]


async def commit_all(servers: str) -> None:
    """Commit the end of every partition for the workers' group."""
    places = [TopicPartition(PAYMENTS, number) for number in range(load_settings().kafka.partitions)]
    ends = await end_offsets(servers, places)
    async with AIOKafkaConsumer(bootstrap_servers=servers, group_id=STREAM_GROUP, enable_auto_commit=False) as consumer:
        consumer.assign(places)
        await consumer.commit(ends)


def test_a_group_without_state_reads_all_again_whatever_it_has_committed(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path) as broker, System(broker.bootstrap_servers, tmp_path) as system:
        assert system.quetma("topics", "create").returncode == 0
        done = system.quetma("produce", "an-giang", "--run", "again", *SHARD, "--json")
        assert done.returncode == 0, done.stderr
        asyncio.run(commit_all(system.servers))
        system.start("stream")
        verdict = system.verify("again", wait_seconds=30)
        assert verdict["exact"], verdict["mismatches"][:5]
        assert verdict["payments"]["aggregates"] == json.loads(done.stdout)["acked"] > 10_000


def test_broker_away_in_the_middle_loses_nothing(tmp_path: Path) -> None:
    # Apache Kafka alone: what the embedded broker has in memory is gone with it.
    require_tool("java", "mvn")
    with ApacheKafka(tmp_path) as kafka, System(kafka.bootstrap_servers, tmp_path) as system:
        system.ready()
        producer = system.produce("away", "--rate", "3000", *QUARTER)
        system.until(lambda: system.processed() > 5000)
        kafka.kill()
        gone = time.monotonic()
        asyncio.run(kafka.start())
        assert time.monotonic() - gone > SESSION_SECONDS
        system.until(lambda: "payments wait, none is lost" in producer.log_end(), [producer])
        system.until(lambda: system.processed() > 16_000)  # copies included
        producer.ask_to_stop()
        summary = finished(producer)
        verdict = system.verify("away", wait_seconds=40)
        assert verdict["exact"], verdict["mismatches"][:5]
        assert verdict["payments"]["ledger"] == summary["acked"] > 15_000
        assert (system.worker.exit_code, system.exporter.exit_code) == (None, None)
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
