"""The report of a load as one HTML file: nothing is fetched, so that it can be kept, sent and opened anywhere.

In: a report. Out: a page.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from importlib.util import find_spec
from pathlib import Path
from string import Template

from schemas.load_report import LoadReport, Milliseconds
from services.load_report.curves import percentiles, seconds
from services.load_report.words import (
    QUANTILES,
    cpu_line,
    cut,
    error_rows,
    milliseconds,
    outcome_rows,
    per_second,
)

FOLDER = Path(__file__).parent / "static"
Row = Sequence[str]


def html_page(report: LoadReport) -> str:
    """Return the page."""
    about = report.description
    began = dt.datetime.fromtimestamp(report.began_at / 1000, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return Template(_file("report.html")).substitute(
        title=escape(f"Load of {about.target}"),
        style=_file("report.css"),
        verdict=_verdict(report),
        about=_pairs(
            ("Source", about.source),
            ("Target", about.target),
            ("Pace", about.asked),
            ("Began", began),
            ("Sent for", f"{report.seconds:,.1f} s; {report.ended}"),
            ("CPU", cpu_line(report)),
            *((name, str(value)) for name, value in about.options.items() if value is not None),
        ),
        figures=_figures(report),
        warnings="".join(f"<li>{escape(one)}</li>" for one in report.warnings),
        warnings_hidden="" if report.warnings else "hidden",
        thresholds=_rows(_threshold_rows(report)),
        thresholds_hidden="" if report.thresholds else "hidden",
        counts=_rows(outcome_rows(report.counts)),
        errors=_rows(error_rows(report.counts)),
        errors_hidden="" if report.counts.errors else "hidden",
        quantile_heads="".join(f'<th scope="col">{escape(heading)}</th>' for heading, _ in QUANTILES),
        quantiles=_rows([("due to sent", *_of(report.pacing_ms)), ("due to answer", *_of(report.ack_ms))]),
        data=_inert(_data(report)),
        plotly=plotly_script(),
        script=_file("report.js"),
    )


def _data(report: LoadReport) -> str:
    kinds = {name: percentiles(getattr(report.histograms, name).encoded) for name in ("pacing", "ack")}
    document = {"seconds": seconds(report), "percentiles": kinds, "errors": report.counts.errors}
    return json.dumps(document, allow_nan=False)


def _verdict(report: LoadReport) -> str:
    if not report.thresholds:
        return ""
    broken = sum(one.broken for one in report.thresholds)
    state, text = ("bad", f"{broken} of {len(report.thresholds)} thresholds broken") if broken else ("good", "all kept")
    return f'<p class="verdict" data-state="{state}">{escape(text)}</p>'


def _figures(report: LoadReport) -> str:
    figures = (
        ("Asked for, a second", per_second(report.asked_per_second)),
        ("Achieved, a second", per_second(report.achieved_per_second)),
        ("Of what was asked for", cut(report.rate)),
        ("Failed", f"{report.counts.failed + report.counts.unanswered:,}"),
        ("99 % answered within", f"{milliseconds(report.ack_ms.p99)} ms"),
        ("99 % sent within", f"{milliseconds(report.pacing_ms.p99)} ms"),
    )
    return "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in figures)


def _threshold_rows(report: LoadReport) -> Iterable[Row]:
    for one in report.thresholds:
        found = "nothing to compare" if one.value is None else f"{one.value:,.4g}"
        yield one.threshold, found, "broken" if one.broken else "kept"


def _of(found: Milliseconds) -> list[str]:
    return [milliseconds(getattr(found, name)) for _, name in QUANTILES]


def _pairs(*pairs: tuple[str, str]) -> str:
    return "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in pairs)


def _rows(rows: Iterable[Row]) -> str:
    return "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{escape(value)}</td>" for value in values)}</tr>'
        for name, *values in rows
    )


def _inert(text: str) -> str:
    """Return JSON that cannot end the script element it stands in."""
    return text.replace("<", "\\u003c")


@cache
def plotly_script() -> str:
    """Return plotly.min.js, as the package plotly carries it."""
    found = find_spec("plotly")
    assert found is not None
    assert found.origin is not None
    script = (Path(found.origin).parent / "package_data" / "plotly.min.js").read_text(encoding="utf-8")
    return script.replace("</script", "<\\/script")


def _file(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")
