"""The live page in a real browser: Debian's Chromium, driven by Playwright, with no network but loopback.

In: a running system with its producer. Out: pages that must end without an error on their console.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from services.broker import EmbeddedBroker
from services.supervisor import Child
from tests.system import System
from tests.tools import require_tool

TOKEN = "a-token-for-tests-0123"
PICTURES = Path("build/page")
"""Not in git: to be looked at."""
NO_NETWORK = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
RATE = "600"
expect.set_options(timeout=30_000)
NewPage = Callable[..., Page]


class PageSystem(System):
    """A system whose page takes a token that tests know."""

    producer: Child

    def environment(self, name: str = "serve") -> dict[str, str]:
        limits = {"QUETMA_SERVE__TOKEN": TOKEN, "QUETMA_SERVE__CHANGES_PER_MINUTE": "10000"}
        return super().environment(name) | limits

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.ports['serve']}"


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of Chromium; looked for before anything is started."""
    (found,) = require_tool("chromium")
    return found


def _system(stack: ExitStack, folder: Path) -> PageSystem:
    broker = stack.enter_context(EmbeddedBroker(folder))
    return stack.enter_context(PageSystem(broker.bootstrap_servers, folder))


@pytest.fixture(scope="session")
def system(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageSystem]:
    """A tenth of a province that pays, on a broker of its own."""
    with ExitStack() as stack:
        running = _system(stack, tmp_path_factory.mktemp("page"))
        running.ready()
        running.producer = producer(running)
        running.until(lambda: running.acked() > 0, [running.producer])
        yield running


def producer(system: System, run: str = "page") -> Child:
    return system.produce(run, "--shard", "1/10", "--rate", RATE, "--start-hour", "6")


@pytest.fixture(scope="session")
def empty(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageSystem]:
    """A server on a broker whose topics have nothing."""
    with ExitStack() as stack:
        running = _system(stack, tmp_path_factory.mktemp("empty"))
        assert running.quetma("topics", "create").returncode == 0
        running.exporter = running.start("serve")
        running.until(lambda: bool(running.metrics("serve")), [running.exporter])
        yield running


@pytest.fixture(scope="module")
def browser(system: PageSystem, empty: PageSystem, chromium: str) -> Iterator[Browser]:
    """One browser. The systems are there before: Playwright's loop leaves room for no other in this thread."""
    options = [NO_NETWORK, "--force-color-profile=srgb"] + (["--no-sandbox"] if os.geteuid() == 0 else [])
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=options)
        yield running
        running.close()


@pytest.fixture
def new_page(browser: Browser, system: PageSystem) -> Iterator[NewPage]:
    """Open pages, each in a context of its own; none may say anything wrong, or ask another host."""
    contexts: list[BrowserContext] = []
    wrong: list[str] = []
    allowed: list[str] = []

    def open_page(
        address: str = "",
        path: str = "/",
        *,
        language: str = "en-GB",
        theme: str = "light",
        width: int = 1440,
        height: int = 900,
        expected: str | None = None,
        before: Callable[[Page], Any] = lambda _page: None,
    ) -> Page:
        context = browser.new_context(
            locale=language,
            color_scheme=theme,
            viewport={"width": width, "height": height},  # type: ignore[arg-type]
        )
        contexts.append(context)
        page = context.new_page()
        address = address or system.address
        allowed.append(expected or "\0")

        def said(text: str, where: str = "") -> None:
            if not any(one in text or one in where for one in allowed):
                wrong.append(f"{text} {where}")

        page.on(
            "console", lambda one: said(one.text, one.location["url"]) if one.type in {"error", "warning"} else None
        )
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda one: None if one.url.startswith((address, "data:")) else wrong.append(one.url))
        page.set_default_timeout(30_000)
        before(page)
        page.goto(address + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def filled(page: Page) -> Page:
    """Wait until a page shows a province that pays."""
    expect(page.locator("#tiles li").nth(9)).to_be_attached()
    expect(page.locator("#share-count")).to_have_text(re.compile(r"\d"))
    expect(page.locator("#feed li").nth(3)).to_be_attached()
    page.wait_for_selector("#curves .scatterlayer .trace")
    page.wait_for_selector("#mix .barlayer .trace")
    return page


def picture(page: Page, name: str) -> None:
    """Keep what a page looks like."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)
