"""The README's picture of the live page, by a headless Chromium.

In: the address of a running page, and where to write. Out: a WebP picture, 1440 pixels wide.
"""

from __future__ import annotations

import io
import os
import sys

from PIL import Image
from playwright.sync_api import sync_playwright

WIDTH, HEIGHT, QUALITY = 1440, 1180, 80
CHROMIUM = "/usr/bin/chromium"

address, out = sys.argv[1:]
with sync_playwright() as playwright:
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light", locale="en-GB")
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("#curves .scatterlayer .trace")
    page.wait_for_selector("#mix .barlayer .trace")
    page.wait_for_selector("#notice", state="hidden", timeout=120_000)  # all that was on the topics is read
    page.wait_for_timeout(2000)  # charts have come to rest
    picture = page.screenshot()
    browser.close()
Image.open(io.BytesIO(picture)).convert("RGB").save(out, quality=QUALITY)
