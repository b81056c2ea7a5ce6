"""Frames of payments and truth say what the records on the wire say; so do files of every format."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.digits import digits
from producers.encoding import PaymentEncoder, PaymentText
from producers.engine import DayOfPayments, ProvinceSimulation
from producers.files.days import DayFiles, labelled
from producers.files.frames import PaymentFrames, frame_of, type_of
from producers.files.province import ProvinceFrames
from producers.simulation.adoption import AdoptionModel
from producers.simulation.status import coverage, status
from producers.simulation.world import World, build_world
from schemas.events import METHODS, STATUSES, Payment, Truth
from schemas.scenario.hashing import canonical, scenario_hash
from schemas.tables import (
    ADOPTION_COMMUNES,
    ADOPTION_MARKETS,
    CELLS,
    COMMUNES,
    INTERVENTIONS,
    MARKETS,
    PAYMENTS,
    TABLES,
    TRUTH,
    WIRE_COLUMNS,
)
from tests.small import small

RUN = "r1"


@pytest.fixture(scope="module")
def world() -> World:
    return build_world(small(), 57)


@pytest.fixture(scope="module")
def day(world: World) -> DayOfPayments:
    """The third day: sources have numbers behind them."""
    return labelled(world, list(ProvinceSimulation(world).days(3))[-1])


def test_a_frame_of_payments_says_what_the_wire_says(world, day):
    lines = PaymentText(world, RUN).lines(day.payments, day.sequence)
    wire = [json.loads(line) for line in lines]
    rows = PaymentFrames(world, RUN).payments(day).to_dicts()
    assert len(rows) == len(wire) > 1000
    for row, record in zip(rows, wire, strict=True):
        assert {key: value for key, value in row.items() if value is not None} == {
            key: value for key, value in record.items() if key not in {"schema_version", "run"}
        }
    for name in ("beneficiary", "bill_number", "failure_reason", "attempt", "refers_to"):
        assert any(row[name] for row in rows), name


def test_swapped_codes_are_in_the_frame(world, day):
    frames = PaymentFrames(world, RUN)
    payments, truth = frames.payments(day), frames.truth(day)
    fraud = truth.filter(pl.col("label") == "fraud")["payment_id"]
    led_astray = payments.filter(pl.col("beneficiary").cast(pl.String).str.starts_with("SIMX"))["payment_id"]
    assert len(fraud) > 10
    assert sorted(fraud) == sorted(led_astray)


def test_a_frame_of_truth_says_what_the_wire_says(world, day):
    wire = [json.loads(line) for line in PaymentEncoder(world, RUN, 1).truth(day).value]
    rows = PaymentFrames(world, RUN).truth(day).to_dicts()
    assert rows == [{key: record[key] for key in rows[0]} for record in wire]
    assert {row["label"] for row in rows} >= {"fraud", "duplicate", "late", "malformed", "cash_after_failure"}


@given(st.lists(st.integers(0, 200_000), max_size=50))
def test_digits_are_those_of_the_number(numbers):
    assert digits(np.array(numbers, dtype=np.int64)).to_list() == [str(number) for number in numbers]


def test_tallies_are_the_sums_of_the_frame(world, day):
    tallies = DayFiles(world, RUN, "parquet").tallies(day)
    by_hand = PaymentFrames(world, RUN).payments(day).group_by("cell", "method", "status")
    sums = {row[:3]: row[3:] for row in by_hand.agg(pl.len(), pl.col("amount_vnd").sum()).iter_rows()}
    found = {
        (world.cells[cell].id, METHODS[method], STATUSES[state]): (count, int(tallies.amount_vnd[cell, method, state]))
        for (cell, method, state), count in np.ndenumerate(tallies.count)
        if count
    }
    assert found == sums
    assert tallies.payments == len(day.payments)


def test_a_ledger_has_a_row_for_each_cell_and_method_that_was_used(world, day):
    payments = PaymentFrames(world, RUN).payments(day)
    ledger = ProvinceFrames(world).ledger(day.day, DayFiles(world, RUN, "csv").tallies(day))
    assert ledger.height == payments.select("cell", "method").n_unique()
    assert ledger["settled"].sum() == (payments["status"] == "settled").sum()
    assert ledger["reversed_vnd"].sum() == payments.filter(pl.col("status") == "reversed")["amount_vnd"].sum() > 0


def test_adoption_frames_are_the_states(world):
    state = next(AdoptionModel(world).days())
    frames = ProvinceFrames(world)
    communes, markets = frames.adoption_communes(state), frames.adoption_markets(state)
    seen = status(world, state, coverage(world))
    assert communes["day"].unique().to_list() == [dt.date(2025, 12, 30)]
    assert communes["commune"].to_list() == [place.id for place in world.places]
    assert communes["active"].to_list() == state.active.tolist()
    assert communes["status_index"].to_list() == seen.index.tolist()
    assert communes["green"].to_list() == seen.green.tolist()
    assert markets["market"].to_list() == [market.id for market in world.markets]
    assert markets["using"].to_list() == state.using.tolist()
    assert (markets["using_share"] == markets["using"] / markets["stalls"]).all()


def test_counts_are_numbers_where_the_scenario_is_deterministic():
    document = small().model_dump()
    document["adoption"]["deterministic"] = True
    world = build_world(small().model_validate(document), 57)
    first = ProvinceFrames(world).adoption_communes(next(AdoptionModel(world).days()))
    assert first.schema["active"] == pl.Float64
    assert first["active"].sum() % 1 != 0


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_tables_have_a_key_and_a_meaning_for_each_column(table):
    names = [column.name for column in table.columns]
    assert len(set(names)) == len(names)
    assert set(table.key) <= set(names)
    assert all(column.meaning.endswith(".") or "…" in column.meaning for column in table.columns)
    assert all(column.unit == "VND" for column in table.columns if column.name.endswith("_vnd"))


def test_the_columns_of_records_are_those_of_the_contracts():
    """In other words: a new field of a contract cannot be forgotten here."""
    wire = {column.name for column in WIRE_COLUMNS}
    assert {column.name for column in PAYMENTS.columns} | wire == set(Payment.model_fields)
    assert {column.name for column in TRUTH.columns} | wire == set(Truth.model_fields) - {"detail"}
    for column in PAYMENTS.columns:
        assert column.optional == (not Payment.model_fields[column.name].is_required()), column.name


@pytest.mark.parametrize(
    ("table", "frame"),
    [
        (ADOPTION_COMMUNES, lambda frames, state: frames.adoption_communes(state)),
        (ADOPTION_MARKETS, lambda frames, state: frames.adoption_markets(state)),
        (COMMUNES, lambda frames, state: frames.communes()),
        (MARKETS, lambda frames, state: frames.markets()),
        (CELLS, lambda frames, state: frames.cells("r")),
        (INTERVENTIONS, lambda frames, state: frames.interventions()),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_frames_have_the_types_of_their_table_and_a_unique_key(world, table, frame):
    made = frame(ProvinceFrames(world), next(AdoptionModel(world).days()))
    assert dict(made.schema) == {column.name: type_of(column) for column in table.columns}
    assert made.height == made.select(table.key).n_unique() > 0
    required = [column.name for column in table.columns if not column.optional]
    assert made.select(required).null_count().row(0) == (0,) * len(required)


def test_interventions_carry_every_figure_with_its_source(world):
    rows = ProvinceFrames(world).interventions().to_dicts()
    wave = [row for row in rows if row["intervention"] == "swapped"]
    assert [(row["parameter"], json.loads(row["value"]), row["source"]) for row in wave] == [("stalls", 0.5, "assumed")]
    assert wave[0]["start"] == "2025-12-30"
    assert {row["intervention"] for row in rows} == {row.id for row in small().intervention}


def test_a_frame_refuses_what_is_not_among_the_values_of_a_column():
    with pytest.raises(pl.exceptions.InvalidOperationError):
        frame_of(CELLS, {column.name: ["nonsense"] for column in CELLS.columns[:-1]} | {"sources": [1]})


def test_the_hash_of_a_scenario_follows_its_figures_only():
    again = small().model_validate_json(canonical(small()))
    assert again == small()
    assert scenario_hash(again) == scenario_hash(small())
    assert len(scenario_hash(small())) == 64
    assert scenario_hash(small().model_copy(update={"intervention": ()})) != scenario_hash(small())
