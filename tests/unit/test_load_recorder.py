"""What the recorder makes of a load: rates, seconds, who was the limit, and live metrics that say the same."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from producers.load.arrivals import RateArrivals
from producers.load.cpu import SCHEDULER, cores, cpu_times, shares_of
from producers.load.durations import decoded
from producers.load.outcomes import Recorder
from producers.load.profiles import built_in
from schemas.load_report import Pace
from schemas.metrics import MAX_LOAD_ERROR_KINDS, OTHER_ERRORS, Metrics
from tests.load_reports import CpuClock, described, told
from tests.tools import unavailable


class TestRates:
    def test_a_kept_pace(self) -> None:
        report = told(10, rate=100)
        assert (report.counts.asked, report.counts.sent, report.counts.answered) == (1000, 1000, 1000)
        assert [row.asked for row in report.per_second][:10] == [100.0] * 10
        assert [row.sent for row in report.per_second][:10] == [100] * 10
        assert report.rate == pytest.approx(1)
        assert report.asked_per_second == pytest.approx(100)
        assert report.achieved_per_second == pytest.approx(100, rel=1e-3)
        assert report.ended_at - report.began_at == pytest.approx(10_000, abs=20)
        assert report.ended == "profile ended"
        assert report.warnings == ()

    def test_records_that_failed_are_not_achieved(self) -> None:
        report = told(10, failing=lambda _: 20)
        assert report.rate == pytest.approx(0.8, abs=1e-3)
        assert report.counts.errors == {"timeout": 100, "http 500": 100}

    def test_all_of_it_in_twice_the_time_is_half_the_rate(self) -> None:
        recorder = Recorder(lambda second: 100.0 if second < 10 else 0.0)
        for number in range(1000):
            due, at = np.array([number / 100]), number / 50
            recorder.sent(due, at)
            recorder.answered(due, at + 0.001)
        recorder.end(20.0, "profile ended")
        report = recorder.report(described())
        assert (report.counts.asked, report.counts.answered) == (1000, 1000)
        assert report.rate == pytest.approx(0.5, abs=2e-3)
        assert report.achieved_per_second == pytest.approx(50, rel=1e-2)
        assert report.asked_per_second == pytest.approx(100, rel=1e-2)
        assert report.ack_ms.max == pytest.approx(9991, rel=2e-3)  # counted from when it was due

    def test_interrupted_while_behind_the_rest_was_asked_for_too(self) -> None:
        recorder = Recorder(lambda second: 100.0 if second < 60 else 0.0)
        for number in range(300):
            due = np.array([number / 100])
            recorder.sent(due, number / 60)
            recorder.answered(due, number / 60)
        recorder.end(5.0, "interrupted")
        report = recorder.report(described())
        assert report.counts.asked == 500
        assert report.rate == pytest.approx(0.6, abs=0.01)

    def test_interrupted_within_a_second_only_its_part_was_asked_for(self) -> None:
        recorder = Recorder(lambda _: 100.0)
        due = np.arange(250) / 100
        recorder.sent(due, 2.5)
        recorder.answered(due, 2.5)
        recorder.end(2.5, "interrupted")
        assert recorder.report(described()).counts.asked == 250

    def test_by_the_records_own_times_as_many_are_asked_for_as_are_due(self) -> None:
        recorder = Recorder(lambda _: None)
        for due in (np.array([0.0, 0.5, 0.9, 1.0]), np.array([1.5, 3.2])):
            recorder.sent(due, float(due[-1]))
            recorder.answered(due, float(due[-1]))
        recorder.end(3.2, "source ended")
        report = recorder.report(described("speed"))
        assert [row.asked for row in report.per_second] == [3.0, 2.0, 0.0, 1.0]
        assert report.rate == pytest.approx(1)

    def test_as_fast_as_it_goes_nothing_is_asked_for(self) -> None:
        report = told(3, pace="max")
        assert (report.counts.asked, report.asked_per_second, report.rate) == (None, None, None)
        assert {row.asked for row in report.per_second} == {None}

    def test_a_load_of_nothing_has_a_report(self) -> None:
        report = told(0, asked=lambda _: None)
        assert report.counts.model_dump() == {
            "asked": 0,
            "sent": 0,
            "answered": 0,
            "failed": 0,
            "unanswered": 0,
            "errors": {},
        }
        assert (report.rate, report.ack_ms.p99, report.per_second, report.warnings) == (None, None, (), ())
        assert decoded(report.histograms.ack.encoded).get_total_count() == 0

    def test_a_single_record_at_the_very_beginning(self) -> None:
        recorder = Recorder(lambda _: None)
        recorder.sent(np.zeros(1), 0.0)
        recorder.answered(np.zeros(1), 0.0)
        recorder.end(0.0, "source ended")
        report = recorder.report(described("speed"))
        assert (report.rate, report.counts.answered, report.ack_ms.p50) == (1.0, 1, 0.0)

    @pytest.mark.parametrize("count", [1, 3])
    def test_records_of_one_moment_are_no_rate_to_miss(self, count: int) -> None:
        recorder = Recorder(lambda _: None)
        recorder.sent(np.zeros(count), 0.004)
        recorder.answered(np.zeros(count), 0.005)
        recorder.end(0.005, "source ended")
        assert recorder.report(described("speed")).rate == 1

    @pytest.mark.parametrize("reason", ["interrupted", "limit", "error: it broke"])
    def test_what_was_asked_for_while_nothing_could_be_sent_counts(self, reason: str) -> None:
        recorder = Recorder(lambda second: 100.0 if second < 60 else 0.0)
        due = np.arange(300) / 100
        recorder.sent(due, 3.0)
        recorder.answered(due, 3.0)
        recorder.end(9.5, reason)
        report = recorder.report(described())
        assert report.counts.asked == 950
        assert report.rate == pytest.approx(300 / 950, rel=0.01)
        assert [row.asked for row in report.per_second] == [100.0] * 9 + [50.0]

    def test_a_source_that_ends_is_asked_for_no_more_than_it_has(self) -> None:
        recorder = Recorder(lambda _: 100.0)
        due = np.arange(30) / 100
        recorder.sent(due, 0.3)
        recorder.answered(due, 0.3)
        recorder.end(0.5, "source ended")  # it took a while to tell that this was all
        report = recorder.report(described())
        assert (report.counts.asked, report.rate) == (30, 1)

    @pytest.mark.parametrize("seed", range(5))
    def test_a_poisson_process_asks_for_what_it_draws(self, seed: int) -> None:
        arrivals = RateArrivals(built_in("steady", 50, 4.0), "poisson", seed)
        expected = sum(arrivals.asked(second) or 0.0 for second in range(4))
        assert expected == pytest.approx(200)
        recorder = Recorder(arrivals.asked)
        due = arrivals.of(np.zeros(1000, dtype=np.int64))
        for one in due:
            recorder.sent(np.array([one]), float(one))
            recorder.answered(np.array([one]), float(one))
        recorder.end(4.0, "profile ended")
        report = recorder.report(described())
        assert report.counts.asked == len(due) != 200
        assert report.rate == 1

    def test_a_report_can_be_asked_for_twice(self) -> None:
        recorder = Recorder(lambda _: None)
        recorder.sent(np.array([0.1, 0.2]), 0.2)
        recorder.answered(np.array([0.1, 0.2]), 0.3)
        recorder.end(0.3, "interrupted")
        first, second = (recorder.report(described("speed")) for _ in range(2))
        assert first.per_second == second.per_second
        assert first.per_second[0].p50_ack_ms == pytest.approx(100, rel=1e-3)


class TestSeconds:
    def test_latency_is_that_of_the_records_answered_in_it(self) -> None:
        report = told(5, ack=lambda second: 0.1 if second == 2 else 0.01)
        assert report.per_second[1].p50_ack_ms == pytest.approx(10.5, rel=0.01)
        assert report.per_second[2].p50_ack_ms == pytest.approx(100.5, rel=0.01)
        assert report.per_second[3].p99_ack_ms == pytest.approx(100.5, rel=0.01)  # those that were due before it
        assert report.per_second[4].p99_ack_ms == pytest.approx(10.5, rel=0.01)

    def test_early_is_an_error_of_pace_too(self) -> None:
        recorder = Recorder(lambda _: None)
        recorder.sent(np.array([0.020]), 0.0)
        recorder.end(1.0, "source ended")
        assert recorder.report(described()).pacing_ms.max == pytest.approx(20, rel=1e-3)

    def test_kinds_of_errors_are_bounded_and_no_error_is_lost(self) -> None:
        recorder = Recorder(lambda _: None)
        for number in range(100):
            recorder.failed(np.zeros(1), 0.0, f"kind {number}")
        assert len(recorder.errors) == MAX_LOAD_ERROR_KINDS
        assert recorder.errors[OTHER_ERRORS] == 100 - MAX_LOAD_ERROR_KINDS + 1


class TestWhoWasTheLimit:
    def test_late_without_cpu_it_was_the_tool(self) -> None:
        report = told(
            late=lambda second: 0.05 if second in (7, 8) else 0, busy=lambda second: 0.97 if second >= 7 else 0.2
        )
        (warning,) = report.warnings
        assert warning.startswith("in 3 of 10 seconds, the first at 7 s, the tool was the limit, not the target")

    def test_late_with_cpu_left_it_was_the_target(self) -> None:
        (warning,) = told(late=lambda second: 0.05 if second >= 7 else 0).warnings
        assert "the first at 7 s" in warning
        assert "the target took no more" in warning

    def test_late_because_others_had_the_cores_it_was_neither(self) -> None:
        late = {"late": lambda second: 0.05 if second in (7, 8) else 0}
        (warning,) = told(**late, crowded=lambda second: 0.4 if second >= 7 else 0).warnings
        assert warning.startswith("in 3 of 10 seconds, the first at 7 s, others on this machine had the CPU")
        assert told(crowded=lambda _: 0.4).warnings == ()  # the pace was kept

    @pytest.mark.parametrize(
        ("pace", "said"),
        [("rate", "the source was the limit, not the target: "), ("max", "too slowly: the target may take more")],
    )
    def test_with_nothing_to_send_it_was_the_source(self, pace: Pace, said: str) -> None:
        recorder = Recorder(lambda _: 100.0, cpu=CpuClock())
        recorder.sent(np.arange(100) / 100, 1.0)
        recorder.starved(2.5, 3.6)  # 0.6 s of it in the fourth second
        recorder.sent(1 + np.arange(260) / 100, 3.6)
        recorder.end(3.7, "limit")
        report = recorder.report(described(pace))
        assert [row.source_waited for row in report.per_second] == [0, 0, 0, pytest.approx(0.6)]
        (warning,) = (one for one in report.warnings if "the first at 3 s" in one)
        assert said in warning

    def test_on_time_with_hardly_any_cpu_left_is_said(self) -> None:
        (warning,) = told(busy=lambda second: 0.9 if second == 4 else 0.2).warnings
        assert warning.startswith("in 1 of 10 seconds, the first at 4 s, the tool had hardly any CPU left")

    def test_what_is_left_behind_the_last_whole_second_is_no_second(self) -> None:
        cpu = CpuClock()
        recorder = Recorder(lambda _: 100.0, cpu=cpu)
        recorder.begin()
        for due in (0.5, 1.0005, 1.001):
            recorder.sent(np.array([due]), due)
            cpu.use(0.0005, 0.0)  # all of the time since
        recorder.end(1.0015, "limit")
        report = recorder.report(described())
        assert report.warnings == ()
        assert report.per_second[1].loop_cpu is None

    def test_as_fast_as_it_goes_a_busy_tool_measures_itself(self) -> None:
        (warning,) = told(pace="max", busy=lambda _: 0.95).warnings
        assert "the rate is what it can do" in warning
        assert told(pace="max", busy=lambda _: 0.5, late=lambda _: 1.0).warnings == ()

    def test_cpu_is_that_of_the_load(self) -> None:
        report = told(10, busy=lambda _: 0.3)
        assert report.cpu.seconds == pytest.approx(3.0)
        assert report.cpu.loop_used == pytest.approx(0.3, rel=0.02)
        assert report.per_second[5].cpu == pytest.approx(0.3, rel=0.15)

    def test_waiting_for_a_core_is_measured_where_the_system_counts_it(self) -> None:
        """More threads that only compute, in processes of their own, than there are cores."""
        if not SCHEDULER.exists():
            unavailable("this system does not count waits for a core")
        code = "import time; until = time.monotonic() + 0.6\nwhile time.monotonic() < until: pass"
        before, began = cpu_times(), time.monotonic()
        others = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2 * cores())]
        while any(one.poll() is None for one in others):
            pass
        _, used, waited = shares_of(before, cpu_times(), time.monotonic() - began)
        assert used is not None
        assert waited is not None
        assert waited > 0.1
        assert used + waited == pytest.approx(1, abs=0.2)

    def test_real_cpu_time_is_measured(self) -> None:
        recorder = Recorder(lambda _: None)
        recorder.begin()
        recorder.sent(np.zeros(1), 0.0)
        until = time.thread_time() + 0.05
        while time.thread_time() < until:
            pass
        recorder.end(0.1, "source ended")
        used = recorder.report(described()).cpu
        assert used.seconds >= 0.05
        assert used.cores >= 1


def test_live_metrics_say_what_the_report_says() -> None:
    registry = CollectorRegistry()
    recorder = Recorder(lambda _: 10.0, Metrics("load", registry, "1.2.3"))
    for second in range(3):
        due = second + np.arange(10) / 10
        recorder.sent(due, second + 0.95)
        recorder.answered(due[1:], second + 0.96)
        recorder.failed(due[:1], second + 0.96, "refused")
    get = registry.get_sample_value
    assert get("quetma_load_asked_records_per_second") == 10
    assert get("quetma_load_due_records_total") == pytest.approx(30, abs=0.5)
    assert get("quetma_load_sent_records_total") == 30
    assert get("quetma_load_answered_records_total") == 27
    assert get("quetma_load_failed_records_total", {"error": "refused"}) == 3
    report = recorder.report(described())
    assert get("quetma_load_ack_seconds_count") == report.ack_ms.count == 27
    assert get("quetma_load_ack_seconds_sum") == pytest.approx(sum(0.96 - tenth / 10 for tenth in range(1, 10)) * 3)
    assert get("quetma_load_ack_seconds_bucket", {"le": "0.5"}) == 3 * 5  # .06, .16, .26, .36, .46
    assert get("quetma_load_pacing_seconds_bucket", {"le": "+Inf"}) == 30
    assert get("quetma_build_info", {"version": "1.2.3", "process": "load"}) == 1


def test_recording_keeps_up_with_hundreds_of_thousands_a_second() -> None:
    """In slices of a millisecond, as they fall due at 300 000 a second."""
    recorder = Recorder(lambda _: 300_000.0)
    due = np.linspace(0, 1, 300_000)
    began = time.process_time()
    for slice_ in np.split(due, 1000):
        recorder.sent(slice_, float(slice_[-1]) + 0.0005)
        recorder.answered(slice_, float(slice_[-1]) + 0.004)
    spent = time.process_time() - began
    assert recorder.answered_count == 300_000
    assert spent < 0.5, spent  # of one core, for a second's records
