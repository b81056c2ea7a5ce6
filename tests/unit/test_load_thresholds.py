"""`--fail-if`: what can be asked, what is broken, and what is said of what cannot be asked."""

from __future__ import annotations

import pytest

from producers.load.thresholds import broken, judged, parse_threshold
from schemas.errors import BadInputError
from tests.load_reports import told

REPORT = told(ack=lambda second: 0.080 if second == 3 else 0.005, failing=lambda second: 5 if second == 4 else 0)


@pytest.mark.parametrize(
    ("text", "is_broken"),
    [
        ("p50_ack_ms>6", False),
        ("p50_ack_ms<=6", True),
        ("p99_ack_ms > 50", True),
        ("p99.9_ack_ms>=50", True),
        ("max_ack_ms>81", False),
        ("mean_ack_ms>12", True),
        ("p99_pacing_ms>2", False),
        ("p1_pacing_ms>2", False),
        ("max_pacing_ms>0.4", True),
        ("mean_pacing_ms>0.6", False),
        ("rate<0.99", False),
        ("rate<0.999", True),
        ("errors>0", True),
        ("errors>5", False),
        ("errors>=5", True),
        ("error_rate>0.01", False),
        ("error_rate>.001", True),
        ("unanswered>0", False),
        ("p100_ack_ms>80", True),
    ],
)
def test_a_report_is_held_against_it(text: str, is_broken: bool) -> None:
    assert bool(broken(REPORT, [parse_threshold(text)])) == is_broken


def test_all_are_judged_and_the_broken_ones_told_with_what_was_found() -> None:
    thresholds = [parse_threshold(text) for text in ("errors>0", "rate<0.5", "error_rate > 0.001")]
    report = judged(REPORT, thresholds)
    assert [(one.threshold, one.value, one.broken) for one in report.thresholds] == [
        ("errors>0", 5.0, True),
        ("rate<0.5", pytest.approx(0.995, abs=1e-3), False),
        ("error_rate>0.001", 0.005, True),
    ]
    assert broken(REPORT, thresholds) == ["errors>0: found 5", "error_rate>0.001: found 0.005"]


@pytest.mark.parametrize("text", ["rate<0.99", "p99_ack_ms>50", "max_pacing_ms>1", "error_rate>0.1"])
def test_a_load_without_records_keeps_no_gate_open(text: str) -> None:
    nothing = told(0, asked=lambda _: None)
    assert broken(nothing, [parse_threshold(text)]) == [f"{text}: nothing was recorded to compare"]


def test_without_a_pace_there_is_no_rate() -> None:
    assert broken(told(pace="max"), [parse_threshold("rate<0.1")]) == ["rate<0.1: nothing was recorded to compare"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "p99_ack_ms",
        "p99_ack_ms>",
        "p99_ack_ms>50ms",
        "p99_ack_ms=50",
        "p99_ack_ms>-1",
        "p0_ack_ms>1",
        "p100.1_ack_ms>1",
        "p99_ack>1",
        "p99_latency_ms>1",
        "rates<1",
        "rate<0.9 errors>0",
        "errors>nan",
    ],
)
def test_anything_else_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(BadInputError) as caught:
        parse_threshold(text)
    assert repr(text) in str(caught.value)
    for word in ("rate", "errors", "p99.9_ack_ms", "max_ack_ms", "pNN_pacing_ms", ">="):
        assert word in str(caught.value)
