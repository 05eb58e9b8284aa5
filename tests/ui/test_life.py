"""What a person does in a browser, on a whole service with a simulated cloud behind it."""

import asyncio
import time
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.plane import KEY, PRODUCT, Service, eventually, serving
from tests.ui.dashboard import Seat, seated
from tests.valkey import new_prefix
from tests.webhooks.receiver import Receiver

pytestmark = [pytest.mark.needs_chromium, pytest.mark.asyncio(loop_scope="module")]


async def test_log_in_and_out(browser: Browser, service: Service) -> None:
    async with seated(browser, service.root, None) as seat:
        page = (await seat.goes("/ui/instances")).page
        await page.get_by_label("API key").fill("no-such-key")
        await page.keyboard.press("Enter")
        await seat.sees("This is no key of this service")
        await page.get_by_label("API key").fill(KEY)
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/ui/instances")
        await seat.is_live()
        await page.get_by_role("button", name="Log out").click()
        await page.wait_for_url("**/ui/login")
        await seat.goes("/ui")
        assert page.url.endswith("/ui/login?next=/ui")


async def test_create_and_watch_it_become_ready(seat: Seat, service: Service) -> None:
    page = (await seat.goes("/ui/create")).page
    await page.get_by_label("Name", exact=True).fill("made-here")
    await page.get_by_role("radio", name=PRODUCT, exact=False).first.wait_for()
    await page.locator(f'input[value="{PRODUCT}"]').check()
    await page.get_by_label("Template").select_option("102")
    await page.locator(".rates").wait_for()
    assert "$0.3583" in await page.locator("#plan").inner_text()
    await page.get_by_label("Minutes idle").fill("45")
    await page.get_by_role("button", name="Create", exact=True).click()
    await page.wait_for_url("**/ui/instances/ins_*")
    await page.evaluate("window.isSame = true")
    await page.locator("#state .status.ready").wait_for()
    assert await page.evaluate("window.isSame")
    assert (await service.instance("made-here"))["autoStop"]["idleMinutes"] == 45
    await page.locator("#facts time").first.hover()
    assert await page.locator("#facts time").first.get_attribute("title")
    await page.locator("#timeline").get_by_text("launch offer chosen").wait_for()


async def test_keep_stop_start_delete(seat: Seat, service: Service) -> None:
    await service.ready("worked-on")
    page = (await seat.goes("/ui/instances/worked-on")).page
    await seat.presses("Keep 1 h")
    await seat.sees("worked-on is kept for an hour.")
    assert (await service.instance("worked-on"))["autoStop"]["pinnedUntil"]
    await seat.presses("Stop")
    await page.locator("#state .status.stopped").wait_for()
    await seat.presses("Start")
    await page.locator("#state .status.ready").wait_for()
    await seat.presses("Delete")
    await seat.agrees("Delete")
    await page.locator("#state .status.deleted").wait_for()
    assert (await service.events("worked-on"))[-1]["data"]["previousStatus"] == "deleting"


async def test_a_password_is_shown_on_a_click_and_not_before(seat: Seat, service: Service) -> None:
    await service.ready("secretive")
    password = (await service.instance("secretive"))["connectionDetails"]["sshPassword"]
    page = (await seat.goes("/ui/instances/secretive")).page
    await page.get_by_role("button", name="Show").wait_for()
    assert password not in await page.content()
    await page.get_by_role("button", name="Show").click()
    await page.get_by_text(password).wait_for()
    await page.get_by_role("button", name="Hide").click()
    assert password not in await page.content()


async def test_many_are_stopped_at_once(seat: Seat, service: Service) -> None:
    await asyncio.gather(*(service.ready(f"bulk-{each}") for each in "abc"))
    page = (await seat.goes("/ui/instances#search=bulk-")).page
    await page.get_by_label("Select bulk-a").check()
    await page.get_by_label("Select bulk-b").check()
    await page.get_by_role("button", name="Stop 2").click()
    await seat.sees("Stop: 2 instances", "dialog")
    await seat.agrees("Stop 2")
    await seat.sees("Stop: accepted for 2 instances.")
    for name in ("bulk-a", "bulk-b"):
        row = page.get_by_role("row").filter(has_text=name)
        await row.locator(".status.stopped").wait_for()
    assert (await service.instance("bulk-c"))["status"] == "ready"


async def test_stop_all_first_says_what_it_would_do(seat: Seat, service: Service) -> None:
    await asyncio.gather(*(service.ready(f"all-{each}") for each in "ab"))
    page = (await seat.goes("/ui/instances#search=all-")).page
    await page.get_by_role("button", name="Stop all").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_text("all-b").wait_for()
    assert await dialog.get_by_role("button", name="Stop all").is_disabled()
    await page.keyboard.press("Escape")
    assert (await service.instance("all-a"))["status"] == "ready"
    await page.get_by_role("button", name="Stop all").click()
    await seat.agrees("Stop all", typed="stop all")
    for name in ("all-a", "all-b"):
        await page.get_by_role("row").filter(has_text=name).locator(".status.stopped").wait_for()


async def test_a_webhook_is_sent_again(seat: Seat, service: Service, receiver: Receiver) -> None:
    await service.ready("told-of", webhookUrl=receiver.url)
    await receiver.wait_for(1)
    page = (await seat.goes("/ui/instances/told-of")).page
    await page.locator("#deliveries").get_by_text("delivered").first.wait_for()
    before = len(receiver.ids)
    await page.get_by_role("button", name="Send instance.ready again").click()
    await seat.sees("It is sent again.")
    async with asyncio.timeout(5):
        while receiver.ids.count(receiver.ids[-1]) < 2 and len(receiver.ids) <= before:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.02)


async def test_what_is_on_its_way_is_followed_until_it_has_arrived(
    seat: Seat, service: Service, receiver: Receiver
) -> None:
    receiver.gate.clear()
    try:
        await service.ready("slowly-told", webhookUrl=receiver.url)
        page = (await seat.goes("/ui/instances/slowly-told")).page
        deliveries = page.locator("#deliveries")
        await deliveries.get_by_text("on its way").first.wait_for()
        await seat.is_live()
    finally:
        receiver.gate.set()
    await deliveries.get_by_role("button", name="Send instance.ready again").wait_for()
    assert await deliveries.get_by_text("on its way").count() == 0


async def test_a_refusal_is_told_in_the_services_own_words(seat: Seat, service: Service) -> None:
    await service.create("there-already")
    page = (await seat.goes("/ui/create")).page
    await page.locator(f'input[value="{PRODUCT}"]').check()
    await page.get_by_label("Name", exact=True).fill("there-already")
    await page.get_by_label("Template").select_option("102")
    await page.get_by_role("button", name="Create", exact=True).click()
    await seat.sees("INSTANCE_ALREADY_EXISTS")
    assert page.url.endswith("/ui/create")
    assert await page.get_by_label("Name", exact=True).input_value() == "there-already"


async def test_with_the_keyboard_alone(seat: Seat, service: Service) -> None:
    await service.ready("by-key")
    page = (await seat.goes("/ui/instances#search=by-key")).page
    await page.get_by_role("link", name="by-key").wait_for()
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.textContent") == "Skip to content"
    await page.keyboard.press("Enter")
    for _ in range(40):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.matches('.rows input')"):
            break
    await page.keyboard.press("Space")
    await seat.sees("1 selected")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/ui/instances/ins_*")
    await page.get_by_role("button", name="Delete").focus()
    await page.keyboard.press("Enter")
    await page.get_by_role("dialog").wait_for()
    await page.keyboard.press("Escape")
    await page.get_by_role("dialog").wait_for(state="detached")
    assert await page.evaluate("document.activeElement.textContent") == "Delete"
    await page.get_by_role("button", name="Stop").focus()
    await page.keyboard.press("Enter")
    await page.locator("#state .status.stopped").wait_for()


async def test_the_system_page_compares_with_the_cloud_and_follows_the_log(seat: Seat, service: Service) -> None:
    page = (await seat.goes("/ui/system")).page
    await page.get_by_role("button", name="Sync now").click()
    await seat.sees("It did this")
    await service.create("logged")
    await page.locator("#log").get_by_text("logged").first.wait_for()
    await page.locator("#settings").get_by_text("AUTO_STOP_IDLE_MINUTES").wait_for()
    assert KEY not in await page.content()


async def test_an_endpoint_is_registered_and_its_secret_shown_once(seat: Seat, receiver: Receiver) -> None:
    page = (await seat.goes("/ui/system")).page
    await page.get_by_text("New endpoint").click()
    await page.get_by_label("Address").fill(receiver.url)
    await page.get_by_role("button", name="Register").click()
    await page.locator("#endpoints code").get_by_text("whsec_").wait_for()
    await page.locator("#endpoints").get_by_role("button", name="Off").wait_for()
    await page.get_by_role("button", name="Done").click()
    assert "whsec_" not in await page.locator("#endpoints .inner").inner_text()
    await page.locator("#endpoints").get_by_role("button", name="Remove…").click()
    await seat.agrees("Remove")
    await seat.sees("None is registered.")


async def test_how_busy_its_gpus_were_is_plotted(browser: Browser, valkey_url: str, tmp_path: Path) -> None:
    async with serving(tmp_path, redis_url=valkey_url, prefix=new_prefix()) as service:
        service.cloud.control.post("metrics", instanceId="*", gpu=83.0, gpuMemory=41.0)
        await service.ready("busy")
        async with seated(browser, service.root, KEY) as seat:
            await seat.goes("/ui/instances/busy")
            await seat.sees("Nothing was measured yet", "#use")
        service.cloud.control.post("clock", advance=120)  # the cloud tells it a minute late
        ran = time.time()
        await eventually(lambda: int(time.time()) > ran)  # and by whole seconds
        async with seated(browser, service.root, KEY) as seat:
            page = (await seat.goes("/ui/instances/busy")).page
            await page.get_by_role("button", name="6 h", exact=True).click()
            await page.locator("#use canvas").wait_for()
            assert await page.locator("#use-now").inner_text() != ""
            await seat.sees("GPU 83 %, its memory 41 %", "#use-now")
