"""Thresholds of `--fail-if`: what must not be true of a load.

In: texts such as ``p99_ack_ms>50``, a report. Out: which are broken.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from producers.load.durations import decoded
from schemas.errors import BadInputError
from schemas.load_report import LoadReport, Milliseconds, ThresholdResult


def _error_rate(report: LoadReport) -> float | None:
    sent = report.counts.sent
    return (report.counts.failed + report.counts.unanswered) / sent if sent else None


OPERATORS: Final[dict[str, Callable[[float, float], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
MEASURES: Final[dict[str, Callable[[LoadReport], float | None]]] = {
    "rate": lambda report: report.rate,
    "errors": lambda report: float(report.counts.failed + report.counts.unanswered),
    "error_rate": _error_rate,
    "unanswered": lambda report: float(report.counts.unanswered),
    "max_ack_ms": lambda report: report.ack_ms.max,
    "mean_ack_ms": lambda report: report.ack_ms.mean,
    "max_pacing_ms": lambda report: report.pacing_ms.max,
    "mean_pacing_ms": lambda report: report.pacing_ms.mean,
}
ALLOWED: Final = (
    'give MEASURE OPERATOR NUMBER, such as "p99_ack_ms>50" or "rate<0.99"; measures are '
    f"{', '.join(MEASURES)}, pNN_ack_ms and pNN_pacing_ms with NN above 0 and up to 100, such as p99.9_ack_ms; "
    f"operators are {', '.join(OPERATORS)}"
)
_FORM = re.compile(r"\s*([a-z_0-9.]+)\s*(>=|<=|>|<)\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*").fullmatch
_QUANTILE = re.compile(r"p(\d{1,3}(?:\.\d{1,4})?)_(ack|pacing)_ms").fullmatch


@dataclass(frozen=True)
class Threshold:
    """A comparison that a load must not fulfil."""

    text: str
    measure: str
    operator: str
    limit: float

    def judge(self, report: LoadReport) -> ThresholdResult:
        """Return what came of it. Where there is nothing to compare it is broken: a gate must not open for nothing."""
        value = measured(self.measure, report)
        broken = value is None or OPERATORS[self.operator](value, self.limit)
        return ThresholdResult(threshold=self.text, value=value, broken=broken)


def parse_threshold(text: str) -> Threshold:
    """Parse a ``--fail-if``.

    Raises:
        BadInputError: if it is none, with all that is allowed.
    """
    found = _FORM(text)
    if found is None or not _known(found[1]):
        raise BadInputError("arguments", f"--fail-if {text!r}", ALLOWED)
    measure, sign, limit = found.groups()
    return Threshold(f"{measure}{sign}{limit}", measure, sign, float(limit))


def judged(report: LoadReport, thresholds: Sequence[Threshold]) -> LoadReport:
    """Return the report with what came of the thresholds in it."""
    return report.model_copy(update={"thresholds": tuple(one.judge(report) for one in thresholds)})


def broken(report: LoadReport, thresholds: Sequence[Threshold]) -> list[str]:
    """Return the broken ones, in words: empty if the load was as it must be."""
    return [in_words(one) for one in judged(report, thresholds).thresholds if one.broken]


def in_words(result: ThresholdResult) -> str:
    """Return what was found, beside what was not to be."""
    found = "nothing was recorded to compare" if result.value is None else f"found {result.value:,.4g}"
    return f"{result.threshold}: {found}"


def measured(measure: str, report: LoadReport) -> float | None:
    """Return a measure of a report, None if it has none."""
    if measure in MEASURES:
        return MEASURES[measure](report)
    quantile = _QUANTILE(measure)
    assert quantile is not None, measure
    percentile, of = float(quantile[1]), quantile[2]
    summary: Milliseconds = getattr(report, f"{of}_ms")
    if not summary.count:
        return None
    return float(decoded(getattr(report.histograms, of).encoded).get_value_at_percentile(percentile)) / 1000


def _known(measure: str) -> bool:
    quantile = _QUANTILE(measure)
    return measure in MEASURES or (quantile is not None and 0 < float(quantile[1]) <= 100)  # noqa: PLR2004  # per cent
