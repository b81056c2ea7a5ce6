"""Interventions that are ordered during a run are those of a scenario that had them from the beginning, to the byte."""

from __future__ import annotations

import datetime as dt
import json
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.blocks import PaymentBlock
from producers.checkpoints import Beginning
from producers.orders import Orders
from producers.outbox import Opening, Outbox
from producers.plan import Plan
from producers.recovery import Recovery
from producers.simulation.world import build_world, with_more
from schemas.events import Checkpoint, encode
from schemas.orders import InterventionOrder
from schemas.scenario import Scenario
from schemas.scenario.actions import ACTIONS, first_day, intervention_of, parse_action
from tests.province_days import TROUBLED
from tests.worlds import FEW, changed, written

if TYPE_CHECKING:
    from producers.simulation.world import World

START, DAYS, SEED = dt.date(2025, 12, 28), 7, 57
AT = 1_763_337_600_000
STRONG: dict[str, dict[str, Any]] = {
    "digital_team": {"for_days": 4, "members": 60, "visits_per_member_day": 3.0, "effect": 0.9, "delay_days": 1.0},
    "stall_stands": {"for_days": 3, "make_share": 0.9, "use_share": 0.9, "delay_days": 1.0},
    "promotion": {"for_days": 3, "people": 50.0, "stalls": 50.0},
    "pensions_to_accounts": {"for_days": 20, "share": 0.9},
    "cash_shock": {"for_days": 2, "choice": 3.0, "hazard": 20.0},
    "scam_warning": {"for_days": 2, "hazard": 0.0, "fraud": 0.1},
    "fraud_wave": {"for_days": 3, "stalls": 0.9},
    "outage": {"at": "08:30", "for_hours": 20.0},
    "tet": {"factor": 2.0, "days_before": 2, "holiday_factor": 0.5, "holiday_days": 2},
    "lunar_market_days": {"for_days": 5, "days": tuple(range(1, 30)), "factor": 3.0},
}
"""Each moves payments or adoption on the day on which it begins, or the next."""


def rows_of_the_scenario() -> list[dict[str, Any]]:
    """One of each kind, so that an order meets another of its own kind, with other delays."""
    return [
        json.loads(
            intervention_of(
                parse_action({"kind": kind, **figures, **({"delay_days": 2.0} if "delay_days" in figures else {})}),
                f"own-{kind.replace('_', '-')}",
                START + dt.timedelta(days=1),
            ).model_dump_json(exclude_none=True)
        )
        for kind, figures in STRONG.items()
        if kind != "cash_shock"
    ]


@cache
def the_world() -> World:
    figures = FEW | TROUBLED | {"start": START, "income.first_day.value": 2, "income.last_day.value": 2}
    document = changed(figures | {"intervention": rows_of_the_scenario()})
    return build_world(Scenario.model_validate_json(json.dumps(document, default=str)), SEED)


def order(id_: str, kind: str, start: dt.date | None = None, **more: Any) -> InterventionOrder:
    action = parse_action({"kind": kind, **STRONG[kind], **more})
    return InterventionOrder(schema_version=1, run="r", id=id_, ordered_at=AT, start=start, intervention=action)


class Days:
    """What a run sends, day by day."""

    def __init__(self, world: World, comes: dict[int, list[InterventionOrder]]) -> None:
        """Simulate a world while orders come, by the number of the day before whose making they come."""
        plan = Plan(world, "r", DAYS)
        self.orders = Orders(plan, lambda: AT)
        first = Checkpoint(
            schema_version=1,
            run="r",
            shard="1/1",
            day=START.isoformat(),
            offsets=[0] * 4,
            payments=[0] * world.source_count,
        )
        outbox = Outbox(plan, self.orders, 4, 10_000, cloud_events=False)
        items = outbox.items(Beginning(first, Recovery({}), resumes=False))
        self.sent: list[list[tuple[str, list[bytes]]]] = []
        """Of each day the values by topic, in order."""
        self.counts: list[list[int]] = []
        self._come(comes, 0)
        for item in items:
            if isinstance(item, Opening):
                self.sent.append([(block.topic, written(block.value)) for block in item.before])
                self.counts.append(item.payments.tolist())
            elif isinstance(item, PaymentBlock):
                self.sent[-1].append((item.records.topic, written(item.records.value)))
                self._come(comes, len(self.sent))

    def _come(self, comes: dict[int, list[InterventionOrder]], number: int) -> None:
        for one in comes.get(number, []):
            self.orders.read(encode(one))


@cache
def without() -> Days:
    return Days(the_world(), {})


def anew(days: Days) -> Days:
    """The run of a scenario that has from the beginning what was ordered."""
    more = [row for row in days.orders.world.scenario.intervention if not row.id.startswith("own-")]
    return Days(with_more(the_world(), more), {})


@pytest.mark.parametrize("kind", ACTIONS)
@settings(max_examples=3, deadline=None)
@given(st.integers(1, DAYS - 2), st.sampled_from([(), ("kien-luong",), ("tron",)]))
def test_an_order_changes_no_day_before_its_own_and_is_as_if_it_had_been_there(kind, day, place):
    days = Days(the_world(), {day: [order("ordered", kind, place=place)]})
    (row,) = [row for row in days.orders.world.scenario.intervention if row.id == "ordered"]
    assert first_day(row) == START + dt.timedelta(days=day)
    assert days.sent[:day] == without().sent[:day]
    assert days.counts[:day] == without().counts[:day]
    whole = anew(days)
    assert days.sent == whole.sent
    assert days.counts == whole.counts


@pytest.mark.parametrize("kind", [kind for kind in ACTIONS if kind != "scam_warning"])
def test_an_order_moves_something_from_its_day_on(kind):
    """So that the other tests do not compare runs without any difference."""
    days = Days(the_world(), {3: [order("ordered", kind)]})
    assert days.sent[3:] != without().sent[3:]


def test_a_warning_moves_what_fraud_takes():
    wave = order("wave", "fraud_wave")
    with_it = Days(the_world(), {2: [wave, order("look", "scam_warning", fraud=0.0, for_days=9)]})
    assert with_it.sent[2:] != Days(the_world(), {2: [wave]}).sent[2:]


orders = st.lists(
    st.tuples(st.sampled_from(list(ACTIONS)), st.integers(0, DAYS - 1), st.none() | st.integers(-2, DAYS + 2)),
    max_size=6,
)


@settings(max_examples=20, deadline=None)
@given(orders)
def test_any_orders_at_any_time_are_as_if_they_had_been_there(wanted):
    comes: dict[int, list[InterventionOrder]] = {}
    for number, (kind, day, start) in enumerate(wanted):
        first = None if start is None else START + dt.timedelta(days=start)
        comes.setdefault(day, []).append(order(f"o{number}", kind, first))
    days = Days(the_world(), comes)
    rows = {row.id: row for row in days.orders.world.scenario.intervention if not row.id.startswith("own-")}
    for number, (_, day, start) in enumerate(wanted):
        begins = max(day, day if start is None else start)
        assert first_day(rows[f"o{number}"]) == START + dt.timedelta(days=begins)
    whole = anew(days)
    assert days.sent == whole.sent
    assert days.counts == whole.counts


def test_shards_agree_on_an_explicit_start_whenever_each_hears_of_it():
    wanted = order("together", "tet", START + dt.timedelta(days=5))
    shards = []
    for index, comes in ((1, {0: [wanted]}), (2, {4: [wanted]})):
        half = build_world(the_world().scenario, SEED, (index, 2))
        shards.append(Days(half, comes))
    assert shards[0].orders.world.scenario == shards[1].orders.world.scenario
    together = anew(shards[0])
    for number in range(DAYS):
        both = sorted(value for shard in shards for _, values in shard.sent[number] for value in values)
        assert both == sorted(value for _, values in together.sent[number] for value in values)
