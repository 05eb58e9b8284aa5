"""The documentation page in a real browser, without any other host."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Page

from tests.api.served import Served, served
from tests.ui.dashboard import browsing, seated

pytestmark = pytest.mark.needs_chromium


@asynccontextmanager
async def opened(valkey_url: str) -> AsyncGenerator[tuple[Served, Page]]:
    """The page, whose console complains of nothing and which asks nobody else."""
    async with served(valkey_url) as api, browsing() as browser, seated(browser, api.root, None) as seat:
        await seat.goes("/docs")
        await seat.page.get_by_text("/api/instances/{id}/wait").wait_for()
        yield api, seat.page


async def test_it_shows_every_route_and_asks_nobody_else(valkey_url: str) -> None:
    async with opened(valkey_url) as (api, page):
        text = await page.locator("body").inner_text()
        for path in (await api.ask("GET", "/openapi.json", key=None)).json["paths"]:
            assert path in text


async def test_finding_narrows_it(valkey_url: str) -> None:
    async with opened(valkey_url) as (_, page):
        await page.get_by_placeholder("path, word, scope").fill("last-used")
        await page.get_by_text("/api/instances/{id}/wait").wait_for(state="hidden")
        assert await page.get_by_text("/api/instances/{id}/last-used").is_visible()
