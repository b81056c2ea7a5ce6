"""Paces against a clock that the test moves."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from producers.blocks import PaymentBlock, RecordBlock
from producers.encoding import PaymentEncoder
from producers.engine import ProvinceSimulation
from producers.pacing import NoPace, Pace, RatePace, SpeedPace, make_pace
from producers.simulation.calendar import Day
from producers.simulation.columns import NO_BILL
from schemas.errors import BadInputError, ExitCode
from schemas.topics import PAYMENTS
from tests.province_days import FAULTY, payments_of, sent
from tests.worlds import world

SMALL = world(FAULTY)
DAY = Day.of(SMALL.scenario.start)
START = DAY.midnight_at
ENCODER = PaymentEncoder(SMALL, "r", 4)


def block_at(*seconds: float) -> PaymentBlock:
    """A block of records that are due so many seconds after the start; their payments happened before."""
    count = len(seconds)
    due = START + (np.array(seconds) * 1000).astype(np.int64)
    same = np.zeros(count, dtype=np.int64)
    payments = payments_of(same, same + START, same + 1000, same + NO_BILL, same)
    nothing = pl.Series([""] * count)
    records = RecordBlock(PAYMENTS, same, nothing, nothing, payments.occurred_at)
    return PaymentBlock(DAY, records, payments, same, due, same.astype(np.int8))


def blocks_of(days: int, size: int) -> list[PaymentBlock]:
    """The records of a world's first days, faults included."""
    simulated = (sent(SMALL, day) for day in ProvinceSimulation(SMALL).days(days))
    return [block for day, sending in simulated for block in ENCODER.blocks(day, sending, size)]


def sent_at_times(pace: Pace, blocks: list[PaymentBlock], clock: list[float]) -> list[int]:
    """How many records have been sent in all, at each time of the clock."""
    waiting, done, before, totals = list(blocks), 0, 0, []
    for now in clock:
        while waiting and (done := max(done, pace.due(waiting[0], now))) == len(waiting[0]):
            pace.passed(waiting[0])
            before += len(waiting.pop(0))
            done = 0
        totals.append(before + done)
    return totals


# -- speed ---------------------------------------------------------------------------------------------------


def test_twice_as_fast_is_twice_as_fast():
    block = block_at(0, 1, 2, 3, 4, 5, 6)
    assert sent_at_times(SpeedPace(2, START), [block], [0, 0.4, 0.5, 1, 1.4, 1.5, 3]) == [1, 1, 2, 3, 3, 4, 7]


@pytest.mark.parametrize("speed", [0.5, 1.0, 60.0, 1800.0])
def test_at_any_time_those_are_due_whose_time_has_come(speed):
    blocks = blocks_of(2, 70)
    at = np.concatenate([block.sent_at for block in blocks])
    assert at.tolist() != np.concatenate([block.payments.occurred_at for block in blocks]).tolist()
    clock = np.linspace(0, 2 * 86_400 / speed, 97).tolist()
    expected = [int((at <= START + now * 1000 * speed).sum()) for now in clock]
    assert sent_at_times(SpeedPace(speed, START), blocks, clock) == expected
    assert expected[-1] == len(at)


def test_the_first_second_brings_no_flood():
    blocks = blocks_of(1, 1000)
    first = (blocks[0].sent_at[0] - START) / 1000
    assert first > 60  # the night is quiet
    pace = SpeedPace(30, START)
    assert pace.due(blocks[0], 0.0) == 0
    assert pace.due(blocks[0], 1.0) == 0
    assert pace.due(blocks[0], first / 30 + 0.001) >= 1


def test_the_lag_behind_a_speed_is_in_seconds_of_the_clock():
    block, pace = block_at(0, 10, 20), SpeedPace(10, START)
    assert pace.lag_seconds(block, 1, 0.5) == 0
    assert pace.lag_seconds(block, 1, 1.0) == 0
    assert pace.lag_seconds(block, 1, 1.25) == pytest.approx(0.25)
    assert pace.lag_seconds(block, 2, 3.0) == pytest.approx(1.0)


def test_a_speed_goes_on_from_the_time_at_which_a_run_is_resumed():
    block, pace = block_at(10, 20, 30), SpeedPace(10, START)
    pace.resume(int(block.sent_at[1]))
    assert [pace.due(block, seconds) for seconds in (0, 0.9, 1.0)] == [2, 2, 3]
    assert pace.lag_seconds(block, 2, 1.5) == pytest.approx(0.5)


# -- rate ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [1, 7, 100, 2.5])
def test_a_rate_is_exact_over_seconds_and_across_blocks(rate):
    blocks = [block_at(*[0] * count) for count in (3, 1, 40, 5, 400)]
    clock = [0, 1, 2, 3, 4, 10, 40, 500]
    expected = [min(449, int(rate * now)) for now in clock]
    assert sent_at_times(RatePace(rate), blocks, clock) == expected


def test_a_rate_is_exact_however_fine_the_ticks():
    blocks = [block_at(*[0] * count) for count in (10, 20, 70)]
    ticks = sent_at_times(RatePace(20), blocks, [tick * 0.05 for tick in range(101)])
    assert ticks[20::20] == [20, 40, 60, 80, 100]
    assert max(np.diff(ticks)) <= 2


def test_a_rate_does_not_look_at_event_times():
    assert sent_at_times(RatePace(2), [block_at(0, 86_000, 86_300)], [0.5, 1.0, 1.5]) == [1, 2, 3]


def test_the_lag_behind_a_rate_counts_from_the_rows_turn():
    block, pace = block_at(*[0] * 10), RatePace(2)
    assert pace.lag_seconds(block, 0, 0.4) == 0
    assert pace.lag_seconds(block, 0, 0.75) == pytest.approx(0.25)
    pace.passed(block)
    assert pace.lag_seconds(block, 0, 5.5) == 0
    assert pace.lag_seconds(block, 3, 8.0) == pytest.approx(1.0)


@pytest.mark.parametrize("pace", [RatePace(2), NoPace()])
def test_other_paces_count_what_is_sent_wherever_a_run_is_resumed(pace):
    block = block_at(*[0] * 10)
    before = pace.due(block, 1.0)
    pace.resume(START + 86_400_000)
    assert pace.due(block, 1.0) == before


# -- neither -------------------------------------------------------------------------------------------------


def test_without_a_pace_all_is_due_at_once():
    pace, block = NoPace(), block_at(0, 86_000)
    assert sent_at_times(pace, [block, block], [0]) == [4]
    assert pace.lag_seconds(block, 1, 100.0) == 0


# -- choosing ------------------------------------------------------------------------------------------------


def test_a_speed_is_the_one_asked_for_or_the_default():
    block = block_at(*range(100))
    asked = make_pace(speed="2.5", rate=None, default_speed=9, start_at=START)
    default = make_pace(speed=None, rate=None, default_speed=9, start_at=START)
    assert isinstance(asked, SpeedPace)
    assert isinstance(default, SpeedPace)
    assert asked.due(block, 4.0) == 11
    assert default.due(block, 4.0) == 37


def test_a_rate_and_no_pace_can_be_asked_for():
    rate = make_pace(speed=None, rate=50, default_speed=9, start_at=START)
    assert isinstance(rate, RatePace)
    assert rate.due(block_at(*[0] * 100), 1.0) == 50
    assert isinstance(make_pace(speed="max", rate=None, default_speed=9, start_at=START), NoPace)


@pytest.mark.parametrize("speed", ["0", "-1", "fast", "", "nan", "inf", "1e999", "MAX"])
def test_other_speeds_are_refused(speed):
    with pytest.raises(BadInputError, match="give a number above 0, or max") as caught:
        make_pace(speed=speed, rate=None, default_speed=9, start_at=START)
    assert f"--speed {speed}" in str(caught.value)
    assert caught.value.exit_code == ExitCode.BAD_INPUT


@pytest.mark.parametrize("rate", [0.0, -5.0, float("nan"), float("inf")])
def test_other_rates_are_refused(rate):
    with pytest.raises(BadInputError, match="give events a second, above 0"):
        make_pace(speed=None, rate=rate, default_speed=9, start_at=START)


def test_speed_and_rate_together_are_refused():
    with pytest.raises(BadInputError, match="--speed 2 and --rate 10 together"):
        make_pace(speed="2", rate=10, default_speed=9, start_at=START)
