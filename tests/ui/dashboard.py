"""The dashboard in a real browser: a page that is logged in, and complains of nothing."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from shutil import which
from typing import Any

import aiohttp
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright

CHROMIUM = next((found for name in ("chromium", "chromium-browser") if (found := which(name))), None)
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WITHIN_MS = 20_000
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
# What a browser itself says of an answer that is an error; the page says it too, in words.
OF_ANSWERS = "Failed to load resource"


@asynccontextmanager
async def browsing() -> AsyncGenerator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser
        await browser.close()


async def cookie_for(root: str, key: str) -> dict[str, Any]:
    """A session for that key, as a browser keeps it."""
    form = {"key": key, "next": "/ui"}
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
        http.post(f"{root}/ui/login", data=form, allow_redirects=False) as answer,
    ):
        assert answer.status == 303, await answer.text()
        name, _, rest = answer.headers["set-cookie"].partition("=")
        return {"name": name, "value": rest.partition(";")[0], "url": root, "httpOnly": True, "sameSite": "Strict"}


@dataclass
class Seat:
    """A browser's page on the dashboard."""

    root: str
    page: Page
    context: BrowserContext
    complaints: list[str] = field(default_factory=list[str])
    asked: list[str] = field(default_factory=list[str])

    async def goes(self, path: str = "/ui") -> "Seat":
        await self.page.goto(self.root + path)
        return self

    async def sees(self, text: str, within: str = "body") -> None:
        await self.page.locator(within).get_by_text(text).first.wait_for()

    async def is_live(self) -> None:
        """It follows the stream."""
        await self.page.locator("#link.good").wait_for()

    async def presses(self, name: str, *, within: str = "main") -> None:
        await self.page.locator(within).get_by_role("button", name=name, exact=True).click()

    async def agrees(self, yes: str, *, typed: str = "") -> None:
        """Answers the question that is asked."""
        dialog = self.page.get_by_role("dialog")
        if typed:
            await dialog.get_by_role("textbox").fill(typed)
        await dialog.get_by_role("button", name=yes, exact=True).click()
        await dialog.wait_for(state="detached")

    async def does(self, script: str, *args: Any) -> Any:
        return await self.page.evaluate(script, args[0] if args else None)

    def heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and OF_ANSWERS not in message.text:
            self.complaints.append(message.text)


@asynccontextmanager
async def seated(browser: Browser, root: str, key: str | None, **how: Any) -> AsyncGenerator[Seat]:
    """A page in a browser of its own, logged in with that key. What its console complains of is a fault."""
    context = await browser.new_context(**how)
    context.set_default_timeout(WITHIN_MS)
    if key:
        await context.add_cookies([await cookie_for(root, key)])  # pyright: ignore[reportArgumentType] - one of its dicts
    page = await context.new_page()
    seat = Seat(root, page, context)
    page.on("console", seat.heard)
    page.on("pageerror", lambda error: seat.complaints.append(str(error)))
    page.on("request", lambda request: seat.asked.append(request.url))
    try:
        yield seat
        assert seat.complaints == []
        assert [url for url in seat.asked if not url.startswith(root)] == []
    finally:
        await context.close()
