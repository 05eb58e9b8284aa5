"""The pictures of docs/images, taken of the demo: `python -m tests.ui.screenshots`, or `make screenshots`."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp

from tests.architecture.pages import ROOT
from tests.chaos.processes import free_port
from tests.cli.process import begin
from tests.ui.dashboard import PHONE, Seat, browsing, seated

IMAGES = ROOT / "docs" / "images"
AT_MOST = 150 * 1024
WIDE: dict[str, Any] = {"viewport": {"width": 1280, "height": 720}}
LESS: dict[str, Any] = {"viewport": {"width": 1080, "height": 680}}
GPU = "RTX 4090 24GB"
WANTED: tuple[dict[str, Any], ...] = (
    {"name": "trainer-1", "productName": GPU, "gpuNum": 2, "templateId": "101"},
    {"name": "vllm-llama", "productName": "H100 SXM 80GB", "templateId": "102"},
    {"name": "vllm-mistral", "productName": GPU, "templateId": "102"},
    {"name": "notebook-anna", "productName": GPU, "templateId": "101", "autoStop": {"idleMinutes": 5}},
    {"name": "whisper-batch", "productName": GPU, "templateId": "103", "billingMode": "spot"},
    {"name": "eval-nightly", "productName": "RTX 5090 32GB", "templateId": "103"},
)
SETTLED_S = 12  # the demo's machines take some seconds to start, and the plots need something to show


@asynccontextmanager
async def demo() -> AsyncGenerator[tuple[str, str]]:
    """A demo of its own: its address and its key."""
    with TemporaryDirectory() as folder:
        port = free_port()
        process = await begin(Path(folder), "demo", "--port", str(port), "--folder", folder)
        assert process.stdout
        try:
            async for line in process.stdout:
                if line.startswith(b"Stop with"):
                    break
            yield f"http://127.0.0.1:{port}", (Path(folder) / "admin-key").read_text().strip()
        finally:
            process.terminate()
            await process.communicate()


async def seeded(root: str, key: str) -> None:
    async with aiohttp.ClientSession(root, headers={"Authorization": f"Bearer {key}"}) as http:
        for wanted in WANTED:
            async with http.post("/api/instances", json=wanted) as answer:
                assert answer.status == 201, await answer.text()
        for wanted in WANTED:
            await http.get(f"/api/instances/{wanted['name']}/wait?timeoutMs=60000")
        await http.post("/api/instances/eval-nightly/stop")
        await asyncio.sleep(SETTLED_S)


async def overview(seat: Seat) -> None:
    await (await seat.goes("/ui")).is_live()
    await seat.presses("1 h")
    await seat.page.locator("#burn canvas").wait_for()


async def instances(seat: Seat) -> None:
    await (await seat.goes("/ui/instances")).is_live()
    await seat.page.get_by_label("Select trainer-1").check()
    await seat.page.get_by_label("Select vllm-llama").check()


async def instance(seat: Seat) -> None:
    await (await seat.goes("/ui/instances/vllm-llama")).is_live()
    await seat.page.locator("#timeline").get_by_text("ready").first.wait_for()


async def create(seat: Seat) -> None:
    await (await seat.goes("/ui/create")).is_live()
    await seat.page.get_by_label("Name", exact=True).fill("trainer-2")
    await seat.page.locator(f'input[value="{GPU}"]').check()
    await seat.page.get_by_label("Template").select_option("101")
    await seat.page.locator(".rates").wait_for()


PICTURES = (
    ("overview", overview, {**WIDE, "color_scheme": "light"}),
    ("instances", instances, {**WIDE, "color_scheme": "dark"}),
    ("instance", instance, {**LESS, "color_scheme": "light"}),
    ("create", create, {**LESS, "color_scheme": "dark"}),
    ("phone", instances, {**PHONE, "color_scheme": "light"}),
)


async def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    async with demo() as (root, key), browsing() as browser:
        await seeded(root, key)
        for name, shows, how in PICTURES:
            async with seated(browser, root, key, **how) as seat:
                await shows(seat)
                await asyncio.sleep(1)  # the last texts and the pictures' fonts
                path = IMAGES / f"{name}.png"
                await seat.page.screenshot(path=path)
            size = path.stat().st_size
            assert size <= AT_MOST, f"{path} has {size} bytes"
            sys.stdout.write(f"{path.relative_to(ROOT)}  {size // 1024} KiB{os.linesep}")


if __name__ == "__main__":
    asyncio.run(main())
