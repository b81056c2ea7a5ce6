"""Orders to a shard of a run: read in any state, decided as a day begins, and never the end of a producer."""

from __future__ import annotations

import datetime as dt
import json
import logging

import pytest
from pydantic import ValidationError

from producers.live_pace import WantedPace
from producers.orders import Orders
from producers.plan import Plan
from producers.simulation.calendar import Day
from schemas.events import encode
from schemas.orders import InterventionApplied, InterventionOrder, PaceOrder, RunPosition, key_of
from schemas.scenario.actions import intervention_of, parse_action
from tests.worlds import FEW, world

AT, WORLD = 1_763_337_600_000, world(FEW)
FIRST = Day.of(WORLD.scenario.start)


def orders(shard: str = "1/1") -> Orders:
    return Orders(Plan(WORLD, "r", shard=shard), lambda: AT)


def order(id_: str = "x", run: str = "r", start: dt.date | None = None, **action) -> InterventionOrder:
    made = parse_action({"kind": "promotion", **action})
    return InterventionOrder(schema_version=1, run=run, id=id_, ordered_at=AT, start=start, intervention=made)


def applied(id_: str, day: Day, shard: str = "1/1") -> InterventionApplied:
    row = intervention_of(parse_action({"kind": "promotion"}), id_, day.date)
    return InterventionApplied(
        schema_version=1, run="r", id=id_, shard=shard, applied_at=AT, from_day=day.date, intervention=row
    )


def ids(of: Orders) -> list[str]:
    own = {row.id for row in WORLD.scenario.intervention}
    return [row.id for row in of.world.scenario.intervention if row.id not in own]


def test_an_order_is_decided_once_for_the_day_that_begins():
    found = orders()
    found.read(encode(order()))
    decided = found.decide(FIRST + 3)
    assert decided.changes
    (one,) = decided.applied
    assert (one.id, one.shard, one.applied_at, one.from_day, one.refused) == ("x", "1/1", AT, (FIRST + 3).date, None)
    assert one.intervention == found.world.scenario.intervention[-1]
    found.read(encode(one))  # its own record comes back
    found.read(encode(order()))  # and the order is sent again
    assert found.decide(FIRST + 4) == found.decide(FIRST + 5)
    assert not found.decide(FIRST + 6).applied
    assert ids(found) == ["x"]


@pytest.mark.parametrize(("start", "from_day"), [(-5, 2), (2, 2), (9, 9)])
def test_a_start_that_is_past_is_the_first_day_that_can_be(start, from_day):
    found = orders()
    found.read(encode(order(start=(FIRST + start).date)))
    assert found.decide(FIRST + 2).applied[0].from_day == (FIRST + from_day).date


def test_before_a_day_begins_the_last_order_of_a_name_counts():
    found = orders()
    found.read(encode(order(people=1.0)))
    found.read(encode(order(people=2.0)))
    (one,) = found.decide(FIRST).applied
    assert one.intervention.people.value == 2.0


def test_what_a_process_before_decided_holds_whatever_the_order_says_now():
    found = orders()
    for record in (order(), applied("x", FIRST + 1), applied("y", FIRST + 2, "2/2"), order(people=9.0)):
        found.read(encode(record))
    found.read(encode(RunPosition(schema_version=1, run="r", shard="2/2", day=(FIRST + 7).date)))
    assert found.begun is None
    assert ids(found) == ["x"]
    assert not found.decide(FIRST).applied


def test_days_that_may_have_been_sent_are_left_alone():
    found = orders()
    found.read(encode(RunPosition(schema_version=1, run="r", shard="1/1", day=(FIRST + 4).date)))
    found.read(encode(order()))
    for more in range(5):
        assert not found.decide(FIRST + more).applied
    assert found.decide(FIRST + 5).applied[0].from_day == (FIRST + 5).date


def test_another_process_of_the_same_shard_is_noticed(caplog):
    found = orders()
    found.decide(FIRST)
    with caplog.at_level(logging.WARNING):
        found.read(encode(applied("x", FIRST)))
    assert "x of run r was decided by another process of shard 1/1" in caplog.text
    assert ids(found) == []


def test_what_cannot_be_done_is_refused_with_the_reason():
    found = orders()
    wrong = json.loads(encode(order("wrong"))) | {"intervention": {"kind": "promotion", "people": -1}}
    old = json.loads(encode(order("old"))) | {"schema_version": 2}
    for record in (order("lost", place=("nowhere",)), order("teams")):
        found.read(encode(record))
    for document in (wrong, old):
        found.read(json.dumps(document).encode())
    decided = found.decide(FIRST)
    assert not decided.changes
    assert {one.id: one.refused for one in decided.applied} == {
        "lost": "intervention lost: place 'nowhere' is no commune or market of the scenario",
        "teams": "teams: the scenario has an intervention of this name",
        "wrong": "intervention.people = -1: input should be greater than or equal to 0",
        "old": "schema_version = 2: input should be 1",
    }
    assert not found.decide(FIRST + 1).applied
    assert found.unreadable == 0


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"nonsense",
        b"\xff\xfe",
        b"[]",
        b"7",
        b"{}",
        b'{"run":"r"}',
        b'{"run":"r","kind":"flood"}',
        b'{"run":"r","kind":["pace"]}',
        b'{"run":"r","kind":"pace"}',
        b'{"run":"r","kind":"intervention","id":"Not A Slug"}',
        b'{"run":"r","kind":"applied","id":"x"}',
        b'{"run":"r","kind":"begun","shard":"1/1","day":"soon","schema_version":1}',
    ],
)
def test_what_cannot_be_read_is_counted_logged_and_passed_over(value, caplog):
    found = orders()
    with caplog.at_level(logging.WARNING):
        found.read(value)
    assert found.unreadable == 1
    assert "is passed over" in caplog.text
    assert not found.decide(FIRST).applied


def test_other_runs_and_tombstones_are_nobodys_business(caplog):
    found = orders()
    with caplog.at_level(logging.WARNING):
        found.read(None)
        found.read(encode(order(run="other")))
        found.read(b'{"run":"other","kind":"flood"}')
    assert not found.decide(FIRST).applied
    assert (found.unreadable, caplog.text) == (0, "")


def test_speed_and_pause_are_told_apart_and_the_last_of_each_holds():
    found = orders()

    def told(**more):
        found.read(encode(PaceOrder(schema_version=1, run="r", id="p", ordered_at=AT, **more)))
        return found.wanted

    assert told(speed=600.0) == WantedPace(600.0)
    assert told(paused=True) == WantedPace(600.0, paused=True)
    assert told(speed="max") == WantedPace("max", paused=True)
    assert told(paused=False) == WantedPace("max")


@pytest.mark.parametrize(
    "more", [{}, {"speed": 2.0, "paused": False}, {"speed": 0.0}, {"speed": -1.0}, {"speed": "fast"}, {"paused": 1}]
)
def test_a_pace_is_a_speed_or_a_pause(more):
    with pytest.raises(ValidationError):
        PaceOrder(schema_version=1, run="r", id="p", ordered_at=AT, **more)


def test_an_answer_is_done_or_refused_and_names_its_row():
    row = intervention_of(parse_action({"kind": "promotion"}), "x", FIRST.date)
    common = {"schema_version": 1, "run": "r", "id": "x", "shard": "1/1", "applied_at": AT}
    InterventionApplied(**common, from_day=FIRST.date, intervention=row)
    assert InterventionApplied(**common, refused="two\n lines").refused == "two lines"
    for wrong in (
        {},
        {"from_day": FIRST.date},
        {"intervention": row},
        {"from_day": FIRST.date, "intervention": row, "refused": "no"},
        {"from_day": FIRST.date, "intervention": row.model_copy(update={"id": "y"})},
        {"refused": ""},
    ):
        with pytest.raises(ValidationError):
            InterventionApplied(**common, **wrong)


def test_keys_let_compaction_keep_the_last_of_each():
    begun = RunPosition(schema_version=1, run="r", shard="2/3", day=FIRST.date)
    pace = {"schema_version": 1, "run": "r", "id": "p", "ordered_at": AT}
    assert key_of(order()) == "r|x"
    assert key_of(applied("x", FIRST)) == "r|x|1/1"
    assert key_of(begun) == "r|begun|2/3"
    assert key_of(PaceOrder(**pace, speed=2.0)) == "r|pace|speed"
    assert key_of(PaceOrder(**pace, paused=False)) == "r|pace|paused"
