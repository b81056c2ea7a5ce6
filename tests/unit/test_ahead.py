"""Work ahead: a few items, but of days not more than one before it is being sent."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from producers.ahead import Ahead, Tomorrow
from producers.checkpoints import Beginning
from producers.orders import Orders
from producers.outbox import Opening, Outbox
from producers.plan import Plan
from producers.recovery import Recovery
from producers.simulation.calendar import Day
from schemas.events import Checkpoint, encode
from schemas.orders import InterventionOrder
from schemas.scenario.actions import parse_action
from tests.worlds import FEW, world

WORLD = world(FEW)
FIRST, AT = Day.of(WORLD.scenario.start), 1_763_337_600_000
IN_TIME_SECONDS = 20.0


async def test_an_order_begins_the_day_after_tomorrow_at_the_latest():
    plan, tomorrow = Plan(WORLD, "r", 9), Tomorrow()
    orders = Orders(plan, lambda: AT)
    outbox = Outbox(plan, orders, 4, 10_000, cloud_events=False, tomorrow=tomorrow)
    start, nothing = FIRST.date.isoformat(), [0] * WORLD.source_count
    checkpoint = Checkpoint(schema_version=1, run="r", shard="1/1", day=start, offsets=[0] * 4, payments=nothing)
    opened, begins = list[int](), None
    action = parse_action({"kind": "outage"})
    order = InterventionOrder(schema_version=1, run="r", id="x", ordered_at=AT, intervention=action)
    with ThreadPoolExecutor(1) as pool:
        ahead = Ahead(pool, outbox.items(Beginning(checkpoint, Recovery({}), resumes=False)))
        while (item := await ahead.following()) is not None:
            if isinstance(item, Opening):
                tomorrow.opened(item.day.number)
                opened.append(item.day.number - FIRST.number)
                for applied in item.applied:
                    begins = Day.of(applied.from_day).number - FIRST.number
                if opened[-1] == 3:
                    await asyncio.sleep(1.0)  # time enough to make all that may be made
                    orders.read(encode(order))
    assert opened == list(range(9))
    assert begins in (4, 5)


def test_who_waits_is_told_of_the_day_and_of_the_end():
    tomorrow, done = Tomorrow(), list[int]()

    def wait() -> None:
        for day in (8, 9):
            tomorrow.wait(day)
            done.append(day)

    waiting = threading.Thread(target=wait)
    waiting.start()
    tomorrow.opened(6)
    waiting.join(0.05)
    assert done == []
    tomorrow.opened(7)
    waiting.join(0.05)
    tomorrow.close()
    waiting.join(IN_TIME_SECONDS)
    assert done == [8, 9]
    tomorrow.wait(100)
