"""The notebook's way in: frames day by day, runs on disk, and errors that help."""

from __future__ import annotations

import datetime as dt
import doctest

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import quetma
from tests.small import SMALL, small


def test_the_examples_are_true():
    tried = doctest.testmod(quetma)
    assert tried.attempted >= 5
    assert tried.failed == 0


def test_days_are_frames_in_order():
    days = list(quetma.simulate(small(), days=3))
    assert [day.day for day in days] == [dt.date(2025, 12, 30), dt.date(2025, 12, 31), dt.date(2026, 1, 1)]
    for day in days:
        assert day.payments.height > 1000
        assert day.payments["occurred_at"].is_sorted()
        assert day.communes.height == 7
        assert set(day.truth["payment_id"]) <= set(day.payments["payment_id"])
    ids = pl.concat(day.payments["payment_id"] for day in days)
    assert ids.n_unique() == len(ids)


def test_days_are_made_when_they_are_asked_for():
    many = quetma.simulate(small(), days=10**6)
    assert next(many).day == dt.date(2025, 12, 30)


def test_a_run_on_disk_is_the_same_as_its_frames(tmp_path):
    run = quetma.simulate(small(), days=2, out=tmp_path / "run")
    days = list(quetma.simulate(small(), days=2))
    assert_frame_equal(run.payments().collect(), pl.concat(day.payments for day in days))
    assert_frame_equal(run.truth().collect(), pl.concat(day.truth for day in days))
    communes, markets = run.adoption()
    expected = quetma.adoption(small(), days=2)
    assert_frame_equal(communes.collect(), expected[0])
    assert_frame_equal(markets.collect(), expected[1])
    assert quetma.read_run(tmp_path / "run").manifest == run.manifest
    assert run.scenario == small()
    assert run.communes().collect().height == 7
    assert run.cells().collect().height == run.markets().collect().height + 7 * 7
    assert run.interventions().collect().height > 0
    assert run.ledger().select(pl.col("settled").sum()).collect().item() == run.manifest["counts"]["settled"]


def test_another_seed_gives_other_payments_and_the_same_one_the_same():
    first, again = (next(quetma.simulate(small(), days=1, seed=5)).payments for _ in range(2))
    other = next(quetma.simulate(small(), days=1, seed=6)).payments
    assert_frame_equal(first, again)
    assert first["amount_vnd"].to_list() != other["amount_vnd"].to_list()


def test_a_scenario_without_an_intervention_differs_by_its_doing_alone():
    without = small().model_copy(
        update={"intervention": tuple(row for row in small().intervention if row.id != "swapped")}
    )
    day, calm = (next(quetma.simulate(one, days=1)) for one in (small(), without))
    assert_frame_equal(day.payments.drop("beneficiary"), calm.payments.drop("beneficiary"))
    assert calm.truth.filter(pl.col("label") == "fraud").is_empty()
    assert not day.truth.filter(pl.col("label") == "fraud").is_empty()


def test_scenarios_go_by_name_path_or_value(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(SMALL, encoding="utf-8")
    frames = [quetma.adoption(one, days=2)[0] for one in (path, str(path), small())]
    assert_frame_equal(frames[0], frames[1])
    assert_frame_equal(frames[0], frames[2])
    assert quetma.adoption("phu-tho", days=1)[0].height == 148


def test_adoption_only_has_no_payments(tmp_path):
    (day,) = quetma.simulate(small(), days=1, adoption_only=True)
    assert day.payments.is_empty()
    assert day.payments.schema == next(quetma.simulate(small(), days=1)).payments.schema
    run = quetma.simulate(small(), days=1, adoption_only=True, out=tmp_path / "run")
    assert run.payments().collect().is_empty()
    assert_frame_equal(run.adoption()[0].collect(), day.communes)


def test_wrong_arguments_are_errors_at_once(tmp_path):
    with pytest.raises(quetma.BadInputError, match="atlantis"):
        quetma.simulate("atlantis", days=1)
    with pytest.raises(quetma.BadInputError, match="days 0"):
        quetma.simulate(small(), days=0)
    with pytest.raises(quetma.BadInputError, match="no run of Quetma"):
        quetma.read_run(tmp_path)
    with pytest.raises(quetma.BadInputError, match="stands 2 times"):
        quetma.simulate(small().model_copy(update={"intervention": small().intervention * 2}), days=1)
