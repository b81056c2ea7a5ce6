"""The pipeline's figures on the page, from the exporter's metrics."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from schemas.metrics import Metrics
from services.page import figures
from services.page.figures import WINDOW_SECONDS, Figures


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("serve", CollectorRegistry(), "1.2.3")


def test_before_anything_is_known_nothing_is_said(metrics: Metrics) -> None:
    health = Figures(metrics).health(silent_seconds=0.4, ready=False)
    assert (health.lag, health.dead_letters, health.ready, health.silent_seconds) == (None, {}, False, 0)
    assert health.latency_ms == {"p50": None, "p95": None, "p99": None}


def test_lag_is_summed_and_dead_letters_are_told_by_reason(metrics: Metrics) -> None:
    for partition, records in (("0", 5), ("1", 7)):
        metrics.gauge("quetma_stream_lag_records").labels(partition=partition).set(records)
    letters = metrics.counter("quetma_dead_letter_records")
    letters.labels(reason="malformed").inc(3)
    letters.labels(reason="time").inc(0)
    health = Figures(metrics).health(silent_seconds=1.0, ready=True)
    assert (health.lag, health.dead_letters) == (12, {"malformed": 3})


def test_latency_is_that_of_the_last_minute(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(figures.time, "monotonic", lambda: now)
    latency = metrics.histogram("quetma_event_to_metric_seconds")
    view = Figures(metrics)

    def p99() -> float | None:
        return view.health(silent_seconds=0, ready=True).latency_ms["p99"]

    p99()
    latency.observe(20.0)  # while the topics were read
    slow = p99()
    assert slow is not None
    assert slow > 10_000
    now = 1.0
    p99()
    now = WINDOW_SECONDS + 2
    for _ in range(100):
        latency.observe(0.09)
    fast = p99()
    assert fast is not None
    assert 75 <= fast <= 100
