"""How it looks to whom: light and dark, on a phone, and to the judge of accessibility."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from novita_gpu.api.operation import Scope
from novita_gpu.ui import PAGES as PAGES_OF_UI
from tests.api.served import KEYS, served
from tests.architecture.pages import ROOT
from tests.plane import KEY, PRODUCT, Service, serving
from tests.ui.dashboard import PHONE, Seat, seated
from tests.valkey import new_prefix

pytestmark = [pytest.mark.needs_chromium, pytest.mark.asyncio(loop_scope="module")]
# Left by tests/system.sh, which `make test` runs.
AXE = ROOT / ".tools" / "node" / "node_modules" / "axe-core" / "axe.min.js"
JUDGED = """async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
  .filter((one) => ["serious", "critical"].includes(one.impact))
  .map((one) => `${one.id}: ${one.nodes.map((node) => `${node.target} ${node.failureSummary}`).join("; ")}`)"""
LOADED = """() => ![...document.querySelectorAll(".loading")].some((node) => node.checkVisibility())"""
PAGES = ("/ui", "/ui/instances", "/ui/instances/ran", "/ui/create", "/ui/system")
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {**PHONE, "color_scheme": "dark"},
}


# Words in tables that are broken though they would fit into a line.
BROKEN = """() => [...document.querySelectorAll("table td, table th, #lights b")].flatMap((cell) => {
  const found = [];
  const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node; node = texts.nextNode()) {
    for (const { 0: word, index } of node.data.matchAll(/[A-Za-z0-9]{2,14}/g)) {
      const range = document.createRange();
      range.setStart(node, index);
      range.setEnd(node, index + word.length);
      if (new Set([...range.getClientRects()].map((rect) => rect.top)).size > 1) found.push(word);
    }
  }
  return found;
})"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Service]:
    """With one instance of each kind."""
    async with serving(tmp_path_factory.mktemp("data"), redis_url=valkey_url, prefix=new_prefix()) as it:
        await asyncio.gather(*(it.ready(name) for name in ("ran", "stopped", "busy")))
        await it.post("/instances/stopped/stop")
        it.fault("insufficient", "create", times=0)
        await it.create("failed", region="US-CA-06", fallback=False)
        await it.until("stopped", of="stopped")
        yield it


async def shown(seat: Seat, path: str) -> None:
    """The page once nothing of it is still to come."""
    await (await seat.goes(path)).is_live()
    if path == "/ui/create":
        await seat.page.locator(f'input[value="{PRODUCT}"]').check()
        await seat.page.get_by_label("Template").select_option("102")
        await seat.page.locator(".rates").wait_for()
    await seat.page.wait_for_function(LOADED)


@pytest.mark.parametrize("look", LOOKS)
async def test_axe_finds_nothing_serious_and_nothing_is_wider_than_the_page(
    browser: Browser, service: Service, look: str
) -> None:
    if not AXE.exists():
        pytest.skip("needs axe-core: sh tests/system.sh")
    found: list[str] = []
    async with seated(browser, service.root, KEY, reduced_motion="reduce", **LOOKS[look]) as seat:
        for path in PAGES:
            await shown(seat, path)
            await seat.page.evaluate(AXE.read_text("utf-8"))
            found += [f"{path} {one}" for one in await seat.page.evaluate(JUDGED)]
            assert await seat.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    assert found == []


async def test_the_login_is_judged_too(browser: Browser, service: Service) -> None:
    if not AXE.exists():
        pytest.skip("needs axe-core: sh tests/system.sh")
    async with seated(browser, service.root, None) as seat:
        await seat.goes("/ui/login")
        await seat.page.evaluate(AXE.read_text("utf-8"))
        assert await seat.page.evaluate(JUDGED) == []


async def test_on_a_phone_all_is_in_reach_of_a_thumb(browser: Browser, service: Service) -> None:
    async with seated(browser, service.root, KEY, **PHONE) as seat:
        page = (await seat.goes("/ui/instances")).page
        await page.get_by_role("link", name="busy").tap()
        await page.wait_for_url("**/ui/instances/ins_*")
        stop = page.get_by_role("button", name="Stop")
        box = await stop.bounding_box()
        assert box
        assert box["height"] >= 38
        assert 0 <= box["x"] <= 390 - box["width"]
        await stop.tap()
        await page.locator("#state .status.stopped").wait_for()
        await page.get_by_role("button", name="Start").tap()
        await page.locator("#state .status.ready").wait_for()


async def test_dark_is_dark_and_light_is_light(browser: Browser, service: Service) -> None:
    for scheme, is_dark in (("light", False), ("dark", True)):
        async with seated(browser, service.root, KEY, color_scheme=scheme) as seat:
            await (await seat.goes("/ui")).is_live()
            colours = await seat.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
            level = sum(int(part) for part in colours.strip("rgb()").split(","))
            assert (level < 3 * 64) == is_dark


@pytest.mark.parametrize("look", LOOKS)
async def test_no_word_of_a_table_is_broken(browser: Browser, service: Service, look: str) -> None:
    async with seated(browser, service.root, KEY, **LOOKS[look]) as seat:
        for path in PAGES:
            await shown(seat, path)
            assert await seat.page.evaluate(BROKEN) == [], path


async def test_on_a_phone_statuses_and_stops_stand_in_one_line(browser: Browser, service: Service) -> None:
    ends = """() => [...document.querySelectorAll(".rows .state > :last-child, .rows .stop time")]
      .map((node) => Math.round(node.getBoundingClientRect().right))"""
    async with seated(browser, service.root, KEY, **PHONE) as seat:
        await shown(seat, "/ui/instances")
        await seat.sees("busy", ".rows")
        assert len(set(await seat.page.evaluate(ends))) == 1


async def test_small_sums_have_as_many_places_as_each_other(browser: Browser, service: Service) -> None:
    sums = """async (amounts) => {
      const { spent } = await import(document.querySelector("link[href$='/format.js']").href);
      return amounts.map(spent);
    }"""
    async with seated(browser, service.root, KEY) as seat:
        await shown(seat, "/ui")
        told = await seat.page.evaluate(sums, ["0.111", "0.1109", "0", "12.5", None])
    assert told == ["$0.1110", "$0.1109", "$0.00", "$12.50", "–"]


async def test_a_log_is_empty_until_something_happens(browser: Browser, valkey_url: str) -> None:
    async with served(valkey_url, pages=PAGES_OF_UI) as api, seated(browser, api.root, KEYS[Scope.ADMIN]) as seat:
        await (await seat.goes("/ui/system")).is_live()
        nothing = seat.page.get_by_text("Nothing has happened yet.")
        box = await nothing.bounding_box()
        assert box
        assert box["width"] > 200
        assert box["height"] < 40
        unused = seat.page.locator("#caches tr").filter(has_text="templates")
        assert "%" not in await unused.inner_text()
        await api.created("first")
        await seat.sees("first", "#log")
        assert await nothing.count() == 0
