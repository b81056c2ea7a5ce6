"""The page on scale: the arithmetic by hand, its figures in step with the settings, and the page itself current."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from producers.scenario_files import load_scenario
from schemas.settings import Settings
from schemas.topics import PAYMENTS, TOPICS
from services.scaling.figures import (
    CATCH_UP_SECONDS,
    COUNTRY,
    EMIT_SECONDS,
    FAST,
    FOOTPRINT,
    HOUSEHOLDS,
    IDLE,
    PARTITIONS,
    PRODUCER_US,
    PROVINCE,
    SCALE,
    SKEW,
    SLOW,
    STEADY,
    Keys,
    per_second,
    vietnam,
)
from services.scaling.page import number, render
from services.scaling.plans import HEADROOM, RETAINED_BYTES, Load, Plan, alone_bytes, loads, payment_bytes, plan
from services.scaling.prices import Prices, busy, prices, solved

PRICE = Prices(
    worker_idle=0.01,
    worker_payment=4e-6,
    worker_flush=5e-3,
    worker_record=25e-6,
    broker_idle=0.1,
    broker_payment=1e-6,
    broker_flush=2e-3,
    exporter_idle=0.01,
    exporter_record=10e-6,
)
KEYS = Keys(
    provinces=2,
    communes=100,
    markets=200,
    cells=800,
    payments_a_day=86_400,
    peak_hour=3.0,
    largest_commune=0.02,
    largest_partition={4: 1.0, 8: 1.2},
)
BUSY = Plan(Load("busy", 1e6, 1e6, 3600.0, KEYS), 8, 1.0, PRICE)
"""A million a second, so that everything changes in every second; a simulated hour passes in each."""


def test_the_page_is_current():
    assert Path("docs/scaling.md").read_text(encoding="utf-8") == render()


class TestArithmetic:
    def test_what_changes_seldom_changes_as_often_as_it_is_hit(self):
        assert per_second(10, 1e6, 0.2) == pytest.approx(10, rel=1e-5)

    def test_what_is_hit_often_changes_once_an_interval(self):
        assert per_second(1e6, 100, 0.2) == pytest.approx(500)

    def test_in_between_some_are_missed(self):
        # 100 things, one hit each in an interval on average: 1 - 1/e of them
        assert per_second(100, 100, 1.0) == pytest.approx(63.212, abs=0.001)

    def test_three_equations(self):
        assert solved([(1, 0, 0, 7), (1, 1, 0, 9), (1, 1, 1, 14)]) == pytest.approx((7, 2, 5))

    @pytest.mark.parametrize(
        ("value", "shown"), [(0, "0"), (0.1234, "0.123"), (12.34, "12.3"), (7, "7"), (123.4, "123"), (1e6, "1 000 000")]
    )
    def test_numbers_are_to_be_read(self, value, shown):
        assert number(value) == shown

    def test_vietnam_has_its_communes_and_places_in_proportion(self):
        country = vietnam()
        assert (country.provinces, country.communes) == (34, 3_321)
        assert country.markets == 6_577  # 202 / 102 · 3 321
        assert country.cells == 29_824  # 916 / 102 · 3 321
        assert country.payments_a_day == 8_407_933  # 144 136 / 0.4 / 1 200 000 · 28 000 000


class TestPrices:
    @pytest.mark.parametrize("run", [SLOW, STEADY, FAST], ids=lambda run: run.arguments)
    def test_they_explain_the_runs_that_they_are_from(self, run):
        assert prices().worker(0, run.payments, run.flushes, run.written) == pytest.approx(busy(run, "worker"))

    def test_none_is_negative(self):
        assert min(vars(prices()).values()) > 0

    def test_idling_is_left_out(self):
        # 0.26 s in 20 s: 0.3341 of the 25.7 s
        assert busy(STEADY, "worker") == pytest.approx(4.04 - 0.26 / 20 * 25.7)

    def test_bytes_of_a_payment(self):
        assert payment_bytes(FAST) == pytest.approx(37.19, abs=0.01)  # 76 565 757 / 2 058 933
        assert alone_bytes() == pytest.approx(351.35, abs=0.01)  # 870 178 / 2 997 + 61


class TestAPlan:
    def test_records(self):
        assert BUSY.changed == pytest.approx(800)
        assert BUSY.flushes == pytest.approx(8)
        assert BUSY.adoption == pytest.approx(300 * (3 + 1))  # total, day, hour, and the hour that came
        assert BUSY.changelog == pytest.approx(808)

    def test_cores(self):
        # 4 s of payments, 8 flushes of 5 ms, 2 008 records of 25 µs; no partition has more cells than were measured
        assert BUSY.worker_cores == pytest.approx(4 + 0.04 + 0.0502)
        assert BUSY.exporter_cores == pytest.approx(0.01 + 1_200 * 10e-6)
        assert BUSY.broker_cores == pytest.approx(3 * (1 + 0.016 + 0.1))
        assert BUSY.producer_cores == pytest.approx(PRODUCER_US)

    def test_cells_beyond_those_measured_are_looked_at_too(self):
        many = replace(BUSY, load=replace(BUSY.load, keys=replace(KEYS, cells=8_000)))
        # 1 000 cells a partition, 768 more than measured, 8 flushes, 0.202 µs; and 7 200 records more
        assert many.worker_cores - BUSY.worker_cores == pytest.approx(8 * 768 * 0.202e-6 + 7_200 * 25e-6, rel=1e-3)

    def test_processes(self):
        assert BUSY.workers == 9  # 4.09 cores · 1.2 / 0.6 = 8.18
        assert BUSY.shards == 5  # 5.066 cores / 0.6 / 2 provinces = 4.22
        assert BUSY.producers == 10
        assert BUSY.machines == 3  # for three copies; 12.5 cores / 0.6 / 16 would be two

    def test_disks_and_wires(self):
        assert BUSY.payment_bytes == payment_bytes(FAST)
        assert BUSY.payments_a_day_bytes == pytest.approx(1e6 * 86_400 * 37.187 * 3, rel=1e-4)
        assert BUSY.retained_hours == pytest.approx(8 * 4 * 2**30 / 37.187e6 / 3600, rel=1e-4)
        assert BUSY.retained_gb == pytest.approx(103.08, abs=0.01)
        assert BUSY.changelog_bytes == pytest.approx(808 * 6_686_532 / 13_727)
        assert BUSY.read_bytes < BUSY.written_bytes < BUSY.read_bytes + BUSY.changelog_bytes + 6e6

    def test_recovery_reads_its_share_of_the_cells(self):
        each = (1.03 - 0.74) / 19_648
        assert BUSY.recovery_seconds == pytest.approx(2.133 + 800 / 9 * each)
        assert BUSY.uncompacted_seconds > BUSY.recovery_seconds

    def test_a_slow_load_has_batches_of_one(self):
        slow = replace(BUSY, load=replace(BUSY.load, peak=8.0, mean=8.0))
        assert slow.payment_bytes == alone_bytes()
        assert slow.workers == 2  # so that one may die

    def test_it_has_few_partitions_and_an_exporter_that_keeps_up(self):
        for load in loads():
            one = plan(load)
            assert one.exporter_cores <= HEADROOM
            assert 2 * one.workers <= one.partitions < load.keys.communes
            assert one.worker_cores * load.keys.largest_partition[one.partitions] / one.workers <= HEADROOM

    def test_a_load_beyond_all_is_refused(self):
        with pytest.raises(ValueError, match="more than one exporter, or more partitions"):
            plan(replace(BUSY.load, peak=1e9))


class TestFigures:
    def test_they_are_of_the_settings_that_there_are(self):
        stream = Settings().stream
        assert (stream.emit_interval_seconds, stream.catch_up_interval_seconds) == (EMIT_SECONDS, CATCH_UP_SECONDS)
        assert Settings().kafka.partitions == PARTITIONS
        assert {topic.retention_bytes for topic in TOPICS if topic.name == PAYMENTS} == {RETAINED_BYTES}

    def test_they_are_of_the_scenario_that_there_is(self):
        scenario = load_scenario("an-giang")
        assert (scenario.province.households.value, scenario.scale.value) == (HOUSEHOLDS, SCALE)
        assert scenario.province.communes.value == PROVINCE.communes

    @pytest.mark.parametrize("command", [FOOTPRINT, SKEW, "python -m tests.benchmarks.grouping"])
    def test_the_commands_are_there(self, command):
        assert Path(*command.split()[-1].split(".")).with_suffix(".py").exists()

    def test_the_more_partitions_the_less_even(self):
        for keys in (PROVINCE, COUNTRY):
            assert list(keys.largest_partition.values()) == sorted(keys.largest_partition.values())

    def test_nothing_happens_when_nothing_is_produced(self):
        assert (IDLE.payments, IDLE.adoption) == (0, 0)
