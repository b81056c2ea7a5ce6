"""The report of a load: what was asked for, what came of it, and how exact the pace was.

In: nothing. Out: `LoadReport`, the document that `quetma load --json` and `quetma replay --json` print.
"""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from schemas.types import Contract, SchemaVersion

Pace = Literal["rate", "speed", "max"]


class _Part(Contract):
    model_config = ConfigDict(allow_inf_nan=False)


class LoadDescription(_Part):
    """What was asked for, in words and as it was given."""

    source: str = Field(description="scenario, file or topic that records came from")
    target: str = Field(description="where they went: a broker's address and topic, or a URL")
    pace: Pace = Field(description="`rate`: so many a second; `speed`: by the records' own times; `max`: no pace")
    asked: str = Field(description="the pace in words, such as `ramp 1,000 to 20,000/s in 60 s` or `×4`")
    options: dict[str, str | int | float | bool | None] = Field(
        default={}, description="options that were given, such as `--for`"
    )


class Counts(_Part):
    """Records, by what came of them."""

    asked: int | None = Field(description="due by the end of sending; null where no pace was asked for")
    sent: int = Field(description="handed to the client")
    answered: int = Field(description="acknowledged, or answered well")
    failed: int
    unanswered: int = Field(description="sent, and neither answered nor failed")
    errors: dict[str, int] = Field(description="failed records by kind")


class Milliseconds(_Part):
    """Quantiles of a histogram, in milliseconds; null where nothing was recorded."""

    count: int
    mean: float | None
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    p99_9: float | None
    max: float | None


class Second(_Part):
    """One second of the load. Records are asked for when due, sent and answered when that happened."""

    second: int = Field(description="whole seconds since the load began")
    asked: float | None
    sent: int
    answered: int
    failed: int
    p99_pacing_ms: float | None = Field(description="of the records sent in it")
    p50_ack_ms: float | None = Field(description="of the records answered in it")
    p99_ack_ms: float | None
    cpu: float | None = Field(description="CPU seconds per second of this process, all threads")
    loop_cpu: float | None = Field(description="CPU seconds per second of the thread that keeps the pace")
    loop_waited: float | None = Field(description="seconds per second that this thread waited for a core")
    source_waited: float = Field(default=0.0, description="seconds of it in which sending waited for its source")


class Cpu(_Part):
    """CPU time of this process while it loaded the target."""

    seconds: float
    cores_used: float | None = Field(description="CPU seconds per second, all threads")
    loop_used: float | None = Field(
        description="the same of the thread that keeps the pace, which has one core at most"
    )
    loop_waited: float | None = Field(description="seconds per second that this thread waited for a core")
    cores: int = Field(description="cores that this process may use")


class Histogram(_Part):
    """A histogram of durations. Those of several reports can be decoded and added."""

    unit: Literal["us"] = "us"
    encoded: str = Field(description="HdrHistogram V2, compressed, base64")


class Histograms(_Part):
    """All durations of the load."""

    pacing: Histogram = Field(description="time between due and sent, of each record sent")
    ack: Histogram = Field(description="time between due and answered, of each record answered")


class ThresholdResult(_Part):
    """What came of a `--fail-if`."""

    threshold: str
    value: float | None = Field(description="null where there is nothing to compare")
    broken: bool


class LoadReport(_Part):
    """The whole report."""

    version: SchemaVersion = 1
    description: LoadDescription
    began_at: int = Field(description="UTC epoch ms")
    ended_at: int = Field(description="UTC epoch ms; the wait for the last answers is before it")
    seconds: float = Field(description="from the beginning to the end of sending")
    ended: str = Field(description="why it ended")
    counts: Counts
    asked_per_second: float | None = Field(description="mean; null where no pace was asked for")
    achieved_per_second: float = Field(description="answered records over the time of sending")
    rate: float | None = Field(description="achieved over asked")
    pacing_ms: Milliseconds
    ack_ms: Milliseconds
    cpu: Cpu
    warnings: tuple[str, ...]
    thresholds: tuple[ThresholdResult, ...] = ()
    per_second: tuple[Second, ...]
    histograms: Histograms
