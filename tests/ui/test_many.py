"""Five thousand instances, and how soon something is to be seen."""

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from random import Random
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace
from playwright.async_api import Browser

from novita_gpu.api.operation import Scope
from novita_gpu.domain.instance import Wish
from novita_gpu.ui import PAGES
from tests.api.served import KEYS, Served, served
from tests.store.samples import creation
from tests.ui.dashboard import seated
from tests.ui.fleets import fleet

pytestmark = [pytest.mark.needs_chromium, pytest.mark.asyncio(loop_scope="module")]
MANY = 5_000
EVENTS = int(os.environ.get("EVENTS", "800"))
ADMIN = KEYS[Scope.ADMIN]
KIB = 1024
# What else a machine does makes it slower and never quicker, so the best of some attempts tells of ours.
ATTEMPTS = 6
# When this is to be seen first, in ms from the begin of the page.
NOTED = """
new MutationObserver((_, looks) => {
  const node = document.querySelector(%r);
  if (node && %s) { window.seenAt = performance.now(); looks.disconnect(); }
}).observe(document, { subtree: true, childList: true, characterData: true });
"""
SENT = """() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
  .filter((one) => !one.name.includes("/api/events")).reduce((sum, one) => sum + one.transferSize, 0)"""
# The time of each step's own work: of its handler, and of the frame until all that is to be laid out is.
STEPS = """async () => {
  const box = document.querySelector("#fleet");
  const search = document.querySelector("#search");
  const worked = () => new Promise((done) => requestAnimationFrame((begun) => {
    box.getBoundingClientRect();
    done(performance.now() - begun);
  }));
  const step = async (act) => {
    const began = performance.now();
    act();
    const own = performance.now() - began;
    return own + await worked();
  };
  const scrolled = (top) => { box.scrollTop = top; box.dispatchEvent(new Event("scroll")); };
  const took = { scroll: [], filter: [] };
  for (let place = 1; place <= 40; place++) {
    took.scroll.push(await step(() => scrolled(place * 4000)));
  }
  for (const words of ["w", "work", "worker-0", "worker-01", "worker-012", "eu-de", "", "4090 hk", ""]) {
    const act = () => { search.value = words; search.dispatchEvent(new Event("input", { bubbles: true })); };
    took.filter.push(await step(act));
  }
  for (const each of Object.values(took)) each.sort((one, other) => one - other);
  const told = (all) => [all[Math.floor(all.length / 2)], all.at(-1)];
  const rows = document.querySelectorAll(".rows .line").length;
  return { scroll: told(took.scroll), filter: told(took.filter), rows };
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def many(valkey_url: str) -> AsyncGenerator[Served]:
    async with served(valkey_url, pages=PAGES) as api:
        records = fleet(MANY, Random(1))  # noqa: S311
        for begin in range(0, MANY, 200):
            await asyncio.gather(*(api.store.records.commit(creation(one)) for one in records[begin : begin + 200]))
        await api.store.view.load()
        yield api


async def least(limit: float, attempt: Callable[[], Awaitable[Any]]) -> Any:
    """The best of some attempts, by the first of what each answers; one within the limit is good enough."""
    found: list[Any] = []
    for _ in range(ATTEMPTS):
        found.append(await attempt())
        if found[-1][0] < limit:
            break
    return min(found)


async def first_seen(browser: Browser, root: str, path: str, selector: str, holds: str) -> Any:
    """When it was first seen, and what was sent until the page was whole."""
    async with seated(browser, root, ADMIN) as seat:
        await seat.page.add_init_script(NOTED % (selector, holds))
        await seat.goes(path)
        await seat.page.wait_for_function("() => window.seenAt !== undefined")
        await seat.page.wait_for_load_state("load")
        return await seat.page.evaluate(f"async () => [window.seenAt, ({SENT})()]")


async def test_the_first_view_is_small_and_soon(
    browser: Browser, valkey_url: str, figure: Callable[[str], None]
) -> None:
    async with served(valkey_url, pages=PAGES) as api:
        await api.created("one")
        how = (browser, api.root, "/ui", "#counts .status", "true")
        took, sent = await least(300, lambda: first_seen(*how))
    figure(f"dashboard: first view {sent / KIB:.0f} KiB, useful after {took:.0f} ms")
    assert sent < 100 * KIB
    assert took < 300


async def test_a_table_of_five_thousand_is_ready_in_a_second(
    browser: Browser, many: Served, figure: Callable[[str], None]
) -> None:
    whole = f"node.textContent.startsWith('{MANY:,} instances')"
    how = (browser, many.root, "/ui/instances", "#shown", whole)
    took, _ = await least(1000, lambda: first_seen(*how))
    figure(f"dashboard: a table of {MANY:,} is ready after {took:.0f} ms")
    assert took < 1000


async def test_the_memory_of_the_tab_is_steady(
    browser: Browser, valkey_url: str, figure: Callable[[str], None]
) -> None:
    """Event after event, of the same instances: what a page keeps does not grow with them."""
    async with served(valkey_url, pages=PAGES) as api, seated(browser, api.root, ADMIN) as seat:
        records = [await api.created(f"busy-{each}") for each in range(10)]
        await (await seat.goes("/ui")).is_live()
        devtools: Any = await seat.context.new_cdp_session(seat.page)

        async def kept_after(events: int) -> float:
            for number in range(events):
                place = number % len(records)
                other = Wish.STOPPED if records[place].wants is Wish.RUNNING else Wish.RUNNING
                records[place] = await api.becomes(records[place], replace(records[place], wants=other))
            await seat.page.evaluate("() => new Promise((done) => setTimeout(done, 300))")
            await devtools.send("HeapProfiler.collectGarbage")
            return (await devtools.send("Runtime.getHeapUsage"))["usedSize"] / KIB

        before, after = await kept_after(EVENTS // 2), await kept_after(EVENTS)
    figure(f"dashboard: {before:.0f} KiB after {EVENTS // 2} events, {after:.0f} KiB after {EVENTS} more")
    assert after - before < 1.5 * KIB


async def test_a_step_of_filter_or_scroll_is_quick(
    browser: Browser, many: Served, figure: Callable[[str], None]
) -> None:
    async with seated(browser, many.root, ADMIN) as seat:
        await seat.goes("/ui/instances")
        await seat.sees(f"{MANY:,} instances", "#shown")

        async def steps() -> Any:
            told = await seat.page.evaluate(STEPS)
            return max(told["scroll"][0], told["filter"][0]), told["scroll"], told["filter"], told["rows"]

        _, scroll, filtering, rows = await least(50, steps)
    told = "{:.0f} ms a step, at most {:.0f}"
    figure(f"dashboard: of {MANY:,}, scrolling {told.format(*scroll)}; filtering {told.format(*filtering)}")
    assert rows < 60
    assert scroll[0] < 50
    assert filtering[0] < 50
