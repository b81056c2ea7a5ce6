"""Reports of loads as a recorder writes them, told by hand on a clock of the test's own.

In: what happened. Out: recorders and reports.
"""

from __future__ import annotations

from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

from producers.load.cpu import CpuTimes
from producers.load.outcomes import PROFILE_ENDED, Recorder
from schemas.load_report import LoadDescription

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from producers.load.parts import Seconds
    from schemas.load_report import LoadReport, Pace


class CpuClock:
    """CPU time that a test lets go by."""

    def __init__(self) -> None:
        self.process = self.loop = self.waited = 0.0

    def __call__(self) -> CpuTimes:
        return CpuTimes(self.process, self.loop, self.waited)

    def use(self, used: float, waited: float) -> None:
        self.process += used
        self.loop += used
        self.waited += waited


def described(pace: Pace = "rate", **more: str) -> LoadDescription:
    texts = {"source": "an-giang", "target": "http://127.0.0.1:8080/webhook", "asked": "steady, 100/s"} | more
    return LoadDescription(pace=pace, options={"--for": "10s", "--max-connections": 64}, **texts)


def told(
    seconds: int = 10,
    *,
    rate: int = 100,
    asked: Callable[[int], float | None] | None = None,
    late: Callable[[int], float] = lambda _: 0.0005,
    ack: Callable[[int], float] = lambda _: 0.005,
    failing: Callable[[int], int] = lambda _: 0,
    busy: Callable[[int], float] = lambda _: 0.2,
    crowded: Callable[[int], float] = lambda _: 0.0,
    pace: Pace = "rate",
    reason: str = PROFILE_ENDED,
) -> LoadReport:
    """The report of a load of so many records a second; what went wrong is told by second.

    Args:
        seconds: how long.
        rate: records that are due in each second, evenly.
        asked: records that were asked for in a second; the same if left out.
        late: seconds between due and sent.
        ack: seconds between sent and answered.
        failing: records of a second that fail.
        busy: CPU that the pacing thread uses, and all threads together.
        crowded: seconds that the pacing thread waits for a core.
        pace: the kind of pace.
        reason: of the end.
    """
    cpu = CpuClock()
    recorder = Recorder(asked or (lambda second: float(rate) if second < seconds else 0.0), cpu=cpu)
    recorder.begin()
    events = _events(recorder, seconds, rate, late=late, ack=ack, failing=failing)
    spent = (
        (second + 0.999, 0, lambda _, second=second: cpu.use(busy(second), crowded(second)))
        for second in range(seconds)
    )
    for at, _, act in sorted([*events, *spent], key=itemgetter(0, 1)):
        act(at)
    recorder.end(seconds + (late(seconds - 1) if seconds else 0), reason)
    return recorder.report(described(pace))


def _events(
    recorder: Recorder,
    seconds: int,
    rate: int,
    *,
    late: Callable[[int], float],
    ack: Callable[[int], float],
    failing: Callable[[int], int],
) -> Iterator[tuple[float, int, Callable[[float], None]]]:
    """What happens, with its time and an order among what happens at once."""
    for second in range(seconds):
        for number, due in enumerate(second + np.arange(rate) / rate):
            sent = due + late(second)
            yield sent, 1, partial(recorder.sent, np.array([due]))
            if number < failing(second):
                kind = "http 500" if second % 2 else "timeout"
                yield sent + ack(second), 2, partial(_failed, recorder, np.array([due]), kind)
            else:
                yield sent + ack(second), 2, partial(recorder.answered, np.array([due]))


def _failed(recorder: Recorder, due: Seconds, kind: str, at: float) -> None:
    recorder.failed(due, at, kind)
