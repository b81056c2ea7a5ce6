"""A run that has gone the whole way: what is on the topics and on /metrics is what was produced."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from producers.encoding import PaymentEncoder, partition_of
from producers.engine import ProvinceSimulation
from producers.scenario_files import load_scenario
from producers.simulation.transmission import transmit
from producers.simulation.world import build_world
from schemas.events import Adoption, Cell, Checkpoint, LedgerEntry, Payment, QrCode, RunFaults, RunStarted, Truth
from schemas.qr import check
from schemas.scenario.hashing import scenario_hash
from schemas.topics import ADOPTION_COMMUNE, ADOPTION_MARKET, CELLS, LEDGER, PAYMENTS, QR_CODES, TRUTH
from tests.contract.systems import FirstRun
from tests.system import System, on, run_quetma
from tests.tools import require_tool
from tests.worlds import written

pytestmark = pytest.mark.broker


def test_verify_is_exact_and_counts_what_was_acknowledged(ran: FirstRun) -> None:
    assert ran.verdict["exact"]
    assert ran.verdict["run"] == ran.name
    assert ran.verdict["mismatches"] == []
    assert ran.verdict["payments"] == {"ledger": ran.acked, "aggregates": ran.acked}
    assert ran.verdict["amount_vnd"]["ledger"] == ran.verdict["amount_vnd"]["aggregates"] > 0
    assert ran.verdict["cells"] > 20


def test_payments_on_the_topic_are_the_simulated_ones_to_the_byte(ran: FirstRun) -> None:
    scenario = load_scenario("an-giang")
    world = build_world(scenario, scenario.seed, (3, 10))
    encoder = PaymentEncoder(world, "an-giang-s57", 4)
    days, faults = ProvinceSimulation(world).days(2), scenario.stream_faults
    sent = ((day, transmit(day.day, day.payments, day.sequence, world, faults)[0]) for day in days)
    expected = Counter(
        value
        for day, sending in sent
        for block in encoder.blocks(day, sending, 10_000)
        for value in written(block.records.value)
    )
    assert Counter(record.value for record in ran.records[PAYMENTS]) == expected


@pytest.fixture(scope="session")
def on_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first run once more, without Kafka."""
    folder = tmp_path_factory.mktemp("disk") / "run"
    same = ("an-giang", "--days", "2", "--shard", "3/10", "--run", "an-giang-s57")
    done = run_quetma("simulate", *same, "--format", "jsonl", "--out", str(folder))
    assert done.returncode == 0, done.stderr
    return folder


def digest(lines: Iterable[bytes]) -> str:
    return hashlib.sha256(b"\n".join(sorted(lines))).hexdigest()


def test_payments_and_truth_on_the_topics_are_those_on_disk(ran: FirstRun, on_disk: Path) -> None:
    payments, truth = (
        [line for file in sorted((on_disk / table).iterdir()) for line in file.read_bytes().splitlines()]
        for table in ("payments", "truth")
    )
    assert len(payments) == ran.acked
    labels = Counter((known["label"], known["payment_id"]) for known in map(json.loads, truth))
    whole, spoiled = parted(ran)
    records = Counter(whole)
    assert digest(records) == digest(payments)
    for value, count in records.items():
        assert count == 1 + labels["duplicate", json.loads(value)["payment_id"]]
    assert len(spoiled) == sum(count for (label, _), count in labels.items() if label == "malformed") > 0
    assert all(any(line.startswith(value) for line in payments) for value in spoiled)
    assert digest(record.value for record in ran.records[TRUTH]) == digest(truth)


def parted(ran: FirstRun) -> tuple[list[bytes], list[bytes]]:
    """Return records of payments that can be decoded, second copies included, and spoiled copies."""
    values = [record.value for record in ran.records[PAYMENTS]]
    return [value for value in values if value.endswith(b"}")], [value for value in values if not value.endswith(b"}")]


def test_faults_put_in_are_those_on_the_topic_and_all_are_found(ran: FirstRun) -> None:
    whole, spoiled = parted(ran)
    assert len(whole) - len(set(whole)) == ran.duplicates > 0
    assert len(spoiled) == ran.malformed > 0
    assert len(set(whole)) == ran.acked
    faults = ran.verdict["faults"]
    assert faults["duplicates"] == {"ledger": ran.duplicates, "stream": ran.duplicates}
    assert faults["malformed"] == {"ledger": ran.malformed, "stream": ran.malformed}
    assert ran.verdict["duplicates"] == ran.duplicates
    told = Counter(json.loads(record.value)["label"] for record in ran.records[TRUTH])
    labels = {"duplicates": "duplicate", "malformed": "malformed", "late": "late", "out_of_order": "out_of_order"}
    assert {kind: count["ledger"] for kind, count in faults.items()} == {
        kind: told[label] for kind, label in labels.items() if told[label]
    }


def test_payments_have_key_partition_and_event_time(ran: FirstRun) -> None:
    for record in ran.records[PAYMENTS]:
        if not record.value.endswith(b"}"):  # a spoiled copy
            continue
        payment = Payment.model_validate_json(record.value)
        assert record.key == payment.commune.encode()
        assert record.partition == partition_of(record.key, 4)
        assert record.timestamp == payment.occurred_at


def test_one_payment_in_a_thousand_says_when_it_was_sent(ran: FirstRun) -> None:
    with_header = [record for record in ran.records[PAYMENTS] if dict(record.headers).get("sent_at")]
    assert len(with_header) == pytest.approx(len(ran.records[PAYMENTS]) / 1000, abs=1)


def test_every_record_keeps_its_contract(ran: FirstRun) -> None:
    assert all(ran.records[topic] for topic in (CELLS, TRUTH, ADOPTION_COMMUNE, ADOPTION_MARKET))
    for record in ran.records[CELLS]:
        Cell.model_validate_json(record.value)
    for record in ran.records[ADOPTION_COMMUNE] + ran.records[ADOPTION_MARKET]:
        adoption = Adoption.model_validate_json(record.value)
        assert (adoption.market is None) == (record.topic == ADOPTION_COMMUNE)
    kinds = Counter(json.loads(record.value)["kind"] for record in ran.records[LEDGER])
    assert kinds["run_started"] == 1
    assert kinds["cell_day"] > 0
    assert kinds["run_faults"] > 0
    assert kinds["checkpoint"] > 0
    models = {"run_started": RunStarted, "cell_day": LedgerEntry, "run_faults": RunFaults, "checkpoint": Checkpoint}
    for record in ran.records[LEDGER]:
        entry = models[json.loads(record.value)["kind"]].model_validate_json(record.value)
        if isinstance(entry, RunStarted):
            assert entry.scenario_hash == scenario_hash(load_scenario("an-giang"))
    for record in ran.records[TRUTH]:
        truth = Truth.model_validate_json(record.value)
        assert record.key == f"{truth.run}|{truth.payment_id}|{truth.label}".encode()
        assert record.partition == partition_of(truth.commune.encode(), 4)


def test_qr_codes_are_valid_and_pay_nobody(ran: FirstRun) -> None:
    codes = [QrCode.model_validate_json(record.value) for record in ran.records[QR_CODES]]
    assert {code.kind for code in codes} == {"static", "dynamic"}
    for code in codes:
        verdict = check(code.payload)
        assert verdict["valid"], (code, verdict)
        assert verdict["fields"]["account"].startswith("SIM")
        if code.kind == "dynamic":
            assert verdict["fields"]["amount"] == str(code.amount_vnd)
            assert verdict["fields"]["bill_number"] == code.code


def test_exporter_shows_every_payment_and_share(ran: FirstRun) -> None:
    samples = ran.exporter
    assert samples.total("quetma_payments_total") == ran.acked
    assert samples.total("quetma_payments_vnd_total") == ran.verdict["amount_vnd"]["ledger"]
    assert samples.total("quetma_duplicates_total") == ran.duplicates
    assert samples.total("quetma_dead_letter_records_total") == ran.malformed
    assert samples.total("quetma_event_to_metric_seconds_count") > 0
    lag = samples.series("quetma_stream_lag_records")
    assert [int(labels["partition"]) for labels, _ in lag] == [0, 1, 2, 3]
    assert sum(records for _, records in lag) == 0
    for name in ("quetma_commune_cashless_share", "quetma_market_cashless_share", "quetma_province_cashless_share"):
        shares = samples.series(name)
        assert shares, name
        assert all(0 <= share <= 1 for _, share in shares)


def test_worker_counts_everything_once(ran: FirstRun) -> None:
    samples = ran.worker
    assert samples.total("quetma_processed_records_total") == len(ran.records[PAYMENTS]) > ran.acked
    assert samples.total("quetma_applied_payments_total") == ran.acked
    assert samples.total("quetma_dropped_duplicates_total") == ran.duplicates
    assert samples.total("quetma_dead_letters_total") == ran.malformed
    assert samples.total("quetma_lag_records") == 0


# Not on the embedded broker: kcat's librdkafka 2.0 cannot read the ApiVersions answer of Tansu 0.6.
@on("kafka")
def test_kcat_reads_the_payments(system: System, ran: FirstRun) -> None:
    (kcat,) = require_tool("kcat")
    command = [kcat, "-C", "-b", system.servers, "-t", PAYMENTS, "-e", "-q", "-f", "%k %p %o %T %s\n"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60, check=True)
    read = [line.split(" ", 4) for line in done.stdout.splitlines() if f'"run":"{ran.name}"' in line]
    found = {(int(partition), int(offset)) for _, partition, offset, _, _ in read}
    sent = {(record.partition, record.offset) for record in ran.records[PAYMENTS]}
    assert len(found) == len(read)
    assert len(found & sent) == len(ran.records[PAYMENTS]) > ran.acked  # other tests send some of them again
    key, partition, _, timestamp, value = next(line for line in read if line[-1].endswith("}"))
    payment = Payment.model_validate_json(value)
    assert (key, int(timestamp)) == (payment.commune, payment.occurred_at)
    assert int(partition) == partition_of(key.encode(), 4)


def test_topics_exist_as_the_table_says(system: System) -> None:
    listed = json.loads(system.quetma("topics", "list", "--json").stdout)
    assert all(row["found"] == row["partitions"] for row in listed)
    assert system.quetma("topics", "create").stdout == ""


def test_other_partitions_than_the_table_says_are_a_clear_error(system: System) -> None:
    done = system.quetma("topics", "create", QUETMA_KAFKA__PARTITIONS="7")
    assert done.returncode == 2
    assert "quetma.payments has 4 partitions, the table says 7" in done.stderr
    assert "QUETMA_KAFKA__PARTITIONS" in done.stderr
