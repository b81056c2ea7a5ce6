"""Dispatch by a clock that is told the time, and a whole load by a real one."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from producers.load.arrivals import MaxArrivals, RateArrivals, SpeedArrivals
from producers.load.clock import RealClock
from producers.load.dispatch import LATE_SECONDS, Dispatch, Limits
from producers.load.profiles import built_in
from schemas.errors import BadInputError
from services import load_run
from services.load_run import run_load
from tests.load_parts import FakeClock, Heard, Memory, frames, per_second, records

SECONDS = 8


def uneven() -> list[int]:
    """Timestamps of a stream whose every second has another number of records, the first as many as others."""
    counts = [900, 100, 2000, 500, 1500, 30, 800, 700] * 4
    at = [1000 * second + row * 1000 / count for second, count in enumerate(counts) for row in range(count)]
    return [1_763_312_400_000 + int(ms) for ms in at]


async def dispatched(target, arrivals, clock, *of, limits=None, stop=None, rows=1000):
    return await Dispatch(arrivals, target, clock, stop or asyncio.Event(), limits).run(frames(*of, rows=rows))


@pytest.mark.parametrize("speed", [1, 2, 4])
async def test_at_any_speed_each_second_has_the_number_intended_the_first_included(speed):
    clock, at = FakeClock(), uneven()
    target = Memory(clock, takes=lambda count: 0.0002 + 1e-6 * count)
    ended = await dispatched(target, SpeedArrivals(speed), clock, records(len(at), timestamps=at))
    assert (ended.reason, ended.records) == ("source ended", len(at))
    assert target.values == [str(number).encode() for number in range(len(at))]
    intended = np.bincount((np.array(at) - at[0]) // (1000 * speed))
    done = np.array(per_second(target.at))
    done[len(intended) - 1] += done[len(intended) :].sum()  # the very last ones may be a millisecond late
    done = done[: len(intended)]
    assert (np.abs(done - intended) <= 0.02 * intended + 1).all()
    late = np.array(target.at) - np.array(target.due)
    assert late.min() >= 0
    assert late.max() < 0.005


async def test_a_target_that_takes_nothing_for_a_while_moves_no_due_time():
    clock = FakeClock()
    calls = 0

    def takes(count: int) -> float:
        nonlocal calls
        calls += 1
        return 2.0 if calls == 100 else 0.0

    free, held = Memory(FakeClock()), Memory(clock, takes)
    profile = built_in("steady", 1000, SECONDS)
    await dispatched(free, RateArrivals(profile), free._clock, records(SECONDS * 1000))
    await dispatched(held, RateArrivals(profile), clock, records(SECONDS * 1000))
    assert held.due == free.due
    late = np.array(held.at) - np.array(held.due)
    assert late.max() == pytest.approx(2.0, abs=0.01)
    # who came due while it was held is late by what was left of the two seconds: on average one
    assert late[late > 0.01].mean() == pytest.approx(1.0, abs=0.02)
    assert (late > 0.01).sum() == pytest.approx(2000, abs=20)


async def test_a_rate_is_kept_whatever_the_records_say_of_their_times():
    clock = FakeClock()
    target = Memory(clock)
    ended = await dispatched(target, RateArrivals(built_in("ramp", 1000, 4)), clock, records(5000))
    assert (ended.reason, ended.records) == ("profile ended", 2000)
    assert per_second(target.at) == pytest.approx([125, 375, 625, 875], abs=2)


async def test_limits_end_it_to_the_record():
    clock = FakeClock()
    target = Memory(clock)
    arrivals = RateArrivals(built_in("steady", 1000, 60))
    ended = await dispatched(target, arrivals, clock, records(5000), limits=Limits(records=1234))
    assert (ended.reason, len(target.values)) == ("limit", 1234)
    ended = await dispatched(
        Memory(clock), RateArrivals(built_in("steady", 1000, 60)), FakeClock(), records(5000), limits=Limits(seconds=2)
    )
    assert (ended.reason, ended.records) == ("limit", 2000)


async def test_what_is_too_late_does_not_go_any_more():
    clock = FakeClock()
    target = Memory(clock, takes=lambda _: 0.01)  # a hundred slices a second, of ten records each
    limits = Limits(seconds=2, slice_records=10)
    ended = await dispatched(target, RateArrivals(built_in("steady", 5000, 60)), clock, records(60_000), limits=limits)
    assert ended.reason == "limit"
    assert clock.now() == pytest.approx(2 + LATE_SECONDS, abs=0.02)
    assert ended.records == pytest.approx(1000 * (2 + LATE_SECONDS), abs=20)


async def test_an_interrupt_ends_it_between_two_slices():
    clock, stop = FakeClock(), asyncio.Event()

    def takes(_: int) -> float:
        if clock.now() >= 1:
            stop.set()
        return 0.0

    target = Memory(clock, takes)
    ended = await dispatched(target, RateArrivals(built_in("steady", 1000, 60)), clock, records(5000), stop=stop)
    assert ended.reason == "interrupted"
    assert ended.records == len(target.values) == pytest.approx(1000, abs=5)


class _Stuck(Memory):
    """A target that takes nothing any more from some time on."""

    def __init__(self, clock, since: float, heard: Heard) -> None:
        super().__init__(clock)
        self._since, self._heard, self.drained = since, heard, False
        self.on_stuck = lambda: None

    async def send(self, records, due) -> None:
        if self._clock.now() >= self._since and self._heard.sent_due:
            self.on_stuck()
            await asyncio.Event().wait()
        self._heard.sent(due, self._clock.now())

    async def drain(self, seconds: float) -> None:
        self.drained = True


async def test_a_load_by_a_real_clock_keeps_time_and_tells_of_it():
    heard = Heard()
    with RealClock() as clock:
        target = _Stuck(clock, 60.0, heard)
        arrivals = RateArrivals(built_in("steady", 5000, 1.0), "poisson", seed=3)
        await run_load(frames(records(20_000)), arrivals, target, heard, clock, asyncio.Event())
    assert heard.begun == 1
    assert target.drained
    seconds, reason = heard.ended
    assert reason == "profile ended"
    assert 0.9 < seconds < 2.0
    late = np.array(heard.sent_at) - np.array(heard.sent_due)
    assert late.min() >= 0
    assert np.median(late) < 0.1  # a busy machine is no error


@pytest.mark.parametrize("interrupted", [True, False])
async def test_a_target_that_takes_nothing_keeps_no_load_from_ending(monkeypatch, interrupted):
    monkeypatch.setattr(load_run, "GRACE_SECONDS", 0.05)
    monkeypatch.setattr(load_run, "LATE_SECONDS", 0.05)
    heard, stop = Heard(), asyncio.Event()
    limits = Limits() if interrupted else Limits(seconds=0.4)
    with RealClock() as clock:
        target = _Stuck(clock, 0.1, heard)
        target.on_stuck = stop.set if interrupted else target.on_stuck
        arrivals = RateArrivals(built_in("steady", 1000, 60))
        await run_load(frames(records(60_000)), arrivals, target, heard, clock, stop, limits)
    assert heard.ended[1] == ("interrupted" if interrupted else "limit")
    assert target.drained
    assert heard.sent_due


async def test_bad_input_on_the_way_comes_after_what_was_before_it():
    async def source():
        yield records(10)
        raise BadInputError("capture", "row 11", "mend it")

    heard, clock = Heard(), FakeClock()
    target = _Stuck(clock, 60.0, heard)
    with pytest.raises(BadInputError, match="row 11"):
        await run_load(source(), MaxArrivals(clock), target, heard, clock, asyncio.Event())
    assert len(heard.sent_due) == 10
    assert heard.ended[1].startswith("error: capture: row 11")
    assert target.drained


async def test_an_interrupt_does_not_wait_for_a_source_that_brings_nothing():
    closed = asyncio.Event()

    async def source():
        try:
            await asyncio.Event().wait()
            yield records(1)
        finally:
            closed.set()

    heard, clock, stop = Heard(), FakeClock(), asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, stop.set)
    async with asyncio.timeout(5):
        await run_load(source(), MaxArrivals(clock), Memory(clock), heard, clock, stop)
    assert heard.ended == (0.0, "interrupted")
    assert closed.is_set()


async def test_waits_for_a_source_are_told():
    async def source():
        yield records(10)
        clock.pass_(0.7)
        yield records(10)

    heard, clock = Heard(), FakeClock()
    await run_load(source(), MaxArrivals(clock), Memory(clock), heard, clock, asyncio.Event())
    assert [wait for wait in heard.waits if wait[0]] == [(pytest.approx(0.7), pytest.approx(0.7))]


async def test_an_empty_source_ends_at_once():
    heard, clock = Heard(), FakeClock()
    await run_load(frames(), MaxArrivals(clock), Memory(clock), heard, clock, asyncio.Event())
    assert heard.ended[1] == "source ended"


async def test_the_real_clock_wakes_when_it_was_asked_to_with_and_without_the_kernels_timer():
    with RealClock() as clock:
        for timer in (clock._timer, None):
            kept, clock._timer = clock._timer, timer
            clock.begin()
            late = []
            for step in range(1, 40):
                await clock.sleep_until(step * 0.003)
                late.append(clock.now() - step * 0.003)
            clock._timer = kept
            assert min(late) > -1e-4
            assert np.median(late) < 0.02  # wide: the machine may be busy
        before = clock.now()
        await clock.sleep_until(0.0)
        assert clock.now() - before < 1.0
