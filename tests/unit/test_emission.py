"""What is told of a place: records as the contract has them, sums, shares, keys, borders of days, what is final."""

from __future__ import annotations

import datetime as dt
import json
import random

import msgspec
import pytest

from schemas.events import Adoption
from schemas.topics import ADOPTION_COMMUNE, ADOPTION_MARKET
from streams.cells import CellState
from streams.emission import Emission, emissions
from streams.fold import PartitionFold, PartitionState
from tests.stream_model import HOUR_MS, LOCAL, MIDNIGHT_MS, PLACES, Cells, Record, log_of, payment, random_log

MARKET, ELECTRICITY, OTHER_MARKET, WATER, OTHER_RUN = PLACES
LATENESS_MS = 2 * HOUR_MS
DAY_MS = 24 * HOUR_MS
NOW = 1_700_000_000_000


def folded(*documents: dict[str, object], lateness_ms: int = LATENESS_MS) -> PartitionFold:
    fold = PartitionFold(PartitionState(partition=0), [], lateness_ms)
    fold.apply(log_of(*documents), Cells(), registry_is_fresh=True)
    return fold


def told(fold: PartitionFold, touched: list[CellState] | None = None) -> dict[tuple[str, str], Emission]:
    cells = fold.cells if touched is None else touched
    records = emissions(cells, fold.cells, fold.watermark_hours())
    found = [msgspec.structs.replace(one, document=msgspec.to_builtins(one.document)) for one in records]
    by_key = {(one.topic, one.key): one for one in found}
    assert len(by_key) == len(found)
    return by_key


def of_commune(fold: PartitionFold, window: str) -> list[dict[str, object]]:
    return [
        one.document
        for (topic, _), one in told(fold).items()
        if topic == ADOPTION_COMMUNE and one.document["window"] == window
    ]


@pytest.mark.parametrize("seed", range(20))
def test_records_are_as_the_contract_has_them(seed):
    fold = PartitionFold(PartitionState(partition=0), [], LATENESS_MS)
    fold.apply(random_log(random.Random(seed), 60), Cells(), registry_is_fresh=True)
    records = told(fold)
    assert records
    for (topic, key), one in records.items():
        record = Adoption.model_validate_json(one.value(NOW))
        start = "" if record.window == "total" else f"|{record.start_at}"
        place = record.market if topic == ADOPTION_MARKET else record.commune
        assert key == f"{record.run}|{place}|{record.window}{start}"
        assert (record.market is None) == (topic == ADOPTION_COMMUNE)
        assert record.emitted_at == NOW
        assert record.province == "an-giang"
        assert record.revision == sum(
            tally.settled + tally.failed + tally.reversed for tally in record.tallies.values()
        )
        assert (record.start_at is None) == (record.end_at is None) == (record.window == "total")
        if record.end_at is not None and record.start_at is not None:
            assert record.end_at - record.start_at == {"hour": HOUR_MS, "day": DAY_MS}[record.window]


def test_shares_by_count_and_value():
    fold = folded(
        payment(sequence=1, method="cash", amount_vnd=60_000),
        payment(sequence=2, method="vietqr", amount_vnd=20_000),
        payment(sequence=3, method="card", amount_vnd=10_000),
        payment(sequence=4, method="bank_transfer", amount_vnd=10_000),
        payment(sequence=5, method="e_wallet", amount_vnd=900_000, status="failed"),
    )
    for one in told(fold).values():
        assert one.document["cashless_share_count"] == 0.75
        assert one.document["cashless_share_value"] == 0.4
        assert one.document["revision"] == 5


def test_a_reversal_is_told_and_changes_no_share():
    paid = (payment(sequence=1, method="cash"), payment(sequence=2, method="vietqr"))
    back = payment(sequence=3, method="vietqr", status="reversed", refers_to="s-2")
    before, after = told(folded(*paid)), told(folded(*paid, back))
    assert before.keys() == after.keys()
    for place, one in after.items():
        assert one.document["cashless_share_count"] == one.document["cashless_share_value"] == 0.5
        assert one.document["revision"] == before[place].document["revision"] + 1
        record = Adoption.model_validate_json(one.value(NOW))
        tally = record.tallies["vietqr"]
        assert (tally.settled, tally.reversed, tally.amount_vnd, tally.reversed_vnd) == (1, 1, 20_000, 20_000)
        assert record.tallies["cash"].reversed == 0
        assert set(one.document["tallies"]["cash"]) == {"settled", "failed", "amount_vnd"}


@pytest.mark.parametrize(("method", "share"), [("cash", 0.0), ("vietqr", 1.0)])
def test_shares_of_one_method(method, share):
    (total,) = of_commune(folded(payment(method=method)), "total")
    assert (total["cashless_share_count"], total["cashless_share_value"]) == (share, share)


def test_no_share_without_settled_payments():
    for one in told(folded(payment(status="failed", method="vietqr"))).values():
        assert not [name for name in one.document if name.startswith("cashless_share")]
        record = Adoption.model_validate_json(one.value(NOW))
        assert (record.cashless_share_count, record.tallies["vietqr"].failed, record.revision) == (None, 1, 1)


def test_a_commune_is_the_sum_of_its_cells():
    fold = folded(
        payment(MARKET, sequence=1, amount_vnd=1_000),
        payment(ELECTRICITY, sequence=1, amount_vnd=500_000, method="vietqr"),
        payment(ELECTRICITY, sequence=2, amount_vnd=300_000),
        payment(WATER, sequence=1, amount_vnd=70_000),
        payment(OTHER_RUN, sequence=1, amount_vnd=9_000),
    )
    records = told(fold)
    assert {key for topic, key in records if key.endswith("total") and topic == ADOPTION_COMMUNE} == {
        "run-1|binh-an|total",
        "run-1|tan-loc|total",
        "run-2|binh-an|total",
    }
    document = records[ADOPTION_COMMUNE, "run-1|binh-an|total"].document
    assert document["tallies"] == {
        "cash": {"settled": 2, "failed": 0, "amount_vnd": 301_000},
        "vietqr": {"settled": 1, "failed": 0, "amount_vnd": 500_000},
    }
    assert document["by_sector"] == {
        "market_stall": {"cash": {"settled": 1, "failed": 0, "amount_vnd": 1_000}},
        "electricity": {
            "cash": {"settled": 1, "failed": 0, "amount_vnd": 300_000},
            "vietqr": {"settled": 1, "failed": 0, "amount_vnd": 500_000},
        },
    }
    assert records[ADOPTION_COMMUNE, f"run-1|binh-an|day|{MIDNIGHT_MS}"].document["tallies"] == document["tallies"]
    assert records[ADOPTION_COMMUNE, f"run-1|binh-an|hour|{MIDNIGHT_MS}"].document["by_sector"] == document["by_sector"]


def test_two_markets_of_a_commune_add_up():
    place = type(MARKET)("run-1", "cho-dem", MARKET.commune, "market_stall")
    fold = PartitionFold(PartitionState(partition=0), [], LATENESS_MS)
    log = log_of(payment(MARKET, amount_vnd=1_000), payment(place, amount_vnd=2_000))
    fold.apply(log, Cells([MARKET, place]), registry_is_fresh=True)
    records = told(fold)
    whole = records[ADOPTION_COMMUNE, "run-1|binh-an|total"].document
    assert whole["by_sector"] == {"market_stall": {"cash": {"settled": 2, "failed": 0, "amount_vnd": 3_000}}}
    amounts = {
        key: one.document["tallies"]["cash"]["amount_vnd"]
        for (topic, key), one in records.items()
        if topic == ADOPTION_MARKET and key.endswith("total")
    }
    assert amounts == {"run-1|cho-binh-an|total": 1_000, "run-1|cho-dem|total": 2_000}


def test_only_what_was_touched_is_told_and_its_commune_in_full():
    fold = folded(payment(MARKET), payment(ELECTRICITY), payment(OTHER_MARKET), payment(OTHER_RUN))
    touched = [cell for cell in fold.cells if cell.cell == ELECTRICITY.cell]
    records = told(fold, touched)
    assert {topic for topic, _ in records} == {ADOPTION_COMMUNE}
    assert {one.document["run"] + one.document["commune"] for one in records.values()} == {"run-1binh-an"}
    assert records[ADOPTION_COMMUNE, "run-1|binh-an|total"].document["revision"] == 2


def test_bills_have_no_market():
    assert {topic for topic, _ in told(folded(payment(WATER)))} == {ADOPTION_COMMUNE}


def test_local_days_begin_at_17_hours_utc():
    assert dt.datetime.fromtimestamp(MIDNIGHT_MS / 1000, dt.UTC).hour == 17
    fold = folded(
        payment(sequence=1, occurred_at=MIDNIGHT_MS - 1),
        payment(sequence=2, occurred_at=MIDNIGHT_MS),
        payment(sequence=3, occurred_at=MIDNIGHT_MS + DAY_MS - 1),
    )
    days = {one["start_at"]: one for one in of_commune(fold, "day")}
    assert {start: one["revision"] for start, one in days.items()} == {MIDNIGHT_MS - DAY_MS: 1, MIDNIGHT_MS: 2}
    for start, one in days.items():
        assert dt.datetime.fromtimestamp(start / 1000, LOCAL).time() == dt.time(0)
        assert one["end_at"] == start + DAY_MS


def test_hours_hold_their_begin_and_not_their_end():
    fold = folded(
        payment(sequence=1, occurred_at=MIDNIGHT_MS),
        payment(sequence=2, occurred_at=MIDNIGHT_MS + HOUR_MS - 1),
        payment(sequence=3, occurred_at=MIDNIGHT_MS + HOUR_MS),
    )
    hours = {one["start_at"]: one["revision"] for one in of_commune(fold, "hour")}
    assert hours == {MIDNIGHT_MS: 2, MIDNIGHT_MS + HOUR_MS: 1}


@pytest.mark.parametrize(
    ("newest", "final_hours", "final_days"),
    [
        (DAY_MS + LATENESS_MS - 1, [0], []),
        (HOUR_MS + LATENESS_MS - 1, [], []),
        (HOUR_MS + LATENESS_MS, [0], []),
        (DAY_MS + LATENESS_MS, [0, 23], [0]),
    ],
)
def test_a_window_is_final_when_the_lateness_has_passed(newest, final_hours, final_days):
    fold = folded(
        payment(sequence=1, occurred_at=MIDNIGHT_MS + 5),
        payment(sequence=2, occurred_at=MIDNIGHT_MS + min(newest, DAY_MS - 5)),
        payment(sequence=3, occurred_at=MIDNIGHT_MS + newest),
    )

    def final(window: str, length: int) -> list[int]:
        documents = [one for one in of_commune(fold, window) if one["final"]]
        return [(one["start_at"] - MIDNIGHT_MS) // length for one in documents]

    assert final("hour", HOUR_MS) == final_hours
    assert final("day", DAY_MS) == final_days
    assert not any(one["final"] for one in of_commune(fold, "total"))


def test_totals_say_what_was_repeated_late_and_outside():
    fold = folded(
        payment(MARKET, sequence=1, occurred_at=MIDNIGHT_MS),
        payment(MARKET, sequence=1, occurred_at=MIDNIGHT_MS),
        payment(ELECTRICITY, sequence=1, occurred_at=MIDNIGHT_MS + 30 * HOUR_MS),
        payment(ELECTRICITY, sequence=1, occurred_at=MIDNIGHT_MS + 30 * HOUR_MS),
        payment(MARKET, sequence=2, occurred_at=MIDNIGHT_MS + 25 * HOUR_MS),
        payment(ELECTRICITY, sequence=2, occurred_at=MIDNIGHT_MS, amount_vnd=3_000, method="card"),
    )
    records = told(fold)
    commune = records[ADOPTION_COMMUNE, "run-1|binh-an|total"].document
    assert (commune["duplicates"], commune["late"], commune["revision"]) == (2, 2, 4)
    assert commune["outside_windows"] == {"card": {"settled": 1, "failed": 0, "amount_vnd": 3_000}}
    market = records[ADOPTION_MARKET, "run-1|cho-binh-an|total"].document
    assert (market["duplicates"], market["late"], market["outside_windows"]) == (1, 1, {})


def test_the_state_of_a_record_changes_with_all_that_it_says():
    fold = folded(payment(sequence=1))
    log = [
        payment(sequence=2),
        payment(sequence=2),
        payment(sequence=3, occurred_at=MIDNIGHT_MS + 3 * HOUR_MS),
        payment(sequence=4),
        payment(sequence=5, status="reversed"),
    ]
    states = [told(fold)[ADOPTION_COMMUNE, "run-1|binh-an|total"].state]
    for offset, document in enumerate(log, 1):
        fold.apply([Record(offset, log_of(document)[0].value)], Cells(), registry_is_fresh=True)
        states.append(told(fold)[ADOPTION_COMMUNE, "run-1|binh-an|total"].state)
    assert len(set(states)) == len(states)


def test_the_wire_form_is_compact_json():
    (one, *_) = told(folded(payment())).values()
    text = one.value(NOW)
    assert json.loads(text) == {**one.document, "emitted_at": NOW}
    assert b": " not in text
