"""The live page: it opens, fills, updates, filters, speaks both languages, survives, and can be used by everybody."""

from __future__ import annotations

import asyncio
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from schemas.topics import INTERVENTIONS, LEDGER
from services.topic_reader import read_all
from tests.browser.conftest import TOKEN, NewPage, PageSystem, filled, picture

pytestmark = [pytest.mark.broker, pytest.mark.timeout(180)]

LANGUAGES = {"vi": "vi-VN", "en": "en-GB"}
LOST = "net::ERR"
"""What Chromium itself says when a server goes away."""


def elsewhere(work: Any) -> Any:
    """Run a coroutine in a thread: Playwright has this one's loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def text(page: Page, id_: str) -> str:
    return page.locator(f"#{id_}").inner_text()


# -- it shows ------------------------------------------------------------------------------------------------


def test_it_opens_and_fills(new_page: NewPage) -> None:
    page = filled(new_page())
    expect(page.locator("#connection")).to_have_text("Live")
    expect(page.locator("#province")).to_have_text("An Giang")
    assert re.fullmatch(r"\d+\.\d%", text(page, "share-count"))
    assert re.fullmatch(r"[\d,]+", text(page, "payments-today"))
    expect(page.locator("#tiles li b").first).to_have_text(re.compile(r"\d+%|–"))
    assert page.locator("#markets tr").count() >= 5
    expect(page.locator("#notice")).to_be_hidden()
    assert "by number" in page.locator("#curves").get_attribute("aria-label")  # type: ignore[operator]
    picture(page, "desktop-light-en")


def test_it_updates_in_place(new_page: NewPage) -> None:
    page = filled(new_page())
    page.evaluate("""() => {
        window.nodes = {tile: document.querySelector('#tiles li'), row: document.querySelector('#pipeline div')};
        window.added = 0;
        new MutationObserver((all) => { for (const one of all) window.added += one.addedNodes.length; })
          .observe(document.getElementById('tiles'), {childList: true});
    }""")
    before = [text(page, id_) for id_ in ("payments-today", "ledger-payments")]
    for id_, was in zip(("payments-today", "ledger-payments"), before, strict=True):
        expect(page.locator(f"#{id_}")).not_to_have_text(was)
    assert page.evaluate("window.nodes.tile.isConnected && window.nodes.row.isConnected")
    assert page.evaluate("window.added") == 0


def test_the_feed_has_codes_that_open(new_page: NewPage) -> None:
    page = filled(new_page())
    page.wait_for_selector("#feed .code img[src^='data:image/svg+xml']")
    page.evaluate('document.querySelector("#feed button.code:not([hidden])").click()')
    expect(page.locator("#code-payload")).to_have_text(re.compile(r"^000201.*SIM.*6304[0-9A-F]{4}$"))
    expect(page.locator("#code-image")).to_be_visible()
    picture(page, "code")
    page.keyboard.press("Escape")
    expect(page.locator("#code-dialog")).to_be_hidden()


def test_a_commune_is_chosen_by_keyboard_and_filters_the_rest(new_page: NewPage) -> None:
    page = filled(new_page())
    page.locator("#tiles [tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    tile = page.locator("#tiles [aria-selected=true]")
    expect(tile).to_have_count(1)
    expect(tile).to_be_focused()
    name = tile.locator(".name").inner_text()
    expect(page.locator("#curves-title")).to_contain_text(name, ignore_case=True)
    expect(page.locator("#markets-title")).to_contain_text(name, ignore_case=True)
    expect(page.locator("#curves .legend .traces")).to_have_count(3)  # the province's beside its own two
    expect(page.locator("#selected")).to_contain_text("payments")
    communes = page.locator("#markets tr td:nth-child(3)").all_inner_texts()
    assert set(communes) <= {name}
    assert page.locator("#where").input_value() == tile.get_attribute("data-key")
    picture(page, "commune")
    page.keyboard.press("Escape")
    expect(page.locator("#tiles [aria-selected=true]")).to_have_count(0)
    expect(page.locator("#curves-title")).to_have_text("Adoption in An Giang")
    expect(page.locator("#curves .legend .traces")).to_have_count(2)


def test_all_markets_can_be_seen(new_page: NewPage) -> None:
    page = filled(new_page())
    page.wait_for_selector("#more-markets:visible")
    expect(page.locator("#markets tr")).to_have_count(10)
    page.locator("#more-markets").click()
    expect(page.locator("#markets tr").nth(10)).to_be_attached()
    shares = [float(one.rstrip("%")) for one in page.locator("#markets .share").all_inner_texts() if one != "–"]
    assert shares == sorted(shares, reverse=True)


# -- languages, themes, sizes ----------------------------------------------------------------------------------


def test_language_and_theme_switch_and_are_remembered(new_page: NewPage) -> None:
    page = filled(new_page())
    page.locator("#language").click()
    expect(page.locator("html")).to_have_attribute("lang", "vi")
    expect(page.locator("#balance-title")).to_have_text("Đối soát")
    expect(page.locator("#ledger-vnd")).to_have_text(re.compile(r"^\d{1,3}(\.\d{3})+$"))
    assert "," in text(page, "share-count")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("#theme").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != ground
    page.reload()
    filled(page)
    expect(page.locator("html")).to_have_attribute("lang", "vi")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.locator("#language").click()
    expect(page.locator("#balance-title")).to_have_text("Reconciliation")


@pytest.mark.parametrize(("language", "theme"), [("en", "light"), ("vi", "dark")])
def test_axe_finds_nothing_and_a_phone_does_not_scroll_sideways(new_page: NewPage, language: str, theme: str) -> None:
    page = filled(new_page(language=LANGUAGES[language], theme=theme))
    assert violations(page) == []
    page.set_viewport_size({"width": 360, "height": 800})
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    if (language, theme) == ("vi", "dark"):  # one will do: colours and words are the same at any size
        assert violations(page) == []
    picture(page, f"phone-{theme}-{language}")


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['html'][:150]} {node['failureSummary']}" for one in found for node in one["nodes"]]


# -- what goes wrong ---------------------------------------------------------------------------------------------


def test_it_says_that_there_is_nothing_yet(new_page: NewPage, empty: PageSystem) -> None:
    page = new_page(empty.address)
    expect(page.locator("#notice")).to_contain_text("No data yet")
    expect(page.locator("#connection")).to_have_text("Live")
    expect(page.locator("#tiles")).to_be_hidden()
    assert violations(page) == []
    picture(page, "empty")


def test_it_says_why_the_server_refuses(new_page: NewPage) -> None:
    problem = {"detail": "50 streams are open; close one"}

    def refuse(page: Page) -> None:
        for path in ("stream", "state"):
            page.route(
                f"**/api/{path}*",
                lambda route: route.fulfill(
                    status=503, body=json.dumps(problem), content_type="application/problem+json"
                ),
            )

    page = new_page(before=refuse, expected="503")
    expect(page.locator("#connection")).to_have_text("Error")
    expect(page.locator("#notice")).to_contain_text(problem["detail"])
    assert violations(page) == []
    for path in ("stream", "state"):
        page.unroute(f"**/api/{path}*")
    filled(page)  # it goes on trying
    expect(page.locator("#notice")).to_be_hidden()


def test_it_survives_a_restart_of_the_server(new_page: NewPage, system: PageSystem) -> None:
    page = filled(new_page(expected=LOST))
    page.evaluate("window.before = document.querySelector('#tiles li')")
    system.exporter.kill()
    expect(page.locator("#connection")).to_have_text("Connection lost, reconnecting…")
    picture(page, "lost")
    assert text(page, "share-count") != "–"  # what was known stays
    system.exporter.restart()
    expect(page.locator("#connection")).to_have_text("Live", timeout=30_000)
    expect(page.locator("#notice")).to_be_hidden(timeout=30_000)
    was = text(page, "ledger-payments")
    expect(page.locator("#ledger-payments")).not_to_have_text(was)
    assert page.evaluate("window.before.isConnected")


# -- orders ------------------------------------------------------------------------------------------------------


def orders_on(system: PageSystem) -> list[dict[str, Any]]:
    async def read() -> list[dict[str, Any]]:
        return [json.loads(record.value) async for record in read_all(system.servers, [INTERVENTIONS])]

    found: list[dict[str, Any]] = elsewhere(read())
    return found


def answer(system: PageSystem, order: dict[str, Any], **made: Any) -> None:
    """Answer an order as a producer does."""
    record = {
        "kind": "applied",
        "schema_version": 1,
        "run": order["run"],
        "id": order["id"],
        "shard": "1/10",
        "applied_at": int(time.time() * 1000),
        **made,
    }

    async def send() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=system.servers)
        await producer.start()
        key = f"{order['run']}|{order['id']}|1/10".encode()
        await producer.send_and_wait(INTERVENTIONS, key=key, value=json.dumps(record).encode())
        await producer.stop()

    elsewhere(send())


def ordered(system: PageSystem, kind: str) -> dict[str, Any]:
    found = [one for one in orders_on(system) if one["kind"] == "intervention" and one["intervention"]["kind"] == kind]
    return found[-1]


def test_orders_need_the_token_and_what_became_of_them_is_shown(new_page: NewPage, system: PageSystem) -> None:
    page = filled(new_page(expected="401"))
    page.locator("[data-kind=outage]").click()
    page.locator("#token").fill("wrong-token-0123456789")
    assert violations(page) == []
    page.keyboard.press("Enter")
    expect(page.locator("#answer")).to_contain_text("Authorization: Bearer TOKEN")
    page.locator("[data-kind=outage]").click()  # asked again
    page.locator("#token").fill(TOKEN)
    page.keyboard.press("Enter")
    expect(page.locator("#answer")).to_have_text("Sent: Cause an outage.")
    newest = page.locator("#orders li").first
    expect(newest).to_contain_text("waiting for the producer")
    order = ordered(system, "outage")
    assert (order["run"], order["intervention"]["place"]) == ("page", [])
    answer(system, order, from_day="2025-12-24")
    expect(newest).to_contain_text("from 24/12/2025")

    page.locator("[data-kind=fraud_wave]").click()  # the token is kept
    expect(newest).to_contain_text("Start a fraud wave")
    answer(system, ordered(system, "fraud_wave"), refused="stalls: none has a QR yet")
    expect(newest).to_contain_text("refused: stalls: none has a QR yet")
    assert violations(page) == []
    picture(page, "orders")


def test_every_button_orders_what_it_says(new_page: NewPage, system: PageSystem) -> None:
    page = filled(new_page(path=f"/#token={TOKEN}"))
    assert TOKEN not in page.url
    page.locator("[data-kind=digital_team]").click()
    expect(page.locator("#answer")).to_have_text("Choose a commune: a team works in one.")
    page.locator("[data-kind=stall_stands]").click()
    expect(page.locator("#answer")).to_have_text("Choose a market: stands are handed out in one.")

    commune = page.locator("#where optgroup").nth(0).locator("option").first.get_attribute("value")
    market = page.locator("#where optgroup").nth(1).locator("option").first.get_attribute("value")
    wanted = {"digital_team": commune, "stall_stands": market, "promotion": commune, "tet": ""}
    for kind, place in wanted.items():
        page.locator("#where").select_option(place)
        page.locator("#answer").evaluate("(box) => { box.textContent = ''; }")
        page.locator(f"[data-kind={kind}]").click()
        expect(page.locator("#answer")).to_contain_text("Sent: ")
    for button, word in {"pause": "Pause", "resume": "Resume", "faster": "Speed", "slower": "Speed"}.items():
        page.locator(f"[data-pace={button}]").click()
        expect(page.locator("#answer")).to_contain_text(f"Sent: {word}")
    found = orders_on(system)
    made = {one["intervention"]["kind"]: one["intervention"]["place"] for one in found if one["kind"] == "intervention"}
    assert {kind: made[kind] for kind in wanted} == {kind: [place] if place else [] for kind, place in wanted.items()}
    paces = [one for one in found if one["kind"] == "pace"]
    assert [one["paused"] for one in paces if "paused" in one] == [True, False]
    faster, slower = [one["speed"] for one in paces if "speed" in one]
    expect(page.locator("#orders li").first).to_contain_text(f"Speed {slower:,.0f}")
    assert faster > slower > 0


# -- in the end --------------------------------------------------------------------------------------------------


def test_when_the_producer_has_ended_the_books_are_exact(new_page: NewPage, system: PageSystem) -> None:
    page = filled(new_page())
    system.producer.ask_to_stop()
    expect(page.locator("#balance-state")).to_have_text("Exact", timeout=40_000)
    expect(page.locator("#difference-vnd")).to_have_text("0")
    assert text(page, "ledger-vnd") == text(page, "aggregate-vnd")
    picture(page, "exact")

    async def counted() -> int:
        newest: dict[bytes, int] = {}
        async for record in read_all(system.servers, [LEDGER]):
            entry = json.loads(record.value)
            if entry["kind"] == "cell_day":
                tallies = entry["tallies"].values()
                newest[record.key] = sum(tally["settled"] + tally["failed"] + tally["reversed"] for tally in tallies)
        return sum(newest.values())

    assert text(page, "ledger-payments") == f"{elsewhere(counted()):,}"
