"""A load that goes on beside a test: a real recorder and its /metrics, told by a thread.

In: nothing. Out: the port of /metrics.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING

import numpy as np
from prometheus_client import CollectorRegistry

from producers.load.outcomes import Recorder
from schemas.metrics import Metrics
from services.processes import serve_metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

PER_SECOND = 500


@contextmanager
def loading() -> Iterator[int]:
    """Send 25 records each 50 ms, of which one fails."""
    metrics = Metrics("load", CollectorRegistry(), "0.0.0")
    recorder = Recorder(lambda _: float(PER_SECOND), metrics)
    stop = Event()

    def work() -> None:
        recorder.begin()
        began = time.monotonic()
        while not stop.wait(0.05):
            now = time.monotonic() - began
            due = now - np.linspace(0.05, 0, 25, endpoint=False)
            recorder.sent(due, now)
            recorder.answered(due[1:], now + 0.003)
            recorder.failed(due[:1], now + 0.003, "http 500")

    thread = Thread(target=work)
    thread.start()
    try:
        yield serve_metrics(metrics.registry, "127.0.0.1", 0)
    finally:
        stop.set()
        thread.join()
