"""The page of a load test in a real browser: it draws, in both themes, without a word on its console or a request."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright

from producers.load.thresholds import judged, parse_threshold
from services.load_report import html_page
from tests.browser.conftest import NO_NETWORK, picture
from tests.load_reports import told

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PLOTS = ("rates", "latency", "quantiles", "pace")


@pytest.fixture
def page(chromium: str) -> Iterator[Page]:
    options = [NO_NETWORK, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        yield browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
        browser.close()


def test_it_draws_what_was_found_in_both_themes_and_for_everybody(page: Page, tmp_path: Path) -> None:
    said: list[str] = []
    page.on("console", lambda one: said.append(one.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    file = tmp_path / "report.html"
    page.on(
        "request", lambda one: None if one.url.startswith((file.as_uri(), "data:", "blob:")) else said.append(one.url)
    )
    failing = told(20, rate=50, failing=lambda second: second // 5, late=lambda second: 0.02 if second > 15 else 0)
    file.write_text(html_page(judged(failing, [parse_threshold("errors>0")])), encoding="utf-8")
    page.goto(file.as_uri())
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]  # one of its words
        page.wait_for_selector(f"html[data-drawn={theme}]")
        for plot in PLOTS:
            assert page.locator(f"#{plot} .scatterlayer .trace").count() >= 2, plot
        violations = Axe().run(page).response["violations"]
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in violations] == []
        picture(page, f"load-report-{theme}")
    assert page.locator("#thresholds td").last.inner_text() == "broken"
    assert page.locator("h1").inner_text() == "Load of http://127.0.0.1:8080/webhook"

    file.write_text(html_page(told(0, asked=lambda _: None)), encoding="utf-8")
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-drawn]")
    assert said == []
