"""The payment contract, held by pydantic and by msgspec alike; ids; the wire form."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas import events
from schemas.contracts import values_of
from schemas.events import (
    FAILURE_REASONS,
    METHODS,
    SECTORS,
    STATUSES,
    TRUTH_LABELS,
    Cell,
    LedgerEntry,
    MethodTally,
    Payment,
    PaymentRow,
    QrCode,
    RunFaults,
    RunStarted,
    Truth,
    decode_payment,
    encode,
    payment_id,
    source_key,
)
from schemas.topics import TOPICS
from schemas.types import MAX_PAYMENT_VND, MAX_TIME_MS, MIN_TIME_MS, Contract, struct_of

VALID: dict[str, Any] = {
    "schema_version": 1,
    "run": "r",
    "source": "cong-su/0042",
    "cell": "cong-su",
    "commune": "u-minh-thuong",
    "sector": "market_stall",
    "payment_id": "0123456789ab-7",
    "sequence": 7,
    "method": "vietqr",
    "status": "settled",
    "amount_vnd": 15_000,
    "occurred_at": 1_763_312_400_000,
    "bill_number": "E017-2025110000123",
    "beneficiary": "SIM00420001",
    "failure_reason": "network",
    "attempt": 2,
    "refers_to": "0123456789ab-6",
}
OPTIONAL = ("bill_number", "beneficiary", "failure_reason", "attempt", "refers_to")
REQUIRED = tuple(name for name in VALID if name not in OPTIONAL)
TEXTS = ("run", "source", "cell", "commune", "payment_id", "bill_number", "beneficiary", "refers_to")
CHOICES = {"sector": SECTORS, "method": METHODS, "status": STATUSES, "failure_reason": FAILURE_REASONS}
NUMBERS = {
    "schema_version": (1, 1),
    "sequence": (1, 2**53 - 1),
    "amount_vnd": (1, MAX_PAYMENT_VND),
    "occurred_at": (MIN_TIME_MS, MAX_TIME_MS - 1),
    "attempt": (2, 9),
}
"""Lowest and highest value allowed."""

identifiers = st.text(min_size=1, max_size=64)
values = (
    dict.fromkeys(TEXTS, identifiers)
    | {name: st.sampled_from(choices) for name, choices in CHOICES.items()}
    | {name: st.integers(*limits) for name, limits in NUMBERS.items()}
)
payments = st.fixed_dictionaries(
    {name: values[name] for name in REQUIRED}, optional={name: st.none() | values[name] for name in OPTIONAL}
)
ABSENT = dict.fromkeys(OPTIONAL)


def by_model(text: bytes) -> dict[str, Any] | None:
    """What pydantic reads, None if it refuses."""
    try:
        return Payment.model_validate_json(text).model_dump()
    except ValidationError:
        return None


def by_row(text: bytes) -> dict[str, Any] | None:
    """What the hot path reads, None if it refuses."""
    try:
        row = decode_payment(text)
        return {name: getattr(row, name) for name in Payment.model_fields}
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def with_raw(field: str, raw: str) -> bytes:
    """The valid payment with a field's JSON replaced, or added."""
    members = {name: json.dumps(value) for name, value in VALID.items()} | {field: raw}
    return ("{" + ",".join(f'"{name}":{value}' for name, value in members.items()) + "}").encode()


def without(field: str) -> bytes:
    return json.dumps({name: value for name, value in VALID.items() if name != field}).encode()


# -- one verdict ---------------------------------------------------------------------------------------------


@given(payments)
def test_both_take_every_valid_payment_and_read_the_same(payment):
    text = json.dumps(payment, ensure_ascii=False).encode()
    assert by_model(text) == by_row(text) == ABSENT | payment


WRONG_EVERYWHERE = ("true", "false", "[]", "{}", "NaN", "1.5", "-1", '"\\ud800"', '"a', "", "null")
WRONG_NUMBERS = ("0", "1.0", "1e3", '"1"', '""', "01", "+1", "1e400", "99999999999999999999", "-0")
WRONG_TEXTS = ('""', "1", f'"{"x" * 65}"', f'"{"đ" * 65}"', f'"{"😀" * 65}"', '"\t"', "'a'")
WRONG_CHOICES = ('""', '"Cash"', '"cheque"', "0", '["cash"]')
WRONG = [
    *(
        (name, raw)
        for name in Payment.model_fields
        for raw in WRONG_EVERYWHERE
        if not (name in OPTIONAL and raw == "null")
    ),
    *((name, raw) for name in NUMBERS for raw in WRONG_NUMBERS),
    *((name, str(low - 1)) for name, (low, _) in NUMBERS.items()),
    *((name, str(high + 1)) for name, (_, high) in NUMBERS.items()),
    *((name, raw) for name in TEXTS for raw in WRONG_TEXTS),
    *((name, raw) for name in CHOICES for raw in WRONG_CHOICES),
    *(("extra", raw) for raw in ("null", "1", '"x"')),
    ("Run", '"r"'),
]


@pytest.mark.parametrize(("field", "raw"), WRONG)
def test_both_refuse(field, raw):
    text = with_raw(field, raw)
    assert by_model(text) is None
    assert by_row(text) is None


@pytest.mark.parametrize("field", REQUIRED)
def test_both_refuse_without_a_field(field):
    assert by_model(without(field)) is None
    assert by_row(without(field)) is None


RIGHT = [
    *((name, str(limit)) for name, limits in NUMBERS.items() for limit in limits),
    *((name, json.dumps(choice)) for name, choices in CHOICES.items() for choice in choices),
    *((name, raw) for name in TEXTS for raw in ('"x"', f'"{"đ" * 64}"', f'"{"😀" * 64}"', '"\\ud83d\\ude00"', '"\\/"')),
    *((name, "null") for name in OPTIONAL),
]


@pytest.mark.parametrize(("field", "raw"), RIGHT)
def test_both_take(field, raw):
    text = with_raw(field, raw)
    assert by_model(text) == by_row(text) == VALID | {field: json.loads(raw)}


@pytest.mark.parametrize("field", OPTIONAL)
def test_what_most_payments_do_not_have_may_be_left_out(field):
    assert by_model(without(field)) == by_row(without(field)) == VALID | {field: None}


@pytest.mark.parametrize(
    "text",
    [b"", b" ", b"null", b"[]", b"1", b"{}", b'"x"', b"\xff", b'{"run":"\xff"}', b'{"run":' + b"[" * 100_000],
)
def test_both_refuse_what_is_no_object_of_text(text):
    assert by_model(text) is None
    assert by_row(text) is None


EDITS = st.lists(
    st.tuples(st.integers(0, 400), st.sampled_from(["set", "cut", "add"]), st.binary(min_size=1, max_size=2)),
    min_size=1,
    max_size=2,
)


@given(payments, EDITS)
def test_both_agree_on_damaged_text(payment, edits):
    text = bytearray(json.dumps(payment, ensure_ascii=False).encode())
    for at, what, by in edits:
        place = at % len(text)
        text[place : place + (what != "add")] = b"" if what == "cut" else by
    assert by_model(bytes(text)) == by_row(bytes(text))


@given(
    st.sampled_from([*VALID, "extra"]),
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists),
)
def test_both_agree_on_any_value_of_any_field(field, value):
    text = with_raw(field, json.dumps(value))
    assert by_model(text) == by_row(text)


def test_a_name_given_twice_counts_by_its_last_value_but_the_row_checks_the_first_too():
    twice = with_raw("run", '"first","run":"last"')
    assert by_model(twice) == by_row(twice) == VALID | {"run": "last"}
    wrong_first = with_raw("run", '1,"run":"last"')
    assert by_model(wrong_first) == VALID | {"run": "last"}
    assert by_row(wrong_first) is None  # a record that no producer of ours writes: set aside, which is safe


# -- the models ----------------------------------------------------------------------------------------------


def test_the_row_has_the_fields_of_the_model():
    assert PaymentRow.__struct_fields__ == tuple(Payment.model_fields)
    assert PaymentRow.__struct_config__.forbid_unknown_fields


def test_methods_and_statuses_are_what_the_types_say():
    assert get_args(events.Method) == METHODS
    assert get_args(events.Status) == STATUSES
    assert get_args(events.Sector) == SECTORS
    assert get_args(events.FailureReason) == FAILURE_REASONS
    assert get_args(events.TruthLabel) == TRUTH_LABELS


CONTRACTS = sorted({schema for topic in TOPICS for schema in values_of(topic)}, key=lambda model: model.__name__)


@pytest.mark.parametrize("model", [*CONTRACTS, MethodTally])
def test_every_contract_is_frozen_strict_and_closed(model):
    assert issubclass(model, Contract)
    assert {name: model.model_config.get(name) for name in ("frozen", "strict", "extra")} == {
        "frozen": True,
        "strict": True,
        "extra": "forbid",
    }


@pytest.mark.parametrize("model", CONTRACTS)
def test_every_contract_has_a_version(model):
    assert model.model_fields["schema_version"].is_required()
    for wrong in (0, 2, True, 1.0, "1", None):
        with pytest.raises(ValidationError, match="schema_version"):
            model.model_validate_json(json.dumps({"schema_version": wrong}))


def test_a_payment_does_not_change():
    payment = Payment.model_validate(VALID)
    with pytest.raises(ValidationError, match="frozen"):
        payment.amount_vnd = 1


def test_a_cell_of_another_form_is_refused():
    cell = {"schema_version": 1, "run": "r", "cell": "cong-su", "kind": "market", "name": "Chợ Cống Sự", "sources": 0}
    places = {"commune": "c", "commune_name": "C", "province": "p", "province_name": "P", "sector": "water"}
    assert Cell.model_validate(cell | places).name == "Chợ Cống Sự"
    for wrong in ("", "Cong-Su", "cong su", "cong--su", "-a", "a|b", "a/", "x" * 65):
        with pytest.raises(ValidationError, match="cell"):
            Cell.model_validate(cell | places | {"cell": wrong})


def test_the_truth_of_a_payment_names_it_and_what_is_true():
    truth = {"schema_version": 1, "run": "r", "payment_id": "0123456789ab-7", "source": "cong-su/0042"}
    truth |= {"commune": "u-minh", "sector": "market_stall", "label": "fraud", "occurred_at": MIN_TIME_MS}
    assert Truth.model_validate(truth).detail is None
    assert Truth.model_validate(truth | {"detail": "swap-1"}).detail == "swap-1"
    for field, wrong in (("label", "theft"), ("label", None), ("payment_id", ""), ("occurred_at", 0), ("tip", 1)):
        with pytest.raises(ValidationError, match=field):
            Truth.model_validate(truth | {field: wrong})


def test_a_run_tells_the_hash_of_its_scenario():
    run = {"schema_version": 1, "run": "r", "scenario": "an-giang", "province": "an-giang", "seed": 57}
    run |= {"started_at": MIN_TIME_MS, "version": "1"}
    assert RunStarted.model_validate(run).scenario_hash is None
    assert RunStarted.model_validate(run | {"scenario_hash": "0f" * 32}).scenario_hash == "0f" * 32
    for wrong in ("", "0f" * 31, "0F" * 32, "0f" * 32 + "\n", "0g" * 32):
        with pytest.raises(ValidationError, match="scenario_hash"):
            RunStarted.model_validate(run | {"scenario_hash": wrong})


def test_faults_are_counted_from_nothing():
    faults = RunFaults(schema_version=1, run="r", shard="cong-su")
    assert (faults.duplicates, faults.malformed, faults.late, faults.out_of_order) == (0, 0, 0, 0)
    with pytest.raises(ValidationError, match="late"):
        RunFaults(schema_version=1, run="r", shard="cong-su", late=-1)


# -- ids and the wire form -----------------------------------------------------------------------------------


def test_a_payment_id_is_the_hash_of_run_and_source_and_the_sequence():
    key = blake2b(b"an-giang-s57\ncong-su/0001", digest_size=6).hexdigest()
    assert source_key("an-giang-s57", "cong-su/0001") == key == "904be560d818"
    assert payment_id("an-giang-s57", "cong-su/0001", 12) == f"{key}-12"


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("ab"), st.integers(1, 99)), unique=True, min_size=2))
def test_payment_ids_differ_where_run_source_or_sequence_differ(places):
    assert len({payment_id(*place) for place in places}) == len(places)


def test_the_longest_id_of_a_source_leaves_room_for_the_largest_sequence():
    assert by_row(with_raw("payment_id", json.dumps(payment_id("r", "s", 2**53 - 1)))) is not None


@given(payments)
def test_encoding_is_compact_leaves_out_none_and_reads_back(payment):
    record = Payment.model_validate(payment)
    text = encode(record)
    filled = {name: value for name, value in payment.items() if value is not None}
    assert json.loads(text) == filled
    assert len(text) == len(json.dumps(filled, ensure_ascii=False, separators=(",", ":")).encode())
    assert by_model(text) == record.model_dump()


def test_encoding_nests_and_keeps_vietnamese_letters():
    entry = LedgerEntry(
        schema_version=1,
        run="r",
        cell="c",
        commune="c",
        sector="water",
        day="2025-11-17",
        tallies={"cash": MethodTally(settled=2, amount_vnd=3)},
    )
    assert encode(entry) == (
        b'{"kind":"cell_day","schema_version":1,"run":"r","cell":"c","commune":"c","sector":"water",'
        b'"day":"2025-11-17","tallies":{"cash":{"settled":2,"failed":0,"amount_vnd":3,"reversed":0,"reversed_vnd":0}}}'
    )
    assert LedgerEntry.model_validate_json(encode(entry)) == entry
    assert "đồng".encode() in encode(Payment.model_validate(VALID | {"run": "đồng"}))


@pytest.mark.parametrize("amount", [None, 15_000])
def test_a_row_is_written_as_its_model_is(amount):
    fields = {"schema_version": 1, "run": "r", "code": "c", "source": "s", "commune": "u-minh", "kind": "static"}
    fields |= {"payload": "0002", "amount_vnd": amount, "issued_at": MIN_TIME_MS}
    row = struct_of(QrCode)(**fields)
    assert msgspec.json.encode(row) == encode(QrCode.model_validate(fields))
