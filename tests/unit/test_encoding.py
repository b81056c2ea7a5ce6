"""Records against the columns that they are made of: text, keys, partitions, times, headers, QR codes, cells."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pydantic import ValidationError

from producers.accounts import account_of, stranger_of
from producers.blocks import PaymentBlock, RecordBlock
from producers.encoding import PaymentEncoder, PaymentText, bill_prefixes, cell_records, partition_of, spoiled
from producers.engine import DayOfPayments, ProvinceSimulation
from producers.qr_codes import MCC, CodeEncoder
from producers.simulation.calendar import Day
from producers.simulation.columns import NO_BILL, NOTHING, VIETQR, Labels, Notes, Payments
from producers.simulation.transmission import DUPLICATE, MALFORMED
from schemas import qr
from schemas.errors import BadInputError
from schemas.events import (
    FAILURE_REASONS,
    METHODS,
    STATUSES,
    TRUTH_LABELS,
    Account,
    Cell,
    Payment,
    QrCode,
    Truth,
    decode_payment,
    encode,
    payment_id,
)
from schemas.qr import FICTITIOUS_BANKS
from schemas.topics import ACCOUNTS, PAYMENTS, QR_CODES, TRUTH
from schemas.types import MAX_PAYMENT_VND, MAX_TIME_MS, MIN_TIME_MS
from tests.province_days import CLEAN, FAULTY, TROUBLED, Row, in_order, rows_of, sent
from tests.worlds import codes, wire, world, written

FRAUD = [{"id": "test", "kind": "fraud_wave", "start": dt.date(2025, 10, 1), "end": dt.date(2026, 11, 17)}]
FRAUD[0] |= {"stalls": {"value": 0.5, "source": "assumed"}, "source": "assumed"}
LIVELY = TROUBLED | {"intervention": FRAUD, "market_stall.cashless.preference.value": 4.0}
"""Failures, reversals and fraud."""
SMALL = world(CLEAN | LIVELY | {"start": dt.date(2025, 10, 6)})
"""Begins while school fees are being paid."""
DAY = Day.of(SMALL.scenario.start)
PREFIXES = bill_prefixes(SMALL)
SEQUENCES = st.integers(1, 2**53 - 21)


def expected(source: int, row: Row, run: str) -> Payment:
    """The payment of a row, made by the model."""
    cell = SMALL.cells[SMALL.cell_of_source[source]]
    name = SMALL.source_ids[source]
    fraud = TRUTH_LABELS.index("fraud") in row.labels
    scanned = row.method == VIETQR and SMALL.is_counter[source]
    return Payment(
        schema_version=1,
        run=run,
        source=name,
        cell=cell.id,
        commune=SMALL.places[cell.commune].id,
        sector=cell.sector,
        beneficiary=(stranger_of if fraud else account_of)(SMALL, source) if scanned else None,
        payment_id=payment_id(run, name, row.sequence),
        sequence=row.sequence,
        method=METHODS[row.method],
        status=STATUSES[row.status],
        amount_vnd=row.amount_vnd,
        occurred_at=row.occurred_at,
        bill_number=None if row.bill == NO_BILL else f"{PREFIXES[source]}{row.bill}",
        failure_reason=None if row.reason == NOTHING else FAILURE_REASONS[row.reason],
        attempt=row.attempt if row.attempt > 1 else None,
        refers_to=None if row.refers_to == NOTHING else payment_id(run, name, row.refers_to),
    )


def blocks_of(day: DayOfPayments, size: int = 1000, *, encoder: PaymentEncoder | None = None) -> list[PaymentBlock]:
    """A day's records, each payment sent once at its time."""
    return list((encoder or PaymentEncoder(SMALL, "r", 4)).blocks(day, in_order(day.payments), size))


def first_day() -> DayOfPayments:
    return next(ProvinceSimulation(SMALL).days(1))


rows = st.tuples(
    st.integers(0, SMALL.source_count - 1),
    st.integers(MIN_TIME_MS, MAX_TIME_MS - 1),
    st.integers(1, MAX_PAYMENT_VND),
    st.just(NO_BILL) | st.integers(202511 * 10**7 + 1, 209912 * 10**7),
    st.integers(0, len(METHODS) - 1),
    st.integers(0, len(STATUSES) - 1),
    st.just(NOTHING) | SEQUENCES,
    st.integers(1, 6),
    st.integers(-1, len(FAILURE_REASONS) - 1),
    st.booleans(),
)


def day_of(table: list[tuple[int, ...]], first: int) -> DayOfPayments:
    """A day of payments given by row, numbered on from ``first``; the last column says whether a scan was fraud."""
    columns = np.array(table, dtype=np.int64).T
    source, at, amount, bill, method, status, refers_to, attempt, reason, fraud = columns
    noted = np.flatnonzero((refers_to != NOTHING) | (attempt > 1) | (reason != NOTHING))
    astray = np.flatnonzero(fraud & (method == VIETQR))
    payments = Payments(
        *(source, at, amount, bill, method.astype(np.int8), status.astype(np.int8)),
        Notes(noted, refers_to[noted], attempt[noted], reason[noted]),
        Labels(astray, np.full(len(astray), TRUTH_LABELS.index("fraud"))),
    )
    adoption = first_day().adoption
    return DayOfPayments(DAY, adoption, (), payments, np.arange(first, first + len(table), dtype=np.int64))


# -- payments ------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.lists(rows, min_size=1, max_size=20), SEQUENCES)
def test_the_text_is_what_the_model_writes(table, first):
    day = day_of(table, first)
    models = [expected(source, row, "run-1") for source, row in rows_of(day)]
    lines = written(PaymentText(SMALL, "run-1").lines(day.payments, day.sequence))
    assert lines == [encode(model) for model in models]
    assert [Payment.model_validate_json(line) for line in lines] == models


def test_every_payment_of_two_days_reads_back_as_its_columns():
    seen: Counter[str] = Counter()
    for day in ProvinceSimulation(SMALL).days(2):
        values = [value for block in blocks_of(day, 97) for value in written(block.records.value)]
        assert len(values) == len(day.payments) > 100
        for (source, row), value in zip(rows_of(day), values, strict=True):
            payment = Payment.model_validate_json(value)
            assert payment == expected(source, row, "r")
            assert value == encode(payment)
            seen.update(name for name, one in payment if one is not None)
            seen[payment.status] += 1
            seen["fraud"] += TRUTH_LABELS.index("fraud") in row.labels
    assert set(Payment.model_fields) | set(STATUSES) | {"fraud"} == {name for name in seen if seen[name] >= 5}


def test_a_payment_led_astray_names_no_account_of_the_province():
    strangers = {stranger_of(SMALL, source) for source in range(SMALL.source_count)}
    accounts = {account_of(SMALL, source) for source in range(SMALL.source_count)}
    assert len(strangers) == len(accounts) == SMALL.source_count
    assert not strangers & accounts
    assert {account[:3] for account in strangers | accounts} == {"SIM"}
    named = {payment.beneficiary for payment in map(decode_payment, wire(SMALL, 2))} - {None}
    assert named & strangers
    assert named & accounts
    assert named <= strangers | accounts


def test_a_block_has_its_day_and_the_cells_of_its_payments():
    blocks = blocks_of(first_day(), 50)
    assert {block.day for block in blocks} == {DAY}
    cells = [SMALL.cells[number].id for block in blocks for number in block.cell.tolist()]
    assert cells == [decode_payment(value).cell for block in blocks for value in written(block.records.value)]
    assert [len(block) for block in blocks[:-1]] == [50] * (len(blocks) - 1)
    assert all(block.is_payment.all() for block in blocks)


def test_key_partition_and_time_of_each_record():
    day = first_day()
    for partitions in (1, 3, 4, 16):
        choose = DefaultPartitioner()
        for block in blocks_of(day, encoder=PaymentEncoder(SMALL, "r", partitions)):
            records = block.records
            assert records.topic == PAYMENTS
            assert records.headers is None
            payments = [decode_payment(value) for value in written(records.value)]
            keys = written(records.key)
            assert keys == [payment.commune.encode() for payment in payments]
            assert records.timestamp.tolist() == [payment.occurred_at for payment in payments]
            numbers = list(range(partitions))
            assert records.partition.tolist() == [choose(key, numbers, numbers) for key in keys]


@given(st.binary(min_size=1, max_size=40), st.integers(1, 64))
def test_partitions_are_those_of_the_default_partitioner(key, count):
    numbers = list(range(count))
    assert partition_of(key, count) == DefaultPartitioner()(key, numbers, numbers)


def test_cloud_event_headers_say_what_the_record_is():
    day = first_day()
    plain = blocks_of(day, 200)[0].records
    records = blocks_of(day, 200, encoder=PaymentEncoder(SMALL, "r", 4, cloud_events=True))[0].records
    assert records.value.equals(plain.value)
    assert records.headers is not None
    assert len(records.headers) == len(records.value) == 200
    for value, headers in zip(records.value, records.headers, strict=True):
        payment, found = decode_payment(value), dict(headers)
        assert [name for name, _ in headers] == [
            "ce_specversion",
            "ce_type",
            "ce_source",
            "ce_id",
            "ce_time",
            "content-type",
        ]
        assert found["ce_specversion"] == b"1.0"
        assert found["ce_type"] == b"vn.quetma.payment.v1"
        assert found["ce_source"] == f"/quetma/r/{payment.source}".encode()
        assert found["ce_id"] == payment.payment_id.encode()
        assert found["content-type"] == b"application/json"
        time = dt.datetime.fromisoformat(found["ce_time"].decode())
        assert time.utcoffset() == dt.timedelta(0)
        assert time == dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=payment.occurred_at)
    assert len({dict(headers)["ce_id"] for headers in records.headers}) == 200


@pytest.mark.parametrize("run", ["an-giang-s57", "A.b_c-9", "x" * 64])
def test_names_of_runs(run):
    assert json.loads(wire(SMALL, 1, run=run)[0])["run"] == run


@pytest.mark.parametrize("run", ["", 'a"b', "a|b", "a\\b", "a b", "a/b", "đ", "a\n", "x" * 65])
def test_a_run_whose_name_would_not_stand_in_text_and_keys_is_refused(run):
    with pytest.raises(BadInputError, match="run: "):
        PaymentEncoder(SMALL, run, 4)


# -- faults and the truth ------------------------------------------------------------------------------------


def test_copies_and_payments_held_back_are_records_of_their_payments():
    troubled = world(FAULTY | LIVELY)
    encoder, spoilt = PaymentEncoder(troubled, "r", 4), 0
    for one in ProvinceSimulation(troubled).days(2):
        day, sending = sent(troubled, one)
        text = PaymentText(troubled, "r").lines(day.payments, day.sequence).to_list()
        blocks = list(encoder.blocks(day, sending, 30))
        joined = {name: np.concatenate([getattr(block, name) for block in blocks]) for name in ("sent_at", "fault")}
        assert joined["sent_at"].tolist() == sending.sent_at.tolist()
        assert joined["fault"].tolist() == sending.fault.tolist()
        is_payment = np.concatenate([block.is_payment for block in blocks])
        assert is_payment.tolist() == [fault not in {DUPLICATE, MALFORMED} for fault in sending.fault.tolist()]
        values = [value for block in blocks for value in block.records.value]
        times = [at for block in blocks for at in block.records.timestamp.tolist()]
        assert times == day.payments.occurred_at[sending.row].tolist()
        for value, row, fault in zip(values, sending.row.tolist(), sending.fault.tolist(), strict=True):
            assert value == (spoiled(text[row]) if fault == MALFORMED else text[row])
            spoilt += fault == MALFORMED
    assert spoilt > 10


def test_a_spoiled_copy_cannot_be_read_and_names_its_run():
    for value in map(bytes.decode, wire(SMALL, 1, run="x" * 64)):
        with pytest.raises(ValidationError):
            Payment.model_validate_json(spoiled(value))
        assert f'"run":"{"x" * 64}"' in spoiled(value)


def test_the_truth_tells_each_label_of_its_payment():
    troubled = world(FAULTY | LIVELY)
    encoder, told = PaymentEncoder(troubled, "r", 5), set()
    for one in ProvinceSimulation(troubled).days(3):
        day, _ = sent(troubled, one)
        block = encoder.truth(day)
        found = [Truth.model_validate_json(value) for value in written(block.value)]
        assert block.topic == TRUTH
        assert written(block.value) == [encode(truth) for truth in found]
        assert written(block.key) == [f"r|{truth.payment_id}|{truth.label}".encode() for truth in found]
        assert len(set(block.key)) == len(block.key)
        assert block.timestamp.tolist() == [truth.occurred_at for truth in found]
        assert block.partition.tolist() == [partition_of(truth.commune.encode(), 5) for truth in found]
        payments = {payment.payment_id: payment for payment in map(decode_payment, lines_of(troubled, day))}
        labels: Counter[tuple[str, str]] = Counter()
        for source, row in rows_of(day):
            name = payment_id("r", troubled.source_ids[source], row.sequence)
            labels.update((name, TRUTH_LABELS[label]) for label in row.labels)
        assert Counter((truth.payment_id, truth.label) for truth in found) == labels
        for truth in found:
            payment = payments[truth.payment_id]
            told.add(truth.label)
            for field in ("run", "source", "commune", "sector", "occurred_at"):
                assert getattr(truth, field) == getattr(payment, field)
    assert told >= {"fraud", "cash_after_failure", "duplicate", "out_of_order", "late", "malformed"}


def lines_of(of, day: DayOfPayments) -> list[bytes]:
    return written(PaymentText(of, "r").lines(day.payments, day.sequence))


def test_a_day_without_labels_has_no_truth():
    calm = world(CLEAN | {"intervention": []})
    day = next(ProvinceSimulation(calm).days(1))
    nothing = day.payments.labels.row[:0]
    bare = replace(day, payments=replace(day.payments, labels=Labels(nothing, nothing)))
    assert len(PaymentEncoder(calm, "r", 4).truth(bare)) == 0


# -- blocks --------------------------------------------------------------------------------------------------


@given(arrays.arrays(np.int64, st.integers(1, 60), elements=st.integers(0, 3)), st.data())
def test_the_rows_of_a_part_of_a_block_by_partition(partition, data):
    count = len(partition)
    low = data.draw(st.integers(0, count))
    high = data.draw(st.integers(low, count))
    nothing = pl.Series([""] * count)
    block = RecordBlock("topic", partition, nothing, nothing, np.zeros(count, dtype=np.int64))
    found = block.between(low, high)
    assert {number: rows.tolist() for number, rows in found.items()} == {
        number: [row for row in range(low, high) if partition[row] == number]
        for number in sorted(set(partition[low:high].tolist()))
    }


COUNTERS = {"market_stall", "hospital", "public_service", "ecommerce"}
BILLERS = {"electricity", "water", "tuition"}


# -- QR codes ------------------------------------------------------------------------------------------------


def records_of(days: int) -> list[QrCode]:
    return [QrCode.model_validate_json(value) for value in codes(SMALL, days)]


def test_each_code_parses_strictly_and_pays_nobody():
    found = records_of(30)
    for code in found:
        fields = qr.parse(code.payload, profile="vietqr")
        assert fields.bin in FICTITIOUS_BANKS
        assert fields.account is not None
        assert fields.account.startswith("SIM")
        cell = SMALL.cells[SMALL.cell_of_source[SMALL.source_ids.index(code.source)]]
        assert fields.mcc == MCC[cell.sector]
        assert code.commune == SMALL.places[cell.commune].id
        assert code.run == "r"
        if code.kind == "static":
            assert cell.sector in COUNTERS
            assert (code.code, code.amount_vnd) == (code.source, None)
            assert (fields.init_method, fields.amount, fields.bill_number) == ("11", None, None)
        else:
            assert cell.sector in BILLERS
            assert (fields.init_method, fields.amount_vnd, fields.bill_number) == ("12", code.amount_vnd, code.code)
    shown = {SMALL.cells[SMALL.cell_of_source[SMALL.source_ids.index(code.source)]].sector for code in found}
    assert shown == COUNTERS | BILLERS
    assert {qr.parse(code.payload).bin for code in found} == set(FICTITIOUS_BANKS)


def test_every_source_has_an_account_of_its_own():
    accounts = {(code.source, qr.parse(code.payload).account) for code in records_of(30)}
    assert len(accounts) == len({source for source, _ in accounts}) == len({account for _, account in accounts})
    assert accounts == {(name, account_of(SMALL, source)) for source, name in enumerate(SMALL.source_ids)} & accounts
    assert len(accounts) > SMALL.source_count / 2


def test_who_scans_a_code_pays_the_account_on_it():
    shown = {code.source: qr.parse(code.payload).account for code in records_of(2) if code.kind == "static"}
    fraud = {stranger_of(SMALL, source) for source in range(SMALL.source_count)}
    scanned = [payment for payment in map(decode_payment, wire(SMALL, 2)) if payment.beneficiary]
    honest = [payment for payment in scanned if payment.beneficiary not in fraud]
    assert len(honest) > 50
    for payment in honest:
        assert payment.beneficiary == shown[payment.source]


def test_every_bill_that_is_paid_has_a_code_of_its_amount():
    found = records_of(40)
    issued = {code.code: code.amount_vnd for code in found if code.kind == "dynamic"}
    assert len(issued) == sum(code.kind == "dynamic" for code in found)
    bills = 0
    for payment in map(decode_payment, wire(SMALL, 40)):
        if payment.sector in BILLERS:
            assert issued[payment.bill_number] == payment.amount_vnd
            bills += 1
        else:
            assert payment.bill_number is None
    assert bills > 500


def test_no_bill_is_paid_before_its_code_comes_into_use():
    seen: set[int] = set()
    for day in ProvinceSimulation(SMALL).days(40):
        seen |= {bill for code in day.codes for bill in code.bill.tolist()}
        assert set(day.payments.bill.tolist()) <= seen | {NO_BILL}
        assert all(code.issued_at <= day.day.midnight_at for code in day.codes)


def test_bill_numbers_say_sector_and_commune_and_fit_into_a_payload():
    bills = {decode_payment(value).bill_number for value in wire(SMALL, 10)} - {None}
    communes = {f"{number:03d}" for number in range(1, 8)}
    for bill in bills:
        place, _, number = bill.partition("-")
        assert place[0] in "EWT"
        assert place[1:] in communes
        assert number[:-7] in ({"202509", "202510"} if place[0] in "EW" else {"20251"})
        assert len(bill) <= 25


def test_records_of_codes_lie_where_their_commune_does():
    encoder = CodeEncoder(SMALL, "r", 5)
    for issued in first_day().codes:
        block = encoder.block(issued)
        assert block.topic == QR_CODES
        found = [QrCode.model_validate_json(value) for value in written(block.value)]
        assert written(block.key) == [f"{code.run}|{code.code}".encode() for code in found]
        assert block.partition.tolist() == [partition_of(code.commune.encode(), 5) for code in found]
        assert block.timestamp.tolist() == [issued.issued_at] * len(found) == [code.issued_at for code in found]
        assert written(block.value) == [encode(code) for code in found]


def test_counters_register_the_accounts_that_their_codes_and_payments_name():
    encoder = CodeEncoder(SMALL, "r", 5)
    blocks = [(issued, encoder.registered(issued)) for issued in first_day().codes]
    assert any(block is None for _, block in blocks)
    for issued, block in blocks:
        if block is None:
            assert issued.bill.tolist() != [NO_BILL] * len(issued.bill)
            continue
        found = [Account.model_validate_json(value) for value in written(block.value)]
        shown = [QrCode.model_validate_json(value) for value in written(encoder.block(issued).value)]
        assert block.topic == ACCOUNTS
        assert [(one.source, one.commune) for one in found] == [(code.source, code.commune) for code in shown]
        assert [one.account for one in found] == [qr.parse(code.payload).account for code in shown]
        assert written(block.key) == [f"r|{one.source}".encode() for one in found]
        assert written(block.value) == [encode(one) for one in found]
        assert block.partition.tolist() == encoder.block(issued).partition.tolist()
        assert block.timestamp.tolist() == [one.registered_at for one in found] == [issued.issued_at] * len(found)


# -- cells ---------------------------------------------------------------------------------------------------


def test_the_announced_cells_are_those_of_the_payments():
    found = {cell.cell: cell for cell in cell_records(SMALL, "r")}
    assert len(found) == len(SMALL.cells)
    sources: dict[str, set[str]] = {cell: set() for cell in found}
    for payment in map(decode_payment, wire(SMALL, 40)):
        cell = found[payment.cell]
        assert (payment.commune, payment.sector, payment.run) == (cell.commune, cell.sector, cell.run)
        sources[payment.cell].add(payment.source)
    assert all(len(sources[cell.cell]) <= cell.sources for cell in found.values())
    assert sum(1 for cell in found if sources[cell]) > len(found) * 0.8


def test_cells_are_announced_with_names():
    found = {cell.cell: cell for cell in cell_records(SMALL, "r")}
    assert found["cong-su"] == Cell(
        schema_version=1,
        run="r",
        cell="cong-su",
        kind="market",
        name="Chợ Cống Sự",
        commune="u-minh-thuong",
        commune_name="U Minh Thượng",
        province="an-giang",
        province_name="An Giang",
        sector="market_stall",
        sources=9,
    )
    assert found["an-minh/water"].kind == "commune_sector"
    for cell in found.values():
        assert Cell.model_validate_json(encode(cell)) == cell
