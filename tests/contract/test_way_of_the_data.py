"""A run that has gone the whole way: what is on the topics and on /metrics is what was produced."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections import Counter
from typing import Any

import pytest

from producers.encoding import PaymentEncoder, partition_of
from producers.engine import ProvinceSimulation
from producers.scenario_files import load_scenario
from producers.simulation.transmission import transmit
from producers.simulation.world import build_world
from schemas.events import Adoption, Cell, LedgerEntry, Payment, QrCode, RunFaults, RunStarted, Truth
from schemas.qr import check
from schemas.topics import ADOPTION_COMMUNE, ADOPTION_MARKET, CELLS, LEDGER, PAYMENTS, QR_CODES, TRUTH
from services.topic_reader import read_all
from tests.system import System
from tests.tools import require_tool

pytestmark = pytest.mark.broker


def records(system: System, *topics: str) -> list[Any]:
    async def read() -> list[Any]:
        return [record async for record in read_all(system.servers, topics)]

    return asyncio.run(read())


def produced(system: System) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((system.folder / "produced.json").read_text())
    return document


def test_verify_is_exact_and_counts_what_was_acknowledged(ran: System) -> None:
    verdict = ran.verify()
    assert verdict["exact"]
    assert verdict["mismatches"] == []
    assert verdict["payments"] == {"ledger": produced(ran)["acked"], "aggregates": produced(ran)["acked"]}
    assert verdict["amount_vnd"]["ledger"] == verdict["amount_vnd"]["aggregates"] > 0
    assert verdict["cells"] > 20


def test_payments_on_the_topic_are_the_simulated_ones_to_the_byte(ran: System) -> None:
    scenario = load_scenario("an-giang")
    world = build_world(scenario, scenario.seed, (3, 10))
    encoder = PaymentEncoder(world, "an-giang-s57", 4)
    days, faults = ProvinceSimulation(world).days(2), scenario.stream_faults
    sent = ((day, transmit(day.day, day.payments, day.sequence, world, faults)[0]) for day in days)
    expected = Counter(
        value
        for day, sending in sent
        for block in encoder.blocks(day, sending, 10_000)
        for value in block.records.value
    )
    assert Counter(record.value for record in records(ran, PAYMENTS)) == expected


def test_payments_have_key_partition_and_event_time(ran: System) -> None:
    for record in records(ran, PAYMENTS):
        if not record.value.endswith(b"}"):  # a spoiled copy
            continue
        payment = Payment.model_validate_json(record.value)
        assert record.key == payment.commune.encode()
        assert record.partition == partition_of(record.key, 4)
        assert record.timestamp == payment.occurred_at


def test_one_payment_in_a_thousand_says_when_it_was_sent(ran: System) -> None:
    with_header = [record for record in records(ran, PAYMENTS) if dict(record.headers).get("sent_at")]
    assert len(with_header) == pytest.approx(produced(ran)["acked"] / 1000, abs=1)


def test_every_record_keeps_its_contract(ran: System) -> None:
    for record in records(ran, CELLS):
        Cell.model_validate_json(record.value)
    for record in records(ran, ADOPTION_COMMUNE, ADOPTION_MARKET):
        adoption = Adoption.model_validate_json(record.value)
        assert (adoption.market is None) == (record.topic == ADOPTION_COMMUNE)
    kinds = Counter(json.loads(record.value)["kind"] for record in records(ran, LEDGER))
    assert kinds["run_started"] == 1
    assert kinds["cell_day"] > 0
    models = {"run_started": RunStarted, "cell_day": LedgerEntry, "run_faults": RunFaults}
    for record in records(ran, LEDGER):
        models[json.loads(record.value)["kind"]].model_validate_json(record.value)
    for record in records(ran, TRUTH):
        Truth.model_validate_json(record.value)


def test_qr_codes_are_valid_and_pay_nobody(ran: System) -> None:
    codes = [QrCode.model_validate_json(record.value) for record in records(ran, QR_CODES)]
    assert {code.kind for code in codes} == {"static", "dynamic"}
    for code in codes:
        verdict = check(code.payload)
        assert verdict["valid"], (code, verdict)
        assert verdict["fields"]["account"].startswith("SIM")
        if code.kind == "dynamic":
            assert verdict["fields"]["amount"] == str(code.amount_vnd)
            assert verdict["fields"]["bill_number"] == code.code


def test_exporter_shows_every_payment_and_share(ran: System) -> None:
    samples = ran.metrics("serve")
    assert samples.total("quetma_payments_total") == produced(ran)["acked"]
    assert samples.total("quetma_payments_vnd_total") == ran.verify()["amount_vnd"]["ledger"]
    assert samples.total("quetma_event_to_metric_seconds_count") > 0
    lag = samples.series("quetma_stream_lag_records")
    assert [int(labels["partition"]) for labels, _ in lag] == [0, 1, 2, 3]
    assert sum(records for _, records in lag) == 0
    for name in ("quetma_commune_cashless_share", "quetma_market_cashless_share", "quetma_province_cashless_share"):
        shares = samples.series(name)
        assert shares, name
        assert all(0 <= share <= 1 for _, share in shares)


def test_worker_counts_everything_once(ran: System) -> None:
    samples = ran.metrics("stream")
    values = [record.value for record in records(ran, PAYMENTS)]
    assert samples.total("quetma_processed_records_total") == len(values)
    assert samples.total("quetma_applied_payments_total") == produced(ran)["acked"]
    assert samples.total("quetma_dead_letters_total") == sum(not value.endswith(b"}") for value in values)
    assert samples.total("quetma_lag_records") == 0


# Not on the embedded broker: kcat's librdkafka 2.0 cannot read the ApiVersions answer of Tansu 0.6.
@pytest.mark.parametrize("ran", ["kafka"], indirect=True)
def test_kcat_reads_the_payments(ran: System) -> None:
    (kcat,) = require_tool("kcat")
    command = [kcat, "-C", "-b", ran.servers, "-t", PAYMENTS, "-e", "-q", "-f", "%k %p %T %s\n"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == len(records(ran, PAYMENTS)) >= produced(ran)["acked"]
    key, partition, timestamp, value = lines[0].split(" ", 3)
    payment = Payment.model_validate_json(value)
    assert (key, int(timestamp)) == (payment.commune, payment.occurred_at)
    assert int(partition) == partition_of(key.encode(), 4)


def test_topics_exist_as_the_table_says(ran: System) -> None:
    listed = json.loads(ran.quetma("topics", "list", "--json").stdout)
    assert all(row["found"] == row["partitions"] for row in listed)
    assert ran.quetma("topics", "create").stdout == ""


def test_other_partitions_than_the_table_says_are_a_clear_error(ran: System) -> None:
    done = ran.quetma("topics", "create", QUETMA_KAFKA__PARTITIONS="7")
    assert done.returncode == 2
    assert "quetma.payments has 4 partitions, the table says 7" in done.stderr
    assert "QUETMA_KAFKA__PARTITIONS" in done.stderr
