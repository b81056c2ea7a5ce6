"""The recorder of a load: hears of every record sent, answered and failed, and writes the report.

In: outcomes, as targets tell them. Out: `LoadReport`, and live metrics.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Final

import numpy as np
from hdrh.histogram import HdrHistogram

from producers.load.cpu import RESOLUTION, CpuTimes, cores, cpu_times, shares_of
from producers.load.durations import Durations, encoded
from producers.load.limits import warnings_of
from producers.load.live_metrics import LoadMetrics
from producers.load.parts import Seconds
from producers.load.timeline import Timeline
from schemas.load_report import (
    Counts,
    Cpu,
    Histogram,
    Histograms,
    LoadDescription,
    LoadReport,
    Milliseconds,
    Second,
)
from schemas.metrics import MAX_LOAD_ERROR_KINDS, OTHER_ERRORS, Metrics

PROFILE_ENDED: Final = "profile ended"
"""The one reason of an end after which a pace asks for no more."""
SOURCE_ENDED: Final = "source ended"
"""The one after which there was no more to ask for."""
LEAST_SPAN: Final = 1.0
"""Seconds: in less than this, being some milliseconds late says nothing about a rate."""


class Recorder:
    """Implements `Outcomes`. Not thread-safe: tell it from the event loop's thread, in order of time.

    A record is asked for in the second in which it is due. It is sent, answered and failed in the second in which that
    happens. What failed has no answer latency: it is told by kind, and a threshold on errors catches it.
    """

    def __init__(
        self,
        asked: Callable[[int], float | None],
        metrics: Metrics | None = None,
        *,
        cpu: Callable[[], CpuTimes] = cpu_times,
    ) -> None:
        """Args: `Arrivals.asked`; the metrics of this process, to show progress there; the clock of CPU time."""
        self.asked_by_pace, self._cpu = asked, cpu
        self.pacing, self.ack = Durations(), Durations()
        self.sent_count = self.answered_count = 0
        self.errors: Counter[str] = Counter()
        self._last_due = self._last_sent = 0.0
        self._seconds: float | None = None
        self._reason = "error: it did not end"
        self.begin()
        if metrics is not None:
            metrics.registry.register(LoadMetrics(self))

    def begin(self) -> None:
        """The load begins now: CPU time is counted from here."""
        self._began_at = int(time.time() * 1000)
        self._cpu_before = self._cpu()
        self.timeline = Timeline(self.pacing, self.ack, self._cpu)

    def sent(self, due: Seconds, at: float) -> None:
        """Records were handed over together."""
        if not len(due):
            return
        self.timeline.reach(at)
        self.pacing.add(np.abs(at - due))  # early is an error too
        self.timeline.fall_due(due)
        self.timeline.sent.add(int(at), len(due))
        self.sent_count += len(due)
        self._last_due, self._last_sent = max(self._last_due, float(due[-1])), max(self._last_sent, at)

    def answered(self, due: Seconds, at: float) -> None:
        """Records were acknowledged, or answered well, together."""
        if not len(due):
            return
        self.timeline.reach(at)
        self.ack.add(at - due)
        self.timeline.answered.add(int(at), len(due))
        self.answered_count += len(due)

    def failed(self, due: Seconds, at: float, kind: str) -> None:
        """Records failed together, for a reason that is one of few words; kinds beyond many are told as one."""
        if not len(due):
            return
        self.timeline.reach(at)
        self.timeline.failed.add(int(at), len(due))
        known = kind in self.errors or len(self.errors) < MAX_LOAD_ERROR_KINDS - 1
        self.errors[kind if known else OTHER_ERRORS] += len(due)

    def starved(self, seconds: float, at: float) -> None:
        """Sending has waited for its source, until now."""
        self.timeline.reach(at)
        self.timeline.starve(seconds, at)

    def end(self, seconds: float, reason: str) -> None:
        """No more is sent; answers may still come.

        Args:
            seconds: since the load began.
            reason: ``source ended``, ``profile ended``, ``interrupted``, ``limit``, or ``error: …``.
        """
        self._seconds, self._reason = seconds, reason

    @property
    def failed_count(self) -> int:
        """Records that failed."""
        return sum(self.errors.values())

    def asked_in(self, second: int) -> float | None:
        """Return how many records were asked for in a second: by the pace, or by their own times."""
        by_pace = self.asked_by_pace(second)
        if by_pace is None or self._reason == SOURCE_ENDED:
            return float(self.timeline.due.at(second))
        if self._seconds is None or self._reason == PROFILE_ENDED:
            return by_pace
        return by_pace * min(max(self._seconds - second, 0.0), 1.0)  # it ended before more was due

    def report(self, description: LoadDescription) -> LoadReport:
        """Return the report of what has been told until now."""
        self.timeline.turn(max(self.timeline.latest, self._seconds or 0.0))
        seconds = self._last_sent if self._seconds is None else self._seconds
        paced = description.pace != "max"
        rows = tuple(self.timeline.rows(self.asked_in if paced else lambda _: None, self._seconds or 0.0))
        asked = sum(row.asked or 0.0 for row in rows) if paced else None
        cpu = self._cpu_used()
        sending = max(seconds, self._last_sent)
        span = self._asked_span(asked, rows, sending)
        pacing, ack = self.pacing.histogram(), self.ack.histogram()
        return LoadReport(
            description=description,
            began_at=self._began_at,
            ended_at=self._began_at + round(1000 * max(seconds, self.timeline.latest)),
            seconds=seconds,
            ended=self._reason,
            counts=self._counts(asked),
            asked_per_second=_ratio(asked, span),
            achieved_per_second=_ratio(self.answered_count, max(sending, span)) or 0.0,
            rate=self._rate(asked, span),
            pacing_ms=milliseconds(pacing),
            ack_ms=milliseconds(ack),
            cpu=cpu,
            warnings=tuple(warnings_of(rows, cpu.cores, description.pace)),
            per_second=rows,
            histograms=Histograms(pacing=Histogram(encoded=encoded(pacing)), ack=Histogram(encoded=encoded(ack))),
        )

    def _counts(self, asked: float | None) -> Counts:
        return Counts(
            asked=None if asked is None else round(asked),
            sent=self.sent_count,
            answered=self.answered_count,
            failed=self.failed_count,
            unanswered=max(self.sent_count - self.answered_count - self.failed_count, 0),
            errors=dict(self.errors.most_common()),
        )

    def _cpu_used(self) -> Cpu:
        now = self._cpu()
        used, loop, waited = shares_of(self._cpu_before, now, self.timeline.latest)
        seconds = now.process - self._cpu_before.process
        return Cpu(seconds=seconds, cores_used=used, loop_used=loop, loop_waited=waited, cores=cores())

    def _asked_span(self, asked: float | None, rows: tuple[Second, ...], sending: float) -> float:
        """Return the time in which what was asked for was due: the last record has its time too, as long as others."""
        if asked is None or self.sent_count >= int(asked):  # all of it was sent
            return self._last_due * self.sent_count / max(self.sent_count - 1, 1)
        last = max((row.second for row in rows if row.asked), default=0)
        return min(sending, last + 1.0)

    def _rate(self, asked: float | None, span: float) -> float | None:
        """Return achieved over asked: fewer good answers than asked for, or as many in more time, are both less."""
        done = _ratio(self.answered_count, asked)
        if done is None:
            return None
        span = max(span, LEAST_SPAN)
        return done * (span / self._last_sent if self._last_sent > span else 1.0)


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole is not None and whole >= RESOLUTION else None


def milliseconds(found: HdrHistogram) -> Milliseconds:
    """Return the usual quantiles of a histogram."""
    if not found.get_total_count():
        return Milliseconds(count=0, mean=None, p50=None, p90=None, p95=None, p99=None, p99_9=None, max=None)
    of = found.get_percentile_to_value_dict([50, 90, 95, 99, 99.9])
    return Milliseconds(
        count=found.get_total_count(),
        mean=found.get_mean_value() / 1000,
        p50=of[50] / 1000,
        p90=of[90] / 1000,
        p95=of[95] / 1000,
        p99=of[99] / 1000,
        p99_9=of[99.9] / 1000,
        max=found.get_max_value() / 1000,
    )
