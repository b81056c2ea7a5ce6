"""The report of a load as people see it: it fits a terminal, says what was found, and nothing can break the page."""

from __future__ import annotations

import json
import re

import pytest
from jsonschema import Draft202012Validator

from producers.load.thresholds import judged, parse_threshold
from schemas.load_report import LoadReport
from services.json_schemas import document_of
from services.load_report import html_page, terminal_summary
from services.load_report.curves import MOST_POINTS, percentiles, seconds
from services.load_report.html import plotly_script
from services.load_report.words import cut, milliseconds
from tests.load_reports import told

EVIL = '</script><script>alert("1")</script> & [red]'


@pytest.fixture(scope="module")
def report() -> LoadReport:
    found = told(
        5,
        late=lambda second: 0.05 if second == 3 else 0,
        ack=lambda second: 0.2 if second == 4 else 0.005,
        failing=lambda second: 3 if second == 4 else 0,
        asked=lambda second: 110.0 if second < 5 else 0.0,
    )
    texts = {"source": f"{EVIL}.csv", "target": "http://127.0.0.1:8080/" + "long/" * 30}
    return judged(
        found.model_copy(update={"description": found.description.model_copy(update=texts)}),
        [parse_threshold("errors>0"), parse_threshold("p99_ack_ms>1000")],
    )


class TestTerminal:
    def test_it_fits_eighty_columns_and_needs_no_colours(self, report: LoadReport) -> None:
        lines = terminal_summary(report).splitlines()
        assert max(map(len, lines)) <= 80
        assert not any("\x1b" in line for line in lines)
        assert "\x1b[" in terminal_summary(report, colours=True)

    def test_it_says_what_was_found(self, report: LoadReport) -> None:
        text = terminal_summary(report)
        for said in (
            EVIL,
            r"asked for +550$",
            r"sent +500$",
            r"answered +497 +99\.40 %$",
            r"^ timeout +3 +0\.60 %$",
            r"of 110/s asked for: 90\.\d\d %$",
            r"broken +fail if errors>0: found 3$",
            r"kept +fail if p99_ack_ms>1000: found",
            r"warning: in \d of 5 seconds, the first at 3 s, records were sent late",
        ):
            assert re.search(re.escape(said) if said is EVIL else said, text, re.MULTILINE), said

    def test_a_load_of_nothing_is_told_without_figures(self) -> None:
        assert re.search(r"due to answer +– +–", terminal_summary(told(0, asked=lambda _: None)))


class TestPage:
    def test_it_is_one_file_that_asks_for_nothing(self, report: LoadReport) -> None:
        page = html_page(report)
        assert plotly_script() in page
        own = page.replace(plotly_script(), "")
        assert re.findall(r"<(?:link|script|img|iframe)[^>]*(?:src|href)=\"(?!data:)", own) == []
        assert "default-src 'none'" in own

    def test_nothing_in_a_name_ends_the_script_or_becomes_markup(self, report: LoadReport) -> None:
        own = html_page(report).replace(plotly_script(), "")
        assert own.count("<script") == own.count("</script") == 3
        assert "&lt;/script&gt;&lt;script&gt;alert" in own

    def test_it_has_the_figures_of_the_report(self, report: LoadReport) -> None:
        page = html_page(report)
        (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
        document = json.loads(data)
        assert document["errors"] == {"timeout": 3}
        assert document["seconds"]["sent"][:3] == [100, 100, 100]
        assert document["seconds"]["asked"][:3] == [110, 110, 110]
        assert "1 of 2 thresholds broken" in page


class TestCurves:
    def test_a_long_load_is_drawn_in_stretches_that_hide_no_slow_second(self, report: LoadReport) -> None:
        rows = tuple(
            report.per_second[0].model_copy(update={"second": number, "p99_ack_ms": 900.0 if number == 3998 else 5.0})
            for number in range(2 * MOST_POINTS + 1001)
        )
        drawn = seconds(report.model_copy(update={"per_second": rows, "seconds": float(len(rows))}))
        assert len(drawn["at"]) <= MOST_POINTS
        assert drawn["stretch"] == 3
        assert sum(value == 900 for value in drawn["p99_ack_ms"]) == 1
        assert set(drawn["sent"]) == {100}

    def test_the_curve_rises_from_the_shortest_to_what_one_record_took(self, report: LoadReport) -> None:
        curve = percentiles(report.histograms.ack.encoded)
        assert curve["ms"] == sorted(curve["ms"])
        assert curve["beyond"][0] == 1
        assert 256 < curve["beyond"][-1] <= report.ack_ms.count
        assert curve["ms"][0] < 6
        assert curve["ms"][-1] == pytest.approx(report.ack_ms.max, rel=0.01)
        assert percentiles(told(0, asked=lambda _: None).histograms.ack.encoded) == {"beyond": [], "ms": []}


def test_what_is_not_all_of_it_does_not_read_as_all() -> None:
    assert (cut(0.99999), cut(1.0), cut(0.29)) == ("99.99 %", "100.00 %", "29.00 %")
    assert [milliseconds(one) for one in (None, 0.5, 12.34, 1234.5)] == ["–", "0.50", "12.3", "1,234"]


def test_the_json_document_is_what_its_schema_says(report: LoadReport) -> None:
    schema = document_of([LoadReport])
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    for one in (report, told(0, asked=lambda _: None), told(2, pace="max")):
        document = json.loads(one.model_dump_json())
        validator.validate(document)
        assert LoadReport.model_validate_json(json.dumps(document)) == one
        assert not validator.is_valid(document | {"more": 1})
