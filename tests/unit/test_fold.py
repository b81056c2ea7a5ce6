"""The fold, record by record: what is set aside and why, what is late, what fails, what is looked up."""

from __future__ import annotations

import json
from functools import partial

import pytest

from producers.encoding import partition_of
from schemas.events import DeadLetterReason
from streams.cells import CellState, close
from streams.fold import MAX_DETAIL, Folded, PartitionFold, PartitionState
from streams.tallies import of_lanes
from tests.cell_reading import as_document, open_days, paid_on, payments
from tests.stream_model import (
    HOUR_MS,
    MIDNIGHT_MS,
    NOWHERE,
    PLACES,
    Cells,
    Record,
    log_of,
    payment,
    wire,
)

MARKET, ELECTRICITY, OTHER_MARKET = PLACES[0], PLACES[1], PLACES[2]
LATENESS_MS = 2 * HOUR_MS
DAY_MS = 24 * HOUR_MS
GOOD = payment(MARKET, "good", 1)


def new_fold(lateness_ms: int = LATENESS_MS) -> PartitionFold:
    return PartitionFold(PartitionState(partition=0), [], lateness_ms)


def apply(fold: PartitionFold, records: list[Record], cells: Cells | None = None, *, fresh: bool = True) -> Folded:
    return fold.apply(records, cells or Cells(), registry_is_fresh=fresh)


def only(fold: PartitionFold) -> CellState:
    (cell,) = fold.cells
    return cell


def without(field: str) -> bytes:
    return wire({name: value for name, value in GOOD.items() if name != field})


def with_text(old: bytes, new: bytes) -> bytes:
    assert old in wire(GOOD)
    return wire(GOOD).replace(old, new)


SET_ASIDE: dict[str, tuple[bytes | None, DeadLetterReason]] = {
    "None": (None, DeadLetterReason.MALFORMED),
    "nothing": (b"", DeadLetterReason.MALFORMED),
    "not JSON": (b"hello", DeadLetterReason.MALFORMED),
    "cut off": (wire(GOOD)[:-1], DeadLetterReason.MALFORMED),
    "more after it": (wire(GOOD) + b"{}", DeadLetterReason.MALFORMED),
    "not an object": (b"[]", DeadLetterReason.MALFORMED),
    "null": (b"null", DeadLetterReason.MALFORMED),
    "too deep": (b"[" * 100_000, DeadLetterReason.MALFORMED),
    "too deep in a field": (with_text(b'"cash"', b"[" * 100_000), DeadLetterReason.MALFORMED),
    "not UTF-8": (b"\xff\xfe{}", DeadLetterReason.MALFORMED),
    "text not UTF-8": (with_text(b'"good"', b'"\xff"'), DeadLetterReason.MALFORMED),
    "half a surrogate": (with_text(b'"good"', rb'"\ud800"'), DeadLetterReason.MALFORMED),
    "missing field": (without("sequence"), DeadLetterReason.MALFORMED),
    "missing amount": (without("amount_vnd"), DeadLetterReason.MALFORMED),
    "missing version": (without("schema_version"), DeadLetterReason.MALFORMED),
    "extra field": (wire({**GOOD, "tip": 5}), DeadLetterReason.MALFORMED),
    "extra field of a long name": (wire({**GOOD, "x" * 100_000: 5}), DeadLetterReason.MALFORMED),
    "wrong type": (wire({**GOOD, "sequence": "1"}), DeadLetterReason.MALFORMED),
    "sequence 0": (wire({**GOOD, "sequence": 0}), DeadLetterReason.MALFORMED),
    "unknown method": (wire({**GOOD, "method": "barter"}), DeadLetterReason.MALFORMED),
    "unknown status": (wire({**GOOD, "status": "pending"}), DeadLetterReason.MALFORMED),
    "no source": (wire({**GOOD, "source": ""}), DeadLetterReason.MALFORMED),
    "long source": (wire({**GOOD, "source": "s" * 65}), DeadLetterReason.MALFORMED),
    "version true": (wire({**GOOD, "schema_version": True}), DeadLetterReason.MALFORMED),
    "version 2": (wire({**GOOD, "schema_version": 2}), DeadLetterReason.VERSION),
    "version 2, other fields": (wire({"schema_version": 2, "amount": 5}), DeadLetterReason.VERSION),
    "version 2, impossible amount": (wire({**GOOD, "schema_version": 2, "amount_vnd": 0}), DeadLetterReason.VERSION),
    "long version": (wire({**GOOD, "schema_version": "9" * 100_000}), DeadLetterReason.VERSION),
    "amount 0": (wire({**GOOD, "amount_vnd": 0}), DeadLetterReason.AMOUNT),
    "amount below 0": (wire({**GOOD, "amount_vnd": -5}), DeadLetterReason.AMOUNT),
    "amount too large": (wire({**GOOD, "amount_vnd": 10_000_000_001}), DeadLetterReason.AMOUNT),
    "amount far too large": (wire({**GOOD, "amount_vnd": 10**300}), DeadLetterReason.AMOUNT),
    "amount with a fraction": (wire({**GOOD, "amount_vnd": 0.5}), DeadLetterReason.AMOUNT),
    "time before 2000": (wire({**GOOD, "occurred_at": 946_684_799_999}), DeadLetterReason.TIME),
    "time in 2100": (wire({**GOOD, "occurred_at": 4_102_444_800_000}), DeadLetterReason.TIME),
    "time in seconds": (wire({**GOOD, "occurred_at": MIDNIGHT_MS // 1000}), DeadLetterReason.TIME),
    "unknown cell": (wire(payment(NOWHERE)), DeadLetterReason.UNKNOWN_CELL),
    "cell of another run": (wire({**payment(OTHER_MARKET), "run": "run-2"}), DeadLetterReason.UNKNOWN_CELL),
    "cell of another commune": (wire({**GOOD, "commune": "tan-loc"}), DeadLetterReason.UNKNOWN_CELL),
    "cell of another sector": (wire({**GOOD, "sector": "water"}), DeadLetterReason.UNKNOWN_CELL),
}


@pytest.mark.parametrize(("value", "reason"), SET_ASIDE.values(), ids=SET_ASIDE.keys())
def test_what_is_wrong_is_set_aside_and_the_worker_lives_on(value, reason):
    fold = new_fold()
    bad = Record(1, value)
    folded = apply(fold, [Record(0, wire(GOOD)), bad, Record(2, wire({**GOOD, "sequence": 2}))])
    (letter,) = folded.dead_letters
    assert (letter.record, letter.reason) == (bad, reason)
    assert 0 < len(letter.detail) <= MAX_DETAIL
    letter.detail.encode()
    assert folded.consumed == 3
    state = fold.state
    assert (state.next_offset, state.processed, state.applied, state.duplicates) == (3, 3, 2, 0)
    assert state.dead_letters == {reason.value: 1}
    assert payments(only(fold).total()) == 2


@pytest.mark.parametrize("value", [wire({**GOOD, "commune": "tan-loc"}), wire(payment(NOWHERE))])
def test_what_is_set_aside_leaves_no_cell(value):
    fold = new_fold()
    assert apply(fold, [Record(0, value)]).touched == []
    assert list(fold.cells) == []
    assert fold.state.watermarks == {}


def test_a_record_set_aside_for_its_place_moves_no_time():
    fold = new_fold()
    apply(fold, log_of(GOOD))
    before = fold.watermark_hours()
    wrong = payment(MARKET, "good", 2, commune="tan-loc", occurred_at=MIDNIGHT_MS + 9 * DAY_MS)
    apply(fold, [Record(1, wire(wrong))])
    assert fold.watermark_hours() == before


def test_the_longest_numbers_of_json_are_set_aside():
    amount = wire(GOOD).replace(b"20000", b"2" * 6000)
    folded = apply(new_fold(), [Record(0, amount)])
    assert [letter.reason for letter in folded.dead_letters] == [DeadLetterReason.AMOUNT]


def test_settled_failed_and_reversed_by_method():
    fold = new_fold()
    apply(
        fold,
        log_of(
            payment(sequence=1, method="vietqr", amount_vnd=30_000),
            payment(sequence=2, method="vietqr", amount_vnd=50_000, status="failed"),
            payment(sequence=3, method="cash", amount_vnd=7_000),
            payment(sequence=4, method="vietqr", amount_vnd=30_000, status="reversed", refers_to="s-1"),
            payment(sequence=5, method="card", amount_vnd=9_000, status="reversed"),
        ),
    )
    assert as_document(only(fold).total()) == {
        "cash": {"settled": 1, "failed": 0, "amount_vnd": 7_000},
        "vietqr": {"settled": 1, "failed": 1, "amount_vnd": 30_000, "reversed": 1, "reversed_vnd": 30_000},
        "card": {"settled": 0, "failed": 0, "amount_vnd": 0, "reversed": 1, "reversed_vnd": 9_000},
    }
    assert fold.state.applied == 5


def test_a_late_reversal_counts_as_one():
    fold = new_fold()
    apply(fold, log_of(at(0.5, 1), at(8, 2), at(0.6, 3, status="reversed", amount_vnd=20_000)))
    assert as_document(only(fold).total()) == {
        "cash": {"settled": 2, "failed": 0, "amount_vnd": 40_000, "reversed": 1, "reversed_vnd": 20_000}
    }
    assert (only(fold).late, fold.state.applied) == (1, 3)


def test_a_repeat_counts_once_whatever_it_says():
    fold = new_fold()
    folded = apply(fold, log_of(payment(), payment(amount_vnd=99_000, status="failed"), payment(MARKET, "t")))
    assert as_document(only(fold).total())["cash"] == {"settled": 2, "failed": 0, "amount_vnd": 40_000}
    assert (fold.state.applied, fold.state.duplicates, only(fold).duplicates) == (2, 1, 1)
    assert [cell.cell for cell in folded.touched] == [MARKET.cell]


def at(hours: float, sequence: int, **changes: object) -> dict[str, object]:
    return payment(sequence=sequence, occurred_at=MIDNIGHT_MS + int(hours * HOUR_MS), **changes)


def test_an_hour_closes_when_the_lateness_has_passed():
    fold = new_fold()
    apply(fold, log_of(at(0.5, 1), at(2.999, 2), at(0.6, 3)))
    assert fold.state.late == 0
    apply(fold, [Record(3, wire(at(3, 4))), Record(4, wire(at(0.7, 5)))])
    assert (fold.state.late, only(fold).late, fold.state.applied) == (1, 1, 5)


def test_late_for_its_hour_it_is_in_its_day():
    fold = new_fold()
    apply(fold, log_of(at(0.5, 1), at(8, 2), at(0.6, 3, amount_vnd=1000), at(0.7, 4, status="failed")))
    cell, hour, day = only(fold), MIDNIGHT_MS // HOUR_MS, (MIDNIGHT_MS + 7 * HOUR_MS) // DAY_MS
    assert as_document(of_lanes(cell.hours[hour])) == {"cash": {"settled": 1, "failed": 0, "amount_vnd": 20_000}}
    assert as_document(paid_on(cell, day)) == {"cash": {"settled": 3, "failed": 1, "amount_vnd": 41_000}}
    assert as_document(cell.total()) == as_document(paid_on(cell, day))
    assert as_document(cell.outside) == {}
    assert cell.late == 2


def test_late_for_its_day_it_is_beside_all_windows():
    fold = new_fold()
    apply(fold, log_of(at(23.9, 1), at(25.999, 2), at(23.8, 3), at(26, 4), at(23.7, 5, amount_vnd=1000)))
    cell, day = only(fold), (MIDNIGHT_MS + 7 * HOUR_MS) // DAY_MS
    assert as_document(paid_on(cell, day))["cash"]["settled"] == 2
    assert as_document(cell.outside) == {"cash": {"settled": 1, "failed": 0, "amount_vnd": 1_000}}
    assert as_document(cell.total())["cash"]["settled"] == 5
    assert cell.late == 1


def test_a_window_that_has_left_stays_left():
    """A payment for an hour and a day that are gone opens neither again."""
    fold = new_fold()
    apply(fold, log_of(at(0.5, 1), at(60, 2)))
    cell = only(fold)
    close(cell, fold.watermark_hours()[MARKET.run], 62)
    total = cell.total()
    apply(fold, [Record(2, wire(at(0.6, 3))), Record(3, wire(at(55, 4)))])
    first_day = (MIDNIGHT_MS + 7 * HOUR_MS) // DAY_MS
    assert MIDNIGHT_MS // HOUR_MS not in cell.hours
    assert open_days(cell) == [first_day + 2]
    assert payments(cell.total()) == payments(total) + 2


def test_more_lateness_after_a_restart_opens_no_window_again():
    fold = new_fold(0)
    apply(fold, log_of(at(0.5, 1), at(5, 2)))
    hours = fold.watermark_hours()
    again = PartitionFold(fold.state, fold.cells, 48 * HOUR_MS)
    assert again.watermark_hours() == hours
    apply(again, [Record(2, wire(at(0.6, 3))), Record(3, wire(at(5.5, 4)))])
    assert again.state.late == 1
    assert as_document(of_lanes(only(again).hours[MIDNIGHT_MS // HOUR_MS]))["cash"]["settled"] == 1


def test_the_time_of_one_run_closes_nothing_of_another():
    fold = new_fold()
    second = PLACES[4]
    assert second.run != MARKET.run
    apply(fold, log_of(at(1000, 1), payment(second, occurred_at=MIDNIGHT_MS), at(1000, 2), at(0, 3)))
    late = {cell.run: cell.late for cell in fold.cells}
    assert late == {MARKET.run: 1, second.run: 0}


def test_a_repeat_is_not_late():
    fold = new_fold()
    apply(fold, log_of(at(0.5, 1), at(60, 2), at(0.5, 1)))
    assert (fold.state.duplicates, fold.state.late) == (1, 0)


def test_an_unknown_cell_stops_the_fold_until_the_registry_is_read_again():
    fold, cells = new_fold(), Cells([MARKET])
    log = [Record(0, b"?"), *log_of(b"", payment(), payment(ELECTRICITY), payment(sequence=2))[1:]]
    folded = apply(fold, log, cells, fresh=False)
    assert folded.consumed == 2
    assert fold.state.next_offset == fold.state.processed == 2
    assert [letter.record.offset for letter in folded.dead_letters] == [0]
    assert apply(fold, log[2:], cells, fresh=False).consumed == 0
    assert fold.state.next_offset == fold.state.processed == 2
    rest = apply(fold, log[2:], Cells(), fresh=True)
    assert (rest.consumed, rest.dead_letters) == (2, [])
    assert (fold.state.next_offset, fold.state.applied) == (4, 3)
    assert {cell.cell: cell.applied_offset for cell in fold.cells} == {MARKET.cell: 3, ELECTRICITY.cell: 2}


def test_unknown_to_a_fresh_registry_it_is_set_aside():
    fold = new_fold()
    folded = apply(fold, log_of(payment(), payment(ELECTRICITY), payment(sequence=2)), Cells([MARKET]), fresh=True)
    assert [(letter.record.offset, letter.reason) for letter in folded.dead_letters] == [
        (1, DeadLetterReason.UNKNOWN_CELL)
    ]
    assert ELECTRICITY.cell in folded.dead_letters[0].detail
    assert (folded.consumed, fold.state.applied) == (3, 2)


def test_known_cells_need_no_registry():
    fold = new_fold()
    apply(fold, log_of(payment()))
    assert apply(fold, [Record(1, wire(payment(sequence=2)))], Cells([]), fresh=False).consumed == 1


def test_a_new_cell_is_as_it_was_announced():
    fold = new_fold()
    apply(fold, log_of(payment(ELECTRICITY)))
    cell = only(fold)
    assert (cell.run, cell.cell, cell.commune, cell.sector, cell.province) == (
        "run-1",
        "binh-an/electricity",
        "binh-an",
        "electricity",
        "an-giang",
    )


def test_probes_are_read_from_headers():
    value = wire(payment())
    folded = apply(new_fold(), [Record(0, value, [("batch", b"1700000000000"), ("sent_at", b"1700000000123")])])
    assert folded.probes == [1_700_000_000_123]


@pytest.mark.parametrize("value", [None, b"", b"soon", b"-5", b"1.5", b"9" * 5000, "١".encode()])
def test_a_probe_that_is_no_time_is_passed_over(value):
    fold = new_fold()
    assert apply(fold, [Record(0, wire(payment()), [("sent_at", value)])]).probes == []
    assert fold.state.applied == 1


def test_gaps_in_offsets_are_nothing():
    fold = new_fold()
    log = [Record(5, wire(payment())), Record(9, wire(payment(sequence=2))), Record(12, b"")]
    apply(fold, log)
    assert (fold.state.next_offset, fold.state.processed) == (13, 3)
    assert only(fold).applied_offset == 9


def test_nothing_folds_to_nothing():
    fold = new_fold()
    folded = apply(fold, [])
    assert (folded.consumed, folded.touched, fold.state.next_offset) == (0, [], 0)


def test_the_wire_form_of_the_tests_is_the_contract():
    assert json.loads(wire(GOOD)) == GOOD
    assert new_fold().apply(log_of(GOOD), Cells(), registry_is_fresh=True).dead_letters == []


def test_a_payment_on_another_partition_than_its_communes_is_misrouted() -> None:
    home = partition_of(GOOD["commune"].encode(), 4)
    for number, reasons in ((home, {}), ((home + 1) % 4, {"misrouted": 1})):
        belongs = partial(lambda number, commune: partition_of(commune.encode(), 4) == number, number)
        fold = PartitionFold(PartitionState(partition=number), [], LATENESS_MS, belongs=belongs)
        folded = apply(fold, log_of(wire(GOOD)))
        assert fold.state.dead_letters == reasons
        assert len(fold.cells) == (not reasons)
        assert folded.consumed == 1
