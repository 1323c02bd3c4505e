"""A real browser for the tests: Debian's Chromium driven by Playwright, checked by axe in light and dark."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.end_to_end.system import ROOT

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SCREENSHOTS = ROOT / "docs" / "screenshots"
WRITE = os.environ.get("COUNTERSIGN_WRITE_SCREENSHOTS") == "1"
PATIENCE_MS = 30_000
"""A loaded machine is slow, not wrong."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser. Where it is not installed the tests are skipped, but not in CI."""
    if not CHROMIUM.exists():
        if os.environ.get("CI"):
            pytest.fail("Chromium is missing: install it from the system's packages (Debian: chromium).")
        pytest.skip("needs Chromium from the system's packages (Debian: chromium)")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def tab(browser: Browser, **options: Any) -> Iterator[Page]:
    """Open a tab with cookies of its own. An error of a page's script, or of its security policy, fails the test."""
    context = browser.new_context(
        viewport=options.pop("viewport", {"width": 1280, "height": 800}), timezone_id="UTC", locale="en-GB", **options
    )
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console", lambda message: errors.append(message.text) if "Content Security Policy" in message.text else None
    )
    try:
        yield page
        assert errors == []
    finally:
        context.close()


def accessible(page: Page) -> None:
    """Hold the page against axe's rules: in dark those about colour, for nothing else differs, in light all."""
    schemes: tuple[tuple[Literal["dark", "light"], dict[str, Any] | None], ...] = (
        ("dark", {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}),
        ("light", None),
    )
    for scheme, rules in schemes:
        page.emulate_media(color_scheme=scheme)
        results = Axe().run(page, options=rules)
        assert results.violations_count == 0, f"{scheme}: {results.generate_report()}"


def fits(page: Page) -> None:
    """Hold the page to its width: nothing makes it scroll sideways."""
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{page.url} is {wide} px too wide"


def picture(page: Page, name: str) -> None:
    """Keep a picture of the page where that is asked for."""
    if WRITE:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{name}.png", animations="disabled", scale="css")
