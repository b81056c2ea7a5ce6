"""A pace that is steered, against a clock that the test moves: no jump, no flood, nothing for the time of a pause."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.blocks import PaymentBlock, RecordBlock
from producers.live_pace import LivePace, WantedPace
from producers.pacing import NoPace, Pace, RatePace, SpeedPace
from producers.simulation.calendar import Day
from producers.simulation.columns import NO_BILL
from schemas.topics import PAYMENTS
from tests.province_days import payments_of

if TYPE_CHECKING:
    from collections.abc import Sequence

START = Day(20_000).midnight_at
TICK = 0.05


def block_at(seconds: Sequence[float]) -> PaymentBlock:
    """A block of records that are due so many simulated seconds after the start."""
    due = START + np.rint(np.array(seconds) * 1000).astype(np.int64)
    same = np.zeros(len(due), dtype=np.int64)
    payments = payments_of(same, same + START, same + 1000, same + NO_BILL, same)
    nothing = pl.Series([""] * len(due))
    records = RecordBlock(PAYMENTS, same, nothing, nothing, due)
    return PaymentBlock(Day(20_000), records, payments, same, due, same.astype(np.int8))


class Sender:
    """Sends what is due at each tick, as `producers.sending` does."""

    def __init__(self, pace: Pace, block: PaymentBlock) -> None:
        self.pace, self.block = LivePace(pace), block
        self.wanted = WantedPace()
        self.sent, self.now = 0, 0.0

    def tick(self) -> int:
        """Look at the clock once; return how many rows are sent."""
        if self.sent == len(self.block):
            return 0
        self.pace.steer(self.wanted, self.block, self.sent, self.now)
        due = max(self.sent, self.pace.due(self.block, self.now))
        sent, self.sent = due - self.sent, due
        return sent

    def wait(self, ticks: int) -> list[int]:
        """Let time pass; return how many rows are sent at each tick."""
        found = []
        for _ in range(ticks):
            self.now += TICK
            found.append(self.tick())
        return found


speeds = st.floats(0.5, 500)
changes = st.lists(
    st.tuples(st.integers(1, 40), st.one_of(speeds, st.sampled_from(["pause", "resume"]))), min_size=1, max_size=12
)


@settings(max_examples=200)
@given(speeds, changes, st.lists(st.floats(0, 5000), min_size=1, max_size=300))
def test_what_is_sent_is_what_the_changing_speed_has_passed(speed, schedule, seconds):
    """Simulated time is the integral of the speed, which is 0 while it is paused."""
    sender = Sender(SpeedPace(speed, START), block_at(sorted(seconds)))
    passed, paused = 0.0, False
    sender.tick()
    for ticks, change in schedule:
        if isinstance(change, float):
            speed = change
            sender.wanted = WantedPace(speed, sender.wanted.paused)
        else:
            paused = change == "pause"
            sender.wanted = WantedPace(sender.wanted.speed, paused)
        sender.tick()
        for _ in range(ticks):
            passed += 0 if paused else TICK * speed * 1000
            sender.wait(1)
            at = sender.block.sent_at - START
            assert (at < passed - 1).sum() <= sender.sent <= (at <= passed + 1).sum()


@given(st.sampled_from(["speed", "rate", "max"]), st.integers(0, 60), st.integers(1, 4000), st.integers(1, 60))
def test_a_pause_holds_and_what_it_missed_does_not_come_at_once(kind, before, paused, after):
    def pace() -> Pace:
        return {"speed": SpeedPace(20.0, START), "rate": RatePace(17.5), "max": NoPace()}[kind]

    block = block_at(np.linspace(0, 300, 400).tolist())
    one, other = Sender(pace(), block), Sender(pace(), block)
    assert one.tick() == other.tick()
    assert one.wait(before) == other.wait(before)
    one.wanted = WantedPace(paused=True)
    assert one.tick() + sum(one.wait(paused)) == 0
    if one.sent < len(block):
        assert one.pace.speed == 0
    one.wanted = WantedPace()
    assert one.tick() == 0
    assert one.wait(after) == pytest.approx(other.wait(after), abs=1)  # a tick's rounding
    assert one.sent == pytest.approx(other.sent, abs=1)


@given(st.sampled_from([RatePace(100), NoPace()]), speeds)
def test_from_a_rate_or_none_a_speed_begins_with_the_next_record(pace, speed):
    sender = Sender(pace, block_at([0, 0, 1000, 1000 + speed, 1000 + 10 * speed]))
    sender.sent = 2
    sender.wanted = WantedPace(speed)
    sender.now = 50.0
    assert sender.tick() == 1
    assert sender.wait(19) == [0] * 19
    assert sum(sender.wait(2)) == 1
    assert sender.wait(170) == [0] * 170
    assert sum(sender.wait(15)) == 1


def test_what_was_behind_does_not_come_as_a_flood_at_a_slower_speed():
    block = block_at(range(1000))
    sender = Sender(SpeedPace(1_000_000, START), block)
    sender.sent, sender.now = 10, 100.0  # the machine was not fast enough
    sender.wanted = WantedPace(1.0)
    assert sender.tick() == 1
    assert sum(sender.wait(20)) == 1


def test_as_fast_as_it_goes_is_at_once_and_can_be_slowed_down_again():
    sender = Sender(SpeedPace(0.001, START), block_at([0, 100, 200, 300]))
    sender.wanted = WantedPace("max")
    assert sender.tick() == 4
    assert sender.pace.speed == math.inf


def test_orders_that_say_the_same_again_change_nothing():
    block = block_at([0, 10, 20, 30])
    sender = Sender(SpeedPace(1.0, START), block)
    sender.wanted = WantedPace(2.0)
    sender.wait(100)
    for _ in range(50):
        sender.wanted = WantedPace(2.0)
        sender.wait(2)
    assert sender.now == pytest.approx(10)
    assert sender.sent == 2  # 20 s but for the first tick at half the speed


def test_the_speed_is_told():
    block = block_at([0, 10])
    assert LivePace(NoPace()).speed == math.inf
    assert math.isnan(LivePace(RatePace(5)).speed)
    pace = LivePace(SpeedPace(60.0, START))
    assert pace.speed == 60
    pace.steer(WantedPace(600.0, paused=True), block, 0, 1.0)
    assert pace.speed == 0
    pace.steer(WantedPace(600.0), block, 0, 2.0)
    assert pace.speed == 600


def test_the_lag_does_not_grow_while_it_stands_still():
    block = block_at([0, 10, 20])
    pace = LivePace(SpeedPace(10, START))
    assert pace.lag_seconds(block, 1, 1.25) == pytest.approx(0.25)
    pace.steer(WantedPace(paused=True), block, 1, 1.25)
    assert pace.lag_seconds(block, 1, 500.0) == pytest.approx(0.25)
    pace.steer(WantedPace(), block, 1, 501.25)
    assert pace.lag_seconds(block, 1, 502.25) == pytest.approx(1.25)
