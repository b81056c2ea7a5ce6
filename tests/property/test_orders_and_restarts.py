"""Producers that are given orders, crash anywhere and start again: the run is its scenario and what was applied."""

from __future__ import annotations

import datetime as dt
import json
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from producers.plan import Plan
from producers.simulation.calendar import Day
from producers.simulation.world import build_world, with_more
from schemas.orders import InterventionApplied, InterventionOrder
from schemas.scenario.actions import parse_action
from schemas.topics import CELLS, INTERVENTIONS, LEDGER, PAYMENTS, QR_CODES, TRUTH
from tests.played_broker import PARTITIONS, Broker, newest, produce_from, values, without_repeats
from tests.small import small

if TYPE_CHECKING:
    from producers.simulation.world import World
    from schemas.scenario.interventions import Intervention

RUN, DAYS, AT = "r", 6, 1_763_337_600_000
START = small().start
ACTIONS = (
    {"kind": "outage", "at": "00:00", "for_hours": 40.0},
    {"kind": "fraud_wave", "stalls": 0.9, "for_days": 2},
    {"kind": "stall_stands", "for_days": 2, "make_share": 0.9, "use_share": 1.0, "delay_days": 1.0},
    {"kind": "tet", "factor": 2.0, "days_before": 1, "holiday_days": 2},
    {"kind": "promotion", "place": ("nowhere",)},  # it is refused
)
"""What each does is seen at once: in payments, truth or codes."""


@cache
def the_world() -> World:
    return build_world(small(), 1)


def order(number: int, action: int, start: int | None) -> InterventionOrder:
    first = None if start is None else START + dt.timedelta(days=start)
    made = parse_action(ACTIONS[action])
    return InterventionOrder(schema_version=1, run=RUN, id=f"o{number}", ordered_at=AT, start=first, intervention=made)


def produce(broker: Broker, world: World, life: int = 10**9) -> Any:
    return produce_from(broker, Plan(world, RUN, DAYS), life=life)


def applied(broker: Broker) -> list[InterventionApplied]:
    log = broker.logs[INTERVENTIONS, 0]
    return [
        InterventionApplied.model_validate_json(one.value) for one in log if json.loads(one.value)["kind"] == "applied"
    ]


def check_what_is_applied(broker: Broker) -> list[Intervention]:
    """Each order is decided once, before anything of its day is sent; return the rows."""
    found = applied(broker)
    assert len({one.id for one in found}) == len(found)
    assert {one.id for one in found if one.refused} == {
        one.id for one in orders_of(broker) if one.intervention.kind == "promotion" and one.id in {a.id for a in found}
    }
    reached, first_at = (
        -1,
        {one.id: None if one.from_day is None else Day.of(one.from_day).midnight_at for one in found},
    )
    for topic, value in broker.written:
        document = json.loads(value) if value.endswith(b"}") else {}
        if topic == INTERVENTIONS and document["kind"] == "applied" and first_at[document["id"]] is not None:
            assert reached < first_at[document["id"]]
        if topic in (PAYMENTS, TRUTH):
            reached = max(reached, document.get("occurred_at", -1))
    return [one.intervention for one in found if one.intervention is not None]


def orders_of(broker: Broker) -> list[InterventionOrder]:
    documents = [one.value for one in broker.logs[INTERVENTIONS, 0]]
    return [
        InterventionOrder.model_validate_json(one) for one in documents if json.loads(one)["kind"] == "intervention"
    ]


def check_topics(broker: Broker, rows: list[Intervention]) -> None:
    """They are those of a run whose scenario had the rows from the beginning."""
    reference = Broker(Random(0))
    assert produce(reference, with_more(the_world(), rows)) is not None
    for partition in range(PARTITIONS):
        found, wanted = values(broker, partition), values(reference, partition)
        if broker.keeps_sequences:
            assert found == wanted
        else:
            assert without_repeats(found, wanted) == wanted
            assert set(found) == set(wanted)
    for topic in (QR_CODES, TRUTH, CELLS):  # whatever was sent of them stays true
        assert said(broker, topic) == said(reference, topic), topic
    here, there = (newest(one, LEDGER) for one in (broker, reference))
    for ledger in (here, there):
        del ledger[RUN.encode()]["scenario_hash"]  # that of the scenario alone
    assert here == there


def said(broker: Broker, topic: str) -> set[bytes]:
    return {one.value for (name, _), log in broker.logs.items() if name == topic for one in log}


orders = st.lists(
    st.tuples(st.integers(0, len(ACTIONS) - 1), st.none() | st.integers(0, DAYS), st.sampled_from(["now", "running"])),
    min_size=1,
    max_size=4,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), st.lists(st.tuples(st.integers(1, 250), orders), max_size=4), orders, st.booleans())
@example(1, [(3, [(0, None, "now")]), (60, [(1, None, "running")]), (90, [(3, None, "now")])], [(2, None, "now")], True)
@example(2, [(130, [(1, 4, "now")]), (1, [(0, None, "now")])] * 2, [(0, 3, "running")], False)
def test_a_run_with_orders_is_its_scenario_and_what_was_applied(chance, lives, last, keeps_sequences):
    broker, number = Broker(Random(chance), keeps_sequences=keeps_sequences), 0
    for life, wanted in [*lives, (10**9, last)]:
        for action, start, when in wanted:
            one = order(number, action, start)
            number += 1
            if when == "now":
                broker.order(one)
            else:
                broker.coming.append(one)
        done = produce(broker, the_world(), life)
    assert done is not None
    assert done.produced == done.acked > 0
    check_topics(broker, check_what_is_applied(broker))


def test_orders_before_a_run_begins_hold_from_its_first_day():
    broker = Broker(Random(3))
    broker.order(order(0, 0, None))
    produce(broker, the_world())
    (one,) = applied(broker)
    assert (one.from_day, one.shard) == (START, "1/1")
    check_topics(broker, check_what_is_applied(broker))


def test_an_order_after_a_crash_leaves_the_days_alone_that_had_begun():
    """Their codes and truth may have been sent, though none of their payments was."""
    broker = Broker(Random(4))
    assert produce(broker, the_world(), life=120) is None
    begun = max(json.loads(one.value)["day"] for one in broker.logs[INTERVENTIONS, 0])
    broker.order(order(0, 1, None))
    produce(broker, the_world())
    (one,) = applied(broker)
    assert one.from_day == dt.date.fromisoformat(begun) + dt.timedelta(days=1)
    check_topics(broker, check_what_is_applied(broker))
