"""Figures of a report as people read them.

In: numbers. Out: short texts.
"""

from __future__ import annotations

from typing import Final

from schemas.load_report import Counts, LoadReport

NOTHING: Final = "–"
QUANTILES: Final = (
    ("half", "p50"),
    ("90 %", "p90"),
    ("95 %", "p95"),
    ("99 %", "p99"),
    ("99.9 %", "p99_9"),
    ("longest", "max"),
)
"""Headings, and fields of `Milliseconds`."""
_WHOLE = 100


def milliseconds(value: float | None) -> str:
    """Return a duration with three digits, no matter how long."""
    if value is None:
        return NOTHING
    if value >= _WHOLE:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"  # noqa: PLR2004  # digits


def per_second(value: float | None) -> str:
    """Return a rate."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if value >= _WHOLE else f"{value:,.2f}"


def share(value: float | None, digits: int = 1) -> str:
    """Return a share as per cent."""
    return NOTHING if value is None else f"{100 * value:.{digits}f} %"


def cut(value: float | None, digits: int = 2) -> str:
    """Return a share as per cent, rounded down: what is not all of it does not read as all."""
    if value is None:
        return NOTHING
    return f"{int(value * 100 * 10**digits + 1e-9) / 10**digits:.{digits}f} %"


def outcome_rows(counts: Counts) -> list[tuple[str, str, str]]:
    """Return what became of records: name, number, share of those sent."""
    rows = [("answered", counts.answered), ("failed", counts.failed), ("unanswered", counts.unanswered)]
    found = [("asked for", NOTHING if counts.asked is None else f"{counts.asked:,}", "")]
    found.append(("sent", f"{counts.sent:,}", ""))
    return found + [(name, f"{count:,}", _of(count, counts.sent)) for name, count in rows]


def error_rows(counts: Counts) -> list[tuple[str, str, str]]:
    """Return failures by kind: name, number, share of records sent."""
    return [(kind, f"{count:,}", _of(count, counts.sent)) for kind, count in counts.errors.items()]


def cpu_line(report: LoadReport) -> str:
    """Return what the tool used of this machine."""
    cpu = report.cpu
    if cpu.cores_used is None:
        return f"{cpu.seconds:.2f} s of CPU"
    used = f"{cpu.cores_used:.2f} of {cpu.cores} cores"
    loop, waited = share(cpu.loop_used, 0), share(cpu.loop_waited, 0)
    return f"{used}; the pacing thread {loop} of one, {waited} of the time without"


def _of(count: int, whole: int) -> str:
    return share(count / whole, 2) if whole else ""
