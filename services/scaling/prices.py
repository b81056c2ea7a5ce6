"""What one of each takes: from the footprints.

In: `services.scaling.figures`. Out: `Prices`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from services.scaling.figures import FAST, IDLE, SLOW, STEADY, Footprint


@dataclass(frozen=True)
class Prices:
    """CPU seconds of what processes do, from the footprints."""

    worker_idle: float
    """Per second."""
    worker_payment: float
    worker_flush: float
    worker_record: float
    broker_idle: float
    broker_payment: float
    broker_flush: float
    exporter_idle: float
    exporter_record: float

    def worker(self, seconds: float, payments: float, flushes: float, written: float) -> float:
        """Return what workers take."""
        per_event = payments * self.worker_payment + flushes * self.worker_flush + written * self.worker_record
        return seconds * self.worker_idle + per_event


def prices() -> Prices:
    """Return prices that explain the footprints: of a worker all three, exactly."""
    idle = {process: IDLE.cpu[process] / IDLE.seconds for process in ("worker", "broker", "exporter")}
    rows = [(run.payments, run.flushes, run.written, busy(run, "worker")) for run in (SLOW, STEADY, FAST)]
    payment, flush, record = solved(rows)
    broker_payment = busy(FAST, "broker") / FAST.payments
    return Prices(
        worker_idle=idle["worker"],
        worker_payment=payment,
        worker_flush=flush,
        worker_record=record,
        broker_idle=idle["broker"],
        broker_payment=broker_payment,
        broker_flush=max(0.0, busy(SLOW, "broker") - SLOW.payments * broker_payment) / SLOW.flushes,
        exporter_idle=idle["exporter"],
        exporter_record=busy(STEADY, "exporter") / STEADY.adoption,
    )


def busy(run: Footprint, process: str) -> float:
    """Return the CPU seconds that a process took for its work, what it takes for nothing left out."""
    return run.cpu[process] - run.seconds * IDLE.cpu[process] / IDLE.seconds


def solved(rows: Iterable[tuple[float, float, float, float]]) -> tuple[float, float, float]:
    """Return x, y, z of three equations a·x + b·y + c·z = d, by Cramer's rule."""
    columns = list(zip(*rows, strict=True))
    a, b, c, d = columns
    whole = determinant(a, b, c)
    return determinant(d, b, c) / whole, determinant(a, d, c) / whole, determinant(a, b, d) / whole


def determinant(a: tuple[float, ...], b: tuple[float, ...], c: tuple[float, ...]) -> float:
    """Return that of three columns."""
    return a[0] * (b[1] * c[2] - b[2] * c[1]) - b[0] * (a[1] * c[2] - a[2] * c[1]) + c[0] * (a[1] * b[2] - a[2] * b[1])
