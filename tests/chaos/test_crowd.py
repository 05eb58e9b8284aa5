"""A start before a cloud full of machines: serving at once, everything compared with one listing, nobody stampeding.

`MACHINES` says how many there are in the cloud; two fifths of them are ours.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import pytest

from novita_gpu.cloud.paging import PAGE_SIZE
from novita_gpu.store import open_store
from tests.chaos.crowd import DEPLOYMENT, Crowd, crowd_of, gather_in, keep_records
from tests.chaos.processes import (
    STARTS_WITHIN_S,
    Cloud,
    command,
    durable_store,
    free_port,
    running,
    settings,
    simulated_cloud,
)
from tests.plane import KEY

MACHINES = int(os.environ.get("MACHINES", "400"))
SYNCED_WITHIN_S = 60.0
# Calls besides the pages of one listing that do not grow with it: prices, for those of orphans.
BESIDES = 1
LOOK_EVERY_S = 0.02
CHANGING = ("create", "start", "restart", "migrate", "delete")


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The cloud and the store, and where the service is to be."""

    crowd: Crowd
    cloud: Cloud
    folder: Path
    port: int
    variables: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Served:
    """The service, asked from outside. `began` is when its process was started, by the monotonic clock."""

    http: aiohttp.ClientSession
    began: float

    async def get(self, path: str) -> Any:
        async with self.http.get(path, headers={"Authorization": f"Bearer {KEY}"}) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def first(self, path: str) -> tuple[float, Any]:
        """Seconds from its start to its first answer there, and that answer."""
        async with asyncio.timeout(STARTS_WITHIN_S):
            while True:
                with suppress(aiohttp.ClientError):
                    answer = await self.get(path)
                    return time.monotonic() - self.began, answer
                await asyncio.sleep(LOOK_EVERY_S)

    async def until(self, path: str, holds: Callable[[Any], bool], within_s: float) -> tuple[Any, float]:
        """The answer once it is so, and the longest that an answer took."""
        longest = 0.0
        async with asyncio.timeout(within_s):
            while True:
                asked = time.monotonic()
                answer = await self.get(path)
                longest = max(longest, time.monotonic() - asked)
                if holds(answer):
                    return answer, longest
                await asyncio.sleep(LOOK_EVERY_S)

    async def all_are(self, prefix: str, status: str, count: int) -> None:
        path = f"/api/instances?name={prefix}&status={status}&limit=1"
        await self.until(path, lambda page: page["total"] == count, SYNCED_WITHIN_S)


@pytest.mark.timeout(300)
async def test_l6_before_a_full_cloud_it_serves_at_once_and_compares_all_with_one_listing(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    crowd = crowd_of(MACHINES)
    async with gathered(tmp_path, crowd) as scene, served(scene) as service:
        live_s, _ = await service.first("/health/live")
        list_s, page = await service.first("/api/instances?limit=1")
        assert page["total"] == crowd.records, "what is not known yet is not told as empty"
        health, longest = await service.until("/health", has_synced, SYNCED_WITHIN_S)
        synced_at = datetime.fromisoformat(health["sync"]["lastSync"]).timestamp()
        calls = await called_until(scene.cloud, synced_at)
        await asyncio.gather(
            service.all_are("gone", "deleted", crowd.gone),
            service.all_are("awaited", "ready", crowd.awaited),
            service.all_are("stopping", "stopped", crowd.stopping),
        )
        passed_s = time.monotonic() - service.began
        books, counts = await scene.cloud.audit(), await scene.cloud.counts()
        sync_s = synced_at - (time.time() - (time.monotonic() - service.began))
    pages = -(-MACHINES // PAGE_SIZE)
    figure(
        f"{MACHINES} machines, {crowd.records} records: /health/live after {live_s:.2f} s, list after {list_s:.2f} s, "
        f"sync after {sync_s:.2f} s ({health['sync']['durationMs']:.0f} ms) with {dict(calls)}, "
        f"all passed after {passed_s:.1f} s, slowest answer {longest * 1000:.0f} ms"
    )
    assert calls["list"] == pages
    by_passes = calls["stop"] + calls["get"]
    assert by_passes <= crowd.stopping + crowd.gone + 2 * crowd.awaited
    assert calls.total() - by_passes <= pages + BESIDES
    assert sync_s < SYNCED_WITHIN_S
    found = health["sync"]["found"]
    assert (found["novitaInstances"], found["localInstances"]) == (crowd.machines, crowd.records)
    assert (found["adopted"], found["missing"], found["orphans"]) == (crowd.awaited, crowd.gone, crowd.orphans)
    assert found["closed"] == 0, "a get and a later listing come first"
    assert {op: counts.get(op, 0) for op in CHANGING} == dict.fromkeys(CHANGING, 0)
    assert (len(books["alive"]), counts["stop"]) == (crowd.machines, crowd.stopping)


def has_synced(health: Any) -> bool:
    return "lastSync" in health["sync"]


async def called_until(cloud: Cloud, at: float) -> Counter[str]:
    """By operation."""
    return Counter(call["op"] for call in (await cloud.ask("calls"))["calls"] if call["at"] <= at)


@asynccontextmanager
async def gathered(folder: Path, crowd: Crowd) -> AsyncGenerator[Scene]:
    """A full cloud, and a durable store with the records of a service that ran before."""
    cloud_port, port = free_port(), free_port()
    async with AsyncExitStack() as stack:
        socket = Path(stack.enter_context(TemporaryDirectory(prefix="ngpu-"))) / "s"
        cloud = await stack.enter_async_context(simulated_cloud(folder, cloud_port))
        await stack.enter_async_context(durable_store(folder, socket).running())
        await gather_in(cloud, crowd)
        async with open_store(f"unix://{socket}") as store:
            await answering(store.ping)
            await keep_records(store, f"http://127.0.0.1:{cloud_port}", crowd)
        await cloud.do("calls/clear")
        variables = settings(folder / "data", cloud_port) | {
            "REDIS_URL": f"unix://{socket}",
            "DEPLOYMENT_ID": DEPLOYMENT,
        }
        yield Scene(crowd=crowd, cloud=cloud, folder=folder, port=port, variables=variables)


async def answering(ping: Callable[[], Awaitable[None]]) -> None:
    async with asyncio.timeout(STARTS_WITHIN_S):
        while True:
            with suppress(Exception):
                await ping()
                return
            await asyncio.sleep(LOOK_EVERY_S)


@asynccontextmanager
async def served(scene: Scene) -> AsyncGenerator[Served]:
    words = command("serve", "--port", str(scene.port))
    began = time.monotonic()
    async with (
        running(scene.folder, "serve", *words, **scene.variables) as program,
        aiohttp.ClientSession(f"http://127.0.0.1:{scene.port}") as http,
    ):
        yield Served(http=http, began=began)
    assert "Traceback" not in program.told(), program.told()
