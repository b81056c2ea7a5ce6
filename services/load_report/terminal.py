"""The report of a load on a terminal: 80 columns, no colours needed.

In: a report. Out: text.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from io import StringIO

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from producers.load.thresholds import in_words
from schemas.load_report import LoadReport, Milliseconds
from services.load_report.words import (
    NOTHING,
    QUANTILES,
    cpu_line,
    cut,
    error_rows,
    milliseconds,
    outcome_rows,
    per_second,
)

WIDTH = 80


def terminal_summary(report: LoadReport, *, colours: bool = False) -> str:
    """Return the report as lines of at most 80 columns.

    Args:
        report: of a load that has ended.
        colours: whether the terminal shows them.
    """
    text = StringIO()
    console = Console(file=text, width=WIDTH, force_terminal=colours, highlight=False, color_system="auto")
    for part in (_head(report), _rates(report), _durations(report), _errors(report), _foot(report)):
        for one in part:
            console.print(one)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def _head(report: LoadReport) -> Iterable[Table | str]:
    about = report.description
    began = dt.datetime.fromtimestamp(report.began_at / 1000, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    yield _pairs(
        ("source", about.source),
        ("target", about.target),
        ("pace", about.asked),
        ("began", f"{began}, sent for {report.seconds:,.1f} s; {report.ended}"),
        ("CPU", cpu_line(report)),
    )


def _rates(report: LoadReport) -> Iterable[Table | str]:
    counts = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=True)
    counts.add_column("records", ratio=2)
    for heading in ("number", "of those sent"):
        counts.add_column(heading, justify="right", ratio=1)
    for row in outcome_rows(report.counts):
        counts.add_row(*row)
    yield counts
    asked = per_second(report.asked_per_second)
    kept = "" if report.rate is None else f": {cut(report.rate)}"
    achieved = per_second(report.achieved_per_second)
    yield f"achieved {achieved}/s" + ("" if asked == NOTHING else f" of {asked}/s asked for{kept}")


def _durations(report: LoadReport) -> Iterable[Table | str]:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=True)
    table.add_column("ms, within", ratio=2)
    for heading, _ in QUANTILES:
        table.add_column(heading, justify="right", ratio=1)
    table.add_row("due to sent", *_quantiles(report.pacing_ms))
    table.add_row("due to answer", *_quantiles(report.ack_ms))
    yield table


def _quantiles(found: Milliseconds) -> list[str]:
    return [milliseconds(getattr(found, name)) for _, name in QUANTILES]


def _errors(report: LoadReport) -> Iterable[Table | str]:
    if report.counts.errors:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=True)
        table.add_column("failed by kind", ratio=2)
        table.add_column("number", justify="right", ratio=1)
        table.add_column("of those sent", justify="right", ratio=1)
        for kind, count, share in error_rows(report.counts):
            table.add_row(escape(kind), count, share)
        yield table


def _foot(report: LoadReport) -> Iterable[Table | str]:
    for result in report.thresholds:
        state = "[bold red]broken[/]" if result.broken else "[green]kept[/]  "
        yield f"{state}  fail if {escape(in_words(result))}"
    for warning in report.warnings:
        yield f"[yellow]warning[/]: {escape(warning)}"


def _pairs(*rows: tuple[str, str]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, escape(value))
    return table
