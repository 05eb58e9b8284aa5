"""The page follows what happens, says when it cannot, and takes nothing that came from elsewhere for HTML."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from msgspec.structs import replace
from playwright.async_api import Browser

from novita_gpu.api.operation import Scope
from novita_gpu.contract import DependencyView, HealthView, ServicesView, time_text
from novita_gpu.control.verdicts import CHECKS
from novita_gpu.domain.instance import Wish
from novita_gpu.ui import PAGES
from tests.api.served import KEYS, Served, served
from tests.plane import KEY, serving
from tests.server.line import line_to
from tests.store.samples import creation
from tests.ui.dashboard import Seat, seated
from tests.ui.fleets import HOSTILE, fleet, hostile
from tests.valkey import new_prefix

pytestmark = [pytest.mark.needs_chromium, pytest.mark.asyncio(loop_scope="module")]
ADMIN = KEYS[Scope.ADMIN]
SEEN = """([selector, text]) => new Promise((done) => {
  const is = (node) => node.textContent.includes(text);
  const look = () => [...document.querySelectorAll(selector)].some(is) && (seen.disconnect(), done(Date.now()));
  const seen = new MutationObserver(look);
  seen.observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
  look();
})"""


@dataclass
class Condition:
    """What health says, as this test has it: the verdict and the reason of each part that is not well."""

    faults: dict[str, tuple[Any, str]] = field(default_factory=dict[str, tuple[Any, str]])

    def __call__(self, detailed: bool) -> HealthView:
        up: Any = "up"
        services = ServicesView(novita_api=up, job_queue=up, cache=up, migration_service=up, auto_stop=up, redis=up)
        view = HealthView(
            status="degraded" if self.faults else "healthy",
            timestamp=time_text(datetime.now(UTC)),
            uptime=1.0,
            version="test",
            services=services,
        )
        found = {name: self.faults.get(name, (up, "")) for name in CHECKS}
        told = {name: DependencyView(status=verdict, detail=why or None) for name, (verdict, why) in found.items()}
        return replace(view, dependencies=told) if detailed else view


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def condition() -> Condition:
    return Condition()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(valkey_url: str, condition: Condition) -> AsyncGenerator[Served]:
    async with served(valkey_url, pages=PAGES, health=condition) as it:
        yield it


@pytest_asyncio.fixture(loop_scope="module")
async def seat(browser: Browser, api: Served) -> AsyncGenerator[Seat]:
    async with seated(browser, api.root, ADMIN) as it:
        yield it


async def test_a_change_is_on_the_screen_within_300_ms(seat: Seat, api: Served, figure: Callable[[str], None]) -> None:
    record = await api.created("quick")
    await (await seat.goes("/ui/instances")).is_live()
    await seat.page.get_by_role("link", name="quick").wait_for()
    took: list[float] = []
    for wanted, words in ((Wish.STOPPED, "stopped"), (Wish.RUNNING, "creating")):
        seen = asyncio.ensure_future(seat.page.evaluate(SEEN, [".rows .state", words]))
        await seat.page.evaluate("0")  # it looks now
        began = time.time()
        record = await api.becomes(record, replace(record, wants=wanted))
        took.append(await seen - began * 1000)
    figure(f"dashboard: a change is on the screen after {max(took):.0f} ms")
    assert max(took) < 300


async def test_rows_do_not_jump_when_others_come(seat: Seat, api: Served) -> None:
    for number in range(40):
        await api.created(f"still-{number:02}")
    page = (await seat.goes("/ui/instances#search=still-")).page
    await seat.is_live()
    await page.get_by_role("link", name="still-39").wait_for()
    await page.evaluate("document.querySelector('#fleet').scrollTop = 800")
    row = page.get_by_role("row").filter(has_text="still-15")
    before = await row.bounding_box()
    await page.get_by_label("Select still-15").focus()
    await api.created("still-40")
    await seat.sees("41", "#shown")
    assert await row.bounding_box() == before
    assert await page.evaluate("document.activeElement.getAttribute('aria-label')") == "Select still-15"


async def test_an_outage_of_the_cloud_is_told_and_its_end(seat: Seat, condition: Condition) -> None:
    await seat.page.clock.install()
    page = (await seat.goes("/ui")).page
    await seat.is_live()
    condition.faults = {"novitaApi": ("down", f"it said {HOSTILE}")}
    await page.clock.fast_forward(11_000)
    await seat.sees("The cloud does not answer as it should")
    await seat.sees(HOSTILE, "#banners")
    condition.faults = {}
    await page.clock.fast_forward(11_000)
    await page.locator("#banners p").wait_for(state="detached")


@pytest.mark.parametrize("name", CHECKS)
async def test_whatever_makes_it_less_than_well_is_said_with_its_reason(
    seat: Seat, condition: Condition, name: str
) -> None:
    condition.faults = {name: ("degraded", f"{name} has 60 s of it")}
    try:
        page = (await seat.goes("/ui")).page
        await seat.sees(f"{name} has 60 s of it", "#banners")
        await seat.sees(f"{name} has 60 s of it", "#lights")
        assert await page.locator("#lights .light").count() == len(CHECKS)
        assert await page.locator("#lights .light.degraded").count() == 1
        names = await page.locator("#lights .light").all_inner_texts()
        assert not set(names) & set(CHECKS), "each has a name for people"
    finally:
        condition.faults = {}


async def test_what_lies_still_without_the_store_is_one_banner(seat: Seat, condition: Condition) -> None:
    rest = dict.fromkeys(("queue", "workers", "sweep", "sync", "autoStop", "webhooks"), ("down", ""))
    condition.faults = {"store": ("down", "it is full"), **rest}
    try:
        page = (await seat.goes("/ui")).page
        await seat.sees("it is full", "#banners")
        assert await page.locator("#banners p").count() == 1
        assert await page.locator("#lights").get_by_text("down – the store is").count() == len(rest)
    finally:
        condition.faults = {}


async def test_a_lost_connection_is_told_and_heals_without_a_gap(browser: Browser, api: Served) -> None:
    host, _, port = api.root.partition("://")[2].partition(":")
    async with (
        line_to(host, int(port)) as (line, through),
        seated(browser, f"http://127.0.0.1:{through}", ADMIN) as seat,
    ):
        await (await seat.goes("/ui/instances#search=meanwhile")).is_live()
        line.cut()
        await seat.sees("The connection to the service is lost")
        await api.created("meanwhile")
        line.mend()
        await seat.page.get_by_role("link", name="meanwhile").wait_for()
        await seat.page.locator("#banners p").wait_for(state="detached")
        await seat.is_live()


async def test_s4_whatever_the_cloud_says_is_shown_as_text(seat: Seat, api: Served) -> None:
    for record in hostile():
        await api.store.records.commit(creation(record))
    page = (await seat.goes("/ui/instances#search=bad-")).page
    await seat.sees(HOSTILE, ".rows")
    await page.get_by_role("button", name="Status", exact=True).click()
    await seat.goes("/ui/instances/bad-ready")
    for place in ("#facts", "#reason", "#connect", "#why"):
        await seat.sees(HOSTILE, place)
    assert await page.locator('a[href^="javascript"]').count() == 0
    await seat.goes("/ui/instances/bad-failed")
    await seat.sees(HOSTILE, "#reason")
    await seat.goes("/ui")
    await seat.sees(HOSTILE, "#attentions")
    assert await page.evaluate("window.hacked") is None
    assert await page.locator("main img, main script").count() == 0


async def test_s4_a_key_that_lacks_a_scope_offers_nothing_that_needs_it(browser: Browser, api: Served) -> None:
    await api.created("looked-at")
    async with seated(browser, api.root, KEYS[Scope.READ]) as seat:
        page = (await seat.goes("/ui/instances/looked-at")).page
        await page.get_by_role("button", name="Stop").wait_for()
        assert await page.get_by_role("button", name="Stop").is_disabled()
        await seat.goes("/ui/instances")
        assert await page.get_by_role("button", name="Stop all").is_disabled()
        await seat.goes("/ui/system")
        await page.locator("#recovery").wait_for()
        assert await page.locator("#settings").is_hidden()
        assert await page.locator("#endpoints").is_hidden()


@pytest.mark.parametrize("place", ["/api/instances/stop-all", "/ui/logout"])
async def test_s3_a_form_of_another_site_changes_nothing(seat: Seat, api: Served, place: str) -> None:
    record = await api.created(f"safe-{place[1:3]}")
    form = f'<form method="post" action="{api.root}{place}" enctype="text/plain"><input name="x" value="y"></form>'
    page = f"<!doctype html>{form}<script>document.forms[0].submit()</script>"

    async def evil(_: web.Request) -> web.Response:
        return web.Response(text=page, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", evil)
    async with TestServer(app) as other:
        async with seat.page.expect_response(api.root + place) as answer:
            await seat.page.goto(str(other.make_url("/")))
        assert (await answer.value).status in (401, 403)
        seat.asked.clear()
    assert (await api.record(record.id)).wants is Wish.RUNNING
    await (await seat.goes("/ui")).is_live()


async def test_n16_looking_is_no_use_and_l2_tabs_ask_the_cloud_nothing(browser: Browser, api: Served) -> None:
    record = await api.created("watched")

    def calls() -> int:
        told: Any = api.simulator.control.get("calls", op="")
        return len(told["calls"])

    async def looks() -> int:
        before = calls()
        async with seated(browser, api.root, ADMIN) as seat:
            for path in ("/ui", "/ui/instances", "/ui/instances/watched", "/ui/system"):
                await (await seat.goes(path)).is_live()
            await seat.page.wait_for_load_state("load")
        return calls() - before

    await looks()  # what is remembered of the cloud is remembered from here on
    assert [await looks(), await looks()] == [0, 0]
    await api.store.view.load()
    assert api.store.view.heard(record.id).last is None


async def test_before_the_first_instance_the_page_says_how_to_make_it(browser: Browser, valkey_url: str) -> None:
    async with served(valkey_url, pages=PAGES) as api, seated(browser, api.root, ADMIN) as seat:
        await seat.goes("/ui")
        await seat.page.get_by_role("link", name="Create the first one").wait_for()
        await seat.goes("/ui/instances")
        await seat.page.get_by_role("link", name="Create the first one").click()
        await seat.page.wait_for_url("**/ui/create")


async def test_nothing_is_said_to_be_none_while_it_is_read(
    browser: Browser, api: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.created("counted")
    async with seated(browser, api.root, ADMIN) as seat:
        await seat.page.route("**/api/**", lambda route: asyncio.sleep(0))  # never answered
        for is_loaded, said in ((True, "creating"), (False, "Counting instances")):
            monkeypatch.setattr(api.store.view, "loaded", is_loaded)
            await seat.goes("/ui")
            text = await seat.page.locator("main").inner_text()
            assert "none" not in text
            assert "Nothing" not in text
            assert said in await seat.page.locator("#counts").inner_text()
        await seat.page.unroute_all(behavior="ignoreErrors")


async def test_what_is_on_the_page_when_it_comes_is_what_its_script_writes(browser: Browser, valkey_url: str) -> None:
    async with served(valkey_url, pages=PAGES) as api, seated(browser, api.root, ADMIN) as seat:
        for record in (*hostile(), *fleet(20, Random(2))):  # noqa: S311
            await api.store.records.commit(creation(record))
        await api.created("first")
        await api.store.view.load()
        counts = "document.querySelector('#counts').innerHTML"
        await seat.page.add_init_script(f"addEventListener('DOMContentLoaded', () => (window.sent = {counts}))")
        await (await seat.goes("/ui")).is_live()
        page = seat.page
        await page.wait_for_function("() => !document.querySelector('#figures .loading')")
        await page.wait_for_function("() => document.querySelector('#attentions .loading') === null")
        assert await page.locator("#counts .status").all_inner_texts() == ["ready", "creating", "stopped", "failed"]
        assert await page.evaluate("() => window.sent") == await page.evaluate(f"() => {counts}")


async def test_it_is_told_of_a_stop_before_it_comes(browser: Browser, valkey_url: str, tmp_path: Path) -> None:
    quick: dict[str, Any] = {"idle_minutes": 0.05, "auto_stop_warn_minutes": 0.02}
    async with (
        serving(tmp_path, redis_url=valkey_url, prefix=new_prefix(), **quick) as service,
        seated(browser, service.root, KEY) as seat,
    ):
        await service.ready("idler")
        page = (await seat.goes("/ui")).page
        await seat.sees("is stopped for idleness", "#attentions")
        await seat.goes("/ui/instances/idler")
        await page.locator("#timeline").get_by_text("auto stop warning").wait_for()
        await page.locator("#state .status.stopped").wait_for()
        await page.locator("#timeline").get_by_text("auto-stop").first.wait_for()
