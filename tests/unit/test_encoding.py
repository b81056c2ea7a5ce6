"""Records against the columns that they are made of: text, keys, partitions, times, headers, QR codes, cells."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from producers.blocks import RecordBlock
from producers.encoding import PaymentEncoder, bill_prefixes, cell_records, partition_of
from producers.qr_codes import MCC, CodeEncoder
from producers.sectors.sector import NO_BILL, Draws
from producers.simulation.calendar import Day
from producers.simulation.engine import simulate
from schemas import qr
from schemas.errors import BadInputError
from schemas.events import METHODS, STATUSES, Cell, Payment, QrCode, decode_payment, encode, payment_id
from schemas.qr import FICTITIOUS_BANKS
from schemas.topics import PAYMENTS, QR_CODES
from schemas.types import MAX_PAYMENT_VND, MAX_TIME_MS, MIN_TIME_MS
from tests.worlds import codes, wire, world

SMALL = world()
DAY = Day.of(SMALL.scenario.start)
PREFIXES = bill_prefixes(SMALL)


def draws_of(rows: list[tuple[int, int, int, int, int, int]]) -> Draws:
    table = np.array(rows, dtype=np.int64).reshape(len(rows), 6)
    return Draws(*table.T)


def expected(draws: Draws, row: int, sequence: int, run: str) -> Payment:
    """The payment of a row, made by the model."""
    source = int(draws.source[row])
    cell = SMALL.cells[SMALL.cell_of_source[source]]
    name, bill = SMALL.source_ids[source], int(draws.bill[row])
    return Payment(
        schema_version=1,
        run=run,
        source=name,
        cell=cell.id,
        commune=SMALL.places[cell.commune].id,
        sector=cell.sector,
        payment_id=payment_id(run, name, sequence),
        sequence=sequence,
        method=METHODS[draws.method[row]],
        status=STATUSES[draws.status[row]],
        amount_vnd=int(draws.amount_vnd[row]),
        occurred_at=int(draws.occurred_at[row]),
        bill_number=None if bill == NO_BILL else f"{PREFIXES[source]}{bill}",
    )


rows = st.tuples(
    st.integers(0, SMALL.source_count - 1),
    st.integers(MIN_TIME_MS, MAX_TIME_MS - 1),
    st.integers(0, len(METHODS) - 1),
    st.integers(0, 1),
    st.integers(1, MAX_PAYMENT_VND),
    st.just(NO_BILL) | st.integers(202511 * 10**7 + 1, 209912 * 10**7),
)


# -- payments ------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(st.lists(rows, min_size=1, max_size=20), st.integers(1, 2**53 - 21))
def test_the_text_is_what_the_model_writes(table, first):
    draws, sequence = draws_of(table), np.arange(first, first + len(table), dtype=np.int64)
    block = PaymentEncoder(SMALL, "run-1", 4).block(DAY, draws, sequence)
    models = [expected(draws, row, int(sequence[row]), "run-1") for row in range(len(table))]
    assert block.records.value == [encode(model) for model in models]
    assert [Payment.model_validate_json(value) for value in block.records.value] == models


def test_every_payment_of_two_days_reads_back_as_its_columns():
    encoder = PaymentEncoder(SMALL, "r", 4)
    for day in simulate(SMALL, days=2):
        values = [value for block in encoder.blocks(day, 97) for value in block.records.value]
        assert len(values) == len(day.payments) > 100
        for row, value in enumerate(values):
            assert Payment.model_validate_json(value) == expected(day.payments, row, int(day.sequence[row]), "r")


def test_a_block_has_its_day_and_the_cells_of_its_payments():
    day = next(simulate(SMALL, days=1))
    blocks = list(PaymentEncoder(SMALL, "r", 4).blocks(day, 50))
    assert {block.day for block in blocks} == {DAY}
    cells = [SMALL.cells[number].id for block in blocks for number in block.cell.tolist()]
    assert cells == [decode_payment(value).cell for block in blocks for value in block.records.value]
    assert [len(block) for block in blocks[:-1]] == [50] * (len(blocks) - 1)


def test_key_partition_and_time_of_each_record():
    day = next(simulate(SMALL, days=1))
    for partitions in (1, 3, 4, 16):
        choose = DefaultPartitioner()
        for block in PaymentEncoder(SMALL, "r", partitions).blocks(day, 1000):
            records = block.records
            assert records.topic == PAYMENTS
            assert records.headers is None
            payments = [decode_payment(value) for value in records.value]
            assert records.key == [payment.commune.encode() for payment in payments]
            assert records.timestamp == [payment.occurred_at for payment in payments]
            numbers = list(range(partitions))
            assert records.partition.tolist() == [choose(key, numbers, numbers) for key in records.key]


@given(st.binary(min_size=1, max_size=40), st.integers(1, 64))
def test_partitions_are_those_of_the_default_partitioner(key, count):
    numbers = list(range(count))
    assert partition_of(key, count) == DefaultPartitioner()(key, numbers, numbers)


def test_cloud_event_headers_say_what_the_record_is():
    day = next(simulate(SMALL, days=1))
    plain = next(PaymentEncoder(SMALL, "r", 4).blocks(day, 200)).records
    records = next(PaymentEncoder(SMALL, "r", 4, cloud_events=True).blocks(day, 200)).records
    assert records.value == plain.value
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


# -- blocks --------------------------------------------------------------------------------------------------


@given(arrays.arrays(np.int64, st.integers(1, 60), elements=st.integers(0, 3)), st.data())
def test_the_rows_of_a_part_of_a_block_by_partition(partition, data):
    count = len(partition)
    low = data.draw(st.integers(0, count))
    high = data.draw(st.integers(low, count))
    nothing = [b""] * count
    block = RecordBlock("topic", partition, nothing, nothing, [0] * count)
    found = block.between(low, high)
    assert {number: rows.tolist() for number, rows in found.items()} == {
        number: [row for row in range(low, high) if partition[row] == number]
        for number in sorted(set(partition[low:high].tolist()))
    }


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
        if cell.sector == "market_stall":
            assert (code.kind, code.code, code.amount_vnd) == ("static", code.source, None)
            assert (fields.init_method, fields.amount, fields.bill_number) == ("11", None, None)
        else:
            assert code.kind == "dynamic"
            assert (fields.init_method, fields.amount_vnd, fields.bill_number) == ("12", code.amount_vnd, code.code)
    assert {code.kind for code in found} == {"static", "dynamic"}
    assert {qr.parse(code.payload).bin for code in found} == set(FICTITIOUS_BANKS)


def test_every_source_has_an_account_of_its_own():
    accounts = {(code.source, qr.parse(code.payload).account) for code in records_of(30)}
    assert len(accounts) == len({source for source, _ in accounts}) == len({account for _, account in accounts})
    assert len(accounts) == SMALL.source_count


def test_every_bill_that_is_paid_has_a_code_of_its_amount():
    found = records_of(40)
    issued = {code.code: code.amount_vnd for code in found if code.kind == "dynamic"}
    assert len(issued) == sum(code.kind == "dynamic" for code in found)
    shown = {code.code for code in found if code.kind == "static"}
    paid = [decode_payment(value) for value in wire(SMALL, 40)]
    bills = [payment for payment in paid if payment.sector != "market_stall"]
    assert len(bills) > 500
    for payment in paid:
        if payment.sector == "market_stall":
            assert payment.bill_number is None
            assert payment.source in shown
        else:
            assert issued[payment.bill_number] == payment.amount_vnd


def test_no_bill_is_paid_before_its_code_comes_into_use():
    seen: set[int] = set()
    for day in simulate(SMALL, days=40):
        seen |= {bill for code in day.codes for bill in code.bill.tolist()}
        assert set(day.payments.bill.tolist()) <= seen | {NO_BILL}
        assert all(code.issued_at <= day.day.midnight_at for code in day.codes)


def test_bill_numbers_say_sector_and_commune_and_fit_into_a_payload():
    bills = {decode_payment(value).bill_number for value in wire(SMALL, 10)} - {None}
    communes = {f"{number:03d}" for number in range(1, 8)}
    for bill in bills:
        place, _, number = bill.partition("-")
        assert place[0] in "EW"
        assert place[1:] in communes
        assert number[:6] in {"202510", "202511"}
        assert len(bill) <= 25


def test_records_of_codes_lie_where_their_commune_does():
    encoder = CodeEncoder(SMALL, "r", 5)
    for issued in next(simulate(SMALL, days=1)).codes:
        block = encoder.block(issued)
        assert block.topic == QR_CODES
        found = [QrCode.model_validate_json(value) for value in block.value]
        assert block.key == [f"{code.run}|{code.code}".encode() for code in found]
        assert block.partition.tolist() == [partition_of(code.commune.encode(), 5) for code in found]
        assert block.timestamp == [issued.issued_at] * len(found) == [code.issued_at for code in found]
        assert block.value == [encode(code) for code in found]


# -- cells ---------------------------------------------------------------------------------------------------


def test_the_announced_cells_are_those_of_the_payments():
    found = {cell.cell: cell for cell in cell_records(SMALL, "r")}
    assert len(found) == len(SMALL.cells)
    sources: dict[str, set[str]] = {cell: set() for cell in found}
    for payment in map(decode_payment, wire(SMALL, 40)):
        cell = found[payment.cell]
        assert (payment.commune, payment.sector, payment.run) == (cell.commune, cell.sector, cell.run)
        sources[payment.cell].add(payment.source)
    assert all(0 < len(sources[cell.cell]) <= cell.sources for cell in found.values())


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
