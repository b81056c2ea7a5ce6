"""What the page draws: seconds put together where there are very many, and durations by percentile.

In: a report. Out: plain numbers for the page's script.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from producers.load.durations import decoded
from schemas.load_report import LoadReport, Second

Json = dict[str, Any]

MOST_POINTS: Final = 1_500
"""On a line of the page: more than it has pixels."""
LEAST_SECONDS: Final = 0.5
"""Of a last second that is drawn."""
TICKS_PER_DOUBLING: Final = 8
"""Points of a percentile curve in each half of what is left to 100 %."""
LEAST_SHARE: Final = 1e-9
"""Per cent; for the shortest duration. HdrHistogram takes 0 for the low end of its slot."""


def seconds(report: LoadReport) -> Json:
    """Return the lines over time: rates are means of a stretch, latencies its worst second.

    What little is sent after the last whole second has a latency but no rate: its line would fall for no reason.
    """
    length = max(-(-len(report.per_second) // MOST_POINTS), 1)
    parts = list(_stretches(report.per_second, length))

    def lasting(row: Second) -> bool:
        return row.second == 0 or report.seconds - row.second >= LEAST_SECONDS

    return {
        "stretch": length,
        "at": [part[0].second for part in parts],
        **{name: [_mean(getattr(row, name) for row in part if lasting(row)) for part in parts] for name in _RATES},
        **{name: [_most(getattr(row, name) for row in part) for part in parts] for name in _WORST},
    }


_RATES: Final = ("asked", "sent", "answered", "failed", "cpu", "loop_cpu", "loop_waited")
_WORST: Final = ("p99_pacing_ms", "p50_ack_ms", "p99_ack_ms")


def percentiles(encoded: str) -> Json:
    """Return a histogram's curve, on the scale of 1/(1 − p): how long all but one in so many records took, in ms."""
    histogram = decoded(encoded)
    total = int(histogram.get_total_count())
    if not total:
        return {"beyond": [], "ms": []}
    points = range(math.floor(TICKS_PER_DOUBLING * math.log2(total)) + 1)
    beyond = [2 ** (point / TICKS_PER_DOUBLING) for point in points]
    shares = [100 * (1 - 1 / one) for one in beyond]
    shares[0] = LEAST_SHARE
    of = histogram.get_percentile_to_value_dict(shares)
    return {"beyond": beyond, "ms": [of[share] / 1000 for share in shares]}


def _stretches(rows: Sequence[Second], length: int) -> Iterator[Sequence[Second]]:
    return (rows[begin : begin + length] for begin in range(0, len(rows), length))


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _most(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
