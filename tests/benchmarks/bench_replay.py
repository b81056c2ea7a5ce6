"""How fast, and how exactly in time, records are replayed: a capture of payments to a broker, verbatim.

The broker is a process of its own. A capture is written before the clock starts, and read while it runs, as
`quetma replay` reads it, by the same parts and with the same recorder. The pacing error is from when each record was
due to when it was handed to the client; an acknowledgement's latency counts from when it was due, too.
"""

from __future__ import annotations

import asyncio
import math
import tempfile
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import uvloop

from producers.announcements import wall_clock
from producers.load.arrivals import MaxArrivals, RateArrivals, SpeedArrivals
from producers.load.clock import Clock, RealClock
from producers.load.dispatch import Limits
from producers.load.outcomes import Recorder
from producers.load.parts import Arrivals, Seconds
from producers.load.profiles import built_in
from producers.load.sources.opened import open_source
from producers.load.sources.ordering import DEFAULT_BUFFER
from producers.load.sources.scenarios import scenario_source
from producers.load.sources.threads import from_thread
from producers.load.targets.kafka import KafkaTarget, KafkaTargetSettings
from producers.load.transforms.replaying import Changes, replayed
from producers.plan import Plan
from services.load_run import run_load
from tests.benchmarks.measuring import Meter, Row, Stopwatch, broker_of, in_own_process, world_of

EVENTS = 3_000_000
SECONDS = 10.0
RATES = (10_000, 100_000)
SPEED = 4.0
FRAME = 20_000
TARGETS: dict[str, dict[str, float]] = {
    "max": {"target_events_per_second": 300_000},
    "10000": {"target_pacing_p99_ms": 2.0},
    "100000": {"target_duration_error": 0.001},
    "speed": {"target_worst_second": 0.02},
}


def run(seconds: float = SECONDS, events: int = EVENTS, broker: str | None = None) -> Iterator[Row]:
    """Replay a capture at full speed, at two rates, and at four times its own speed, each to a fresh broker."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "payments.parquet"
        in_own_process(record, path=str(path), events=max(events, int(max(RATES) * seconds)))
        for kind in ("max", *map(str, RATES), "speed"):
            with broker_of(broker) as one:
                yield in_own_process(
                    replay, path=str(path), kind=kind, seconds=seconds, servers=one.servers, broker_pid=one.pid
                )


def record(path: str, events: int) -> Row:
    """Write a capture of so many payments."""
    watch = Stopwatch()
    uvloop.run(_record(Path(path), events))
    return watch.row("capture", "recorder", events)


async def _record(path: Path, events: int) -> None:
    frames, there = [], 0
    async with aclosing(scenario_source(Plan(world_of(), "bench-replay"), 4)) as source:
        async for frame in source:
            frames.append(frame)
            there += len(frame)
            if there >= events:
                break
    at = pl.Series("timestamp", _uneven(np.arange(events)), dtype=pl.Int64)
    pl.concat(frames).head(events).with_columns(at).write_parquet(path, compression="zstd", row_group_size=FRAME)


class Times:
    """Implements `services.load_run.Recorder`: keeps when each record was due, sent and answered; and records it."""

    def __init__(self, meter: Meter | None, arrivals: Arrivals) -> None:
        self._meter, self._recorder = meter, Recorder(arrivals.asked)
        self._sent, self._answered = list[tuple[Seconds, float]](), list[tuple[Seconds, float]]()
        self.failed_records = 0
        self.watch = Stopwatch()
        self.reason = ""

    def begin(self) -> None:
        """Start the clocks."""
        self._recorder.begin()
        self.watch = Stopwatch()
        if self._meter is not None:
            self._meter.start()

    def end(self, seconds: float, reason: str) -> None:
        """Keep the reason."""
        self.reason = reason
        self._recorder.end(seconds, reason)

    def starved(self, seconds: float, at: float) -> None:
        """Record it."""
        self._recorder.starved(seconds, at)

    def sent(self, due: Seconds, at: float) -> None:
        """Keep it."""
        self._sent.append((due, at))
        self._recorder.sent(due, at)

    def answered(self, due: Seconds, at: float) -> None:
        """Keep it."""
        self._answered.append((due, at))
        self._recorder.answered(due, at)

    def failed(self, due: Seconds, at: float, kind: str) -> None:
        """Count it."""
        self.failed_records += len(due)
        self._recorder.failed(due, at, kind)

    def columns(self, *, answered: bool = False) -> tuple[Seconds, Seconds]:
        """Return when records were due, and when they were sent, or answered."""
        told = self._answered if answered else self._sent
        return np.concatenate([due for due, _ in told]), np.concatenate([np.full(len(due), at) for due, at in told])


def replay(path: str, kind: str, seconds: float, servers: str, broker_pid: int | None = None) -> Row:
    """Replay a capture: ``max``, a rate, or ``speed``."""
    return uvloop.run(_replay(Path(path), kind, seconds, servers, broker_pid))


async def _replay(path: Path, kind: str, seconds: float, servers: str, broker_pid: int | None) -> Row:
    broker = Meter(broker_pid) if broker_pid else None
    changes = Changes(verbatim=True, buffer=DEFAULT_BUFFER if kind == "speed" else None)
    limits = Limits(seconds=seconds if kind == "speed" else math.inf)
    with RealClock() as clock:
        arrivals = _arrivals(kind, seconds, clock)
        times = Times(broker, arrivals)
        source = from_thread(replayed(open_source(str(path)), changes, wall_clock))
        async with KafkaTarget(KafkaTargetSettings(servers), times, clock) as target, aclosing(source):
            await run_load(source, arrivals, target, times, clock, asyncio.Event(), limits)
    return _row(kind, times, broker)


def _arrivals(kind: str, seconds: float, clock: Clock) -> Arrivals:
    if kind == "max":
        return MaxArrivals(clock)
    return SpeedArrivals(SPEED) if kind == "speed" else RateArrivals(built_in("steady", float(kind), seconds))


def _uneven(numbers: np.ndarray) -> np.ndarray:
    """Return times in ms of records that come at 1 000 to 9 000 a second, up and down every 8 seconds."""
    ms = np.arange(0, 400_000)
    count = np.cumsum(5 + 4 * np.sin(ms * (2 * np.pi / 8000)))
    return np.searchsorted(count, numbers, side="right")


def _row(kind: str, times: Times, broker: Meter | None) -> Row:
    due, sent = times.columns()
    answered_due, answered = times.columns(answered=True)
    events, took = len(answered), float(answered.max())
    more: dict[str, Any] = {"failed": times.failed_records, **TARGETS.get(kind, {})}
    if kind != "max":
        pacing = (sent - due) * 1000
        more |= {
            "pacing_ms": _percentiles(pacing),
            "ack_ms": _percentiles((answered - answered_due) * 1000),
            "duration_error": round(abs(float(sent.max()) / float(due.max()) - 1), 5),
            "worst_second": _worst_second(due, sent),
        }
    if broker is not None:
        broker.read()
        more |= {
            "broker_cpu_seconds": round(broker.cpu_seconds, 3),
            "peak_memory_mb": {"broker": broker.peak_memory_mb},
        }
    names = {"max": "replay max", "speed": f"replay ×{SPEED:g}"}
    row = times.watch.row(names.get(kind, f"replay {kind}/s"), "replayer", events, **more)
    return {**row, "seconds": round(took, 3), "events_per_second": round(events / took, 1)}


def _percentiles(values: Seconds) -> dict[str, float]:
    p50, p99, p999 = np.percentile(values, [50, 99, 99.9])
    named = {"p50": p50, "p99": p99, "p99.9": p999, "max": values.max()}
    return {name: round(float(value), 3) for name, value in named.items()}


def _worst_second(due: Seconds, sent: Seconds) -> float:
    """Return by how much the number sent in a whole second differs from the number due, at most, as a share."""
    whole = int(due.max())
    asked, done = (np.bincount(times.astype(np.int64), minlength=whole + 1)[:whole] for times in (due, sent))
    return round(float(np.max(np.abs(done - asked) / asked)), 5) if whole else 0.0
