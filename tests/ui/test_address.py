"""A link leads to the same rows, whoever follows it from wherever."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from random import Random

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser

from novita_gpu.api.operation import Scope
from novita_gpu.domain.instance import Failure
from novita_gpu.ui import PAGES
from tests.api.served import KEYS, Served, served
from tests.store.samples import creation, new_record
from tests.ui.dashboard import Seat, seated
from tests.ui.fleets import fleet

pytestmark = [pytest.mark.needs_chromium, pytest.mark.asyncio(loop_scope="module")]
ADMIN = KEYS[Scope.ADMIN]
LINK = "/ui/instances#status=failed"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(valkey_url: str) -> AsyncGenerator[Served]:
    """Twenty instances, one that failed, one that is deleted."""
    now = datetime.now(UTC)
    failure = Failure(code="NO_OFFER", message="there was none", at=now)
    async with served(valkey_url, pages=PAGES) as it:
        others = (new_record("broken", at=now, failure=failure), new_record("gone", at=now, deleted_at=now))
        for record in (*fleet(20, Random(3)), *others):  # noqa: S311
            await it.store.records.commit(creation(record))
        await it.store.view.load()
        yield it


@pytest_asyncio.fixture(loop_scope="module")
async def seat(browser: Browser, api: Served) -> AsyncGenerator[Seat]:
    async with seated(browser, api.root, ADMIN) as it:
        yield it


async def names(seat: Seat) -> list[str]:
    """Of the rows from the top."""
    rows = await seat.page.locator(".rows .line").all()
    tops = [(await row.evaluate("(node) => parseFloat(node.style.top)"), await row.inner_text()) for row in rows]
    return [text.split("\n")[0].strip() for _, text in sorted(tops)]


async def test_search_filters_and_order_are_in_the_address(seat: Seat, browser: Browser, api: Served) -> None:
    page = (await seat.goes("/ui/instances")).page
    await seat.sees("21 instances", "#shown")
    await page.get_by_label("Deleted too").check()
    await seat.sees("22 instances", "#shown")
    for _ in range(2):
        await page.locator(".heads .name button").click()
    await page.get_by_label("Search").fill("o")
    await page.get_by_label("Region", exact=True).select_option("EU-DE-01")
    await page.wait_for_url("**search=o**")
    rows = await names(seat)
    assert rows == sorted(rows, reverse=True)
    assert 1 < len(rows) < 15
    async with seated(browser, api.root, ADMIN) as other:
        await other.goes(page.url.removeprefix(api.root))
        await other.sees("of 22 instances", "#shown")
        assert await names(other) == rows
        assert await other.page.get_by_label("Deleted too").is_checked()
        assert await other.page.get_by_label("Region", exact=True).input_value() == "EU-DE-01"
        heads = other.page.locator('[role=columnheader][aria-sort="descending"]')
        assert await heads.all_inner_texts() == ["Name"]


async def test_the_address_is_written_once_for_a_word_that_is_typed(seat: Seat) -> None:
    page = (await seat.goes("/ui/instances")).page
    await seat.sees("21 instances", "#shown")
    await page.evaluate("""() => {
      const search = document.querySelector("#search");
      const write = history.replaceState.bind(history);
      window.written = 0;
      history.replaceState = (...told) => (window.written++, write(...told));
      for (const word of ["b", "br", "bro", "brok"]) {
        search.value = word;
        search.dispatchEvent(new Event("input", { bubbles: true }));
      }
    }""")
    await page.wait_for_url("**#search=brok")
    assert await page.evaluate("window.written") == 1
    assert await names(seat) == ["broken"]


async def test_a_link_that_is_followed_on_the_page_itself_is_heard(seat: Seat) -> None:
    page = (await seat.goes("/ui/instances#order=name&search=worker")).page
    await seat.sees("20 of 21 instances", "#shown")
    await page.evaluate("location.hash = '#deleted&status=deleted'")
    await seat.sees("1 of 22 instances", "#shown")
    assert await names(seat) == ["gone"]
    await page.evaluate("location.hash = ''")
    await seat.sees("21 instances", "#shown")
    assert await page.locator('[aria-sort="ascending"]').count() == 0


async def test_whoever_logs_in_first_comes_to_the_same_rows(browser: Browser, api: Served) -> None:
    async with seated(browser, api.root, None) as seat:
        page = (await seat.goes(LINK)).page
        for key in ("no-such-key", ADMIN):
            await page.get_by_label("API key").fill(key)
            await page.keyboard.press("Enter")
            await page.wait_for_load_state("load")
        await seat.sees("1 of 21 instances", "#shown")
        assert page.url == api.root + LINK
        assert await names(seat) == ["broken"]


async def test_a_session_that_is_over_leads_back_to_the_same_rows(seat: Seat) -> None:
    page = (await seat.goes(LINK)).page
    await seat.sees("1 of 21 instances", "#shown")
    await seat.context.clear_cookies()
    await page.get_by_label("Deleted too").click()
    await page.wait_for_url("**/ui/login?**")
    await page.get_by_label("API key").fill(ADMIN)
    await page.keyboard.press("Enter")
    await seat.sees("1 of 22 instances", "#shown")


async def test_a_page_that_is_not_there_says_so_and_leads_back(seat: Seat) -> None:
    page = (await seat.goes("/ui/nix")).page
    await seat.sees("There is no such page")
    await page.get_by_role("link", name="To the overview").click()
    await page.wait_for_url("**/ui")
    await seat.is_live()


async def test_a_link_of_another_site_leads_to_the_same_rows(seat: Seat, api: Served) -> None:
    async def chat(_: web.Request) -> web.Response:
        return web.Response(text=f'<!doctype html><a href="{api.root}{LINK}">look</a>', content_type="text/html")

    app = web.Application()
    app.router.add_get("/", chat)
    async with TestServer(app) as other:
        await seat.page.goto(str(other.make_url("/")).replace("127.0.0.1", "localhost"))
        await seat.page.get_by_role("link", name="look").click()
        await seat.sees("1 of 21 instances", "#shown")
        seat.asked.clear()
    assert seat.page.url == api.root + LINK
