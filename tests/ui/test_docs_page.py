"""The documentation page in a real browser, without any other host."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright

from tests.api.served import Served, served

pytestmark = pytest.mark.needs_chromium
pytest_plugins = ("tests.valkey",)
CHROMIUM = Path("/usr/bin/chromium")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


async def opened(browser: Browser, api: Served) -> tuple[Page, list[str], list[str]]:
    """The page, every address it asked, and every complaint of its console."""
    page = await browser.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto(f"{api.root}/docs")
    await page.get_by_text("/api/instances/{id}/wait").wait_for()
    return page, asked, complaints


async def test_it_shows_every_route_and_asks_nobody_else(valkey_url: str) -> None:
    async with served(valkey_url) as api, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        page, asked, complaints = await opened(browser, api)
        text = await page.locator("body").inner_text()
        for path in (await api.ask("GET", "/openapi.json", key=None)).json["paths"]:
            assert path in text
        assert all(url.startswith(api.root) for url in asked)
        assert complaints == []
        await browser.close()


async def test_finding_narrows_it(valkey_url: str) -> None:
    async with served(valkey_url) as api, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        page, _, _ = await opened(browser, api)
        await page.get_by_placeholder("path, word, scope").fill("last-used")
        await page.get_by_text("/api/instances/{id}/wait").wait_for(state="hidden")
        assert await page.get_by_text("/api/instances/{id}/last-used").is_visible()
        await browser.close()
