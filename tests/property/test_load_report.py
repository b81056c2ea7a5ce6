"""Durations are counted as HdrHistogram counts them one by one, whatever they are, and no record is lost on the way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.load import durations as module
from producers.load.durations import HIGHEST_OF_SLOT, HIGHEST_US, SLOTS, Durations, decoded, empty, encoded, slots_of
from producers.load.outcomes import Recorder
from tests.load_reports import described

PERCENTILES = [0.1, 50, 90, 99, 99.9, 100]
MICROS = st.lists(
    st.one_of(st.integers(0, 5000), st.integers(0, HIGHEST_US), st.sampled_from([0, 1, 2047, 2048, 4095, HIGHEST_US])),
    min_size=1,
    max_size=200,
)


@pytest.mark.parametrize("together", [3, 512])
@settings(max_examples=40)
@given(micros=MICROS)
def test_counts_are_those_of_a_histogram_that_records_one_by_one(together: int, micros: list[int]) -> None:
    one_by_one = empty()
    for value in micros:
        assert one_by_one.record_value(value)
    durations = Durations()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "TOGETHER", together)
        for part in range(5):
            durations.add(np.array(micros[part::5]) / 1e6)
    histogram = durations.histogram()
    assert list(histogram.counts) == list(one_by_one.counts)
    again = decoded(encoded(histogram))
    expected = one_by_one.get_percentile_to_value_dict(PERCENTILES)
    assert histogram.get_percentile_to_value_dict(PERCENTILES) == expected
    assert again.get_percentile_to_value_dict(PERCENTILES) == expected
    assert histogram.get_max_value() == one_by_one.get_max_value()
    assert again.get_total_count() == len(micros)


@settings(max_examples=25)
@given(MICROS, MICROS)
def test_histograms_of_two_reports_add_up_to_that_of_both_loads(one: list[int], other: list[int]) -> None:
    texts, whole = [], empty()
    for micros in (one, other):
        durations = Durations()
        durations.add(np.array(micros) / 1e6)
        texts.append(encoded(durations.histogram()))
        for value in micros:
            whole.record_value(value)
    first, second = map(decoded, texts)
    first.add(second)
    assert first.get_total_count() == len(one) + len(other)
    assert first.get_percentile_to_value_dict(PERCENTILES) == whole.get_percentile_to_value_dict(PERCENTILES)


@given(MICROS, MICROS)
def test_a_mark_gives_the_percentiles_of_what_came_since(before: list[int], micros: list[int]) -> None:
    durations, alone = Durations(), empty()
    durations.add(np.array(before) / 1e6)
    durations.since_mark([50])
    durations.add(np.array(micros) / 1e6)
    for value in micros:
        alone.record_value(value)
    assert durations.since_mark([50, 99]) == [alone.get_value_at_percentile(share) / 1000 for share in (50, 99)]
    assert durations.since_mark([50]) == [None]


def test_every_slot_has_the_highest_value_that_the_library_gives_it() -> None:
    histogram = empty()
    for slot in range(0, SLOTS, 7):
        value = histogram.get_value_from_index(slot)
        assert histogram.get_highest_equivalent_value(value) == HIGHEST_OF_SLOT[slot]
        assert slots_of(np.array([value, HIGHEST_OF_SLOT[slot]])).tolist() == [slot, slot]


OUTCOMES = st.lists(
    st.tuples(
        st.integers(1, 50),  # records
        st.floats(0, 3),  # time since the one before
        st.floats(0, 2),  # sent so late
        st.floats(0, 2),  # answered after
        st.sampled_from(["answered", "http 500", "timeout", "nothing"]),
    ),
    max_size=20,
)


@settings(max_examples=25)
@given(OUTCOMES, st.booleans())
def test_every_record_told_is_in_the_report_once(
    outcomes: list[tuple[int, float, float, float, str]], paced: bool
) -> None:
    recorder = Recorder(lambda _: 10.0 if paced else None)
    recorder.begin()
    expected = {"answered": 0, "nothing": 0, "http 500": 0, "timeout": 0}
    now = 0.0
    for count, gap, late, wait, outcome in outcomes:
        due = np.full(count, now + gap)
        now += gap + late
        recorder.sent(due, now)
        if outcome == "answered":
            recorder.answered(due, now + wait)
        elif outcome != "nothing":
            recorder.failed(due, now + wait, outcome)
        expected[outcome] += count
    recorder.end(now, "source ended")
    report = recorder.report(described())
    assert report.counts.sent == sum(expected.values()) == sum(row.sent for row in report.per_second)
    assert report.counts.answered == expected["answered"] == sum(row.answered for row in report.per_second)
    assert report.counts.unanswered == expected["nothing"]
    assert report.counts.errors == {kind: expected[kind] for kind in report.counts.errors}
    assert (
        report.counts.failed
        == expected["http 500"] + expected["timeout"]
        == sum(row.failed for row in report.per_second)
    )
    assert (report.pacing_ms.count, report.ack_ms.count) == (report.counts.sent, report.counts.answered)
    assert type(report).model_validate_json(report.model_dump_json()) == report
