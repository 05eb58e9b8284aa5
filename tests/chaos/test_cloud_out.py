"""A real service whose cloud does not answer for `SECONDS_WITHOUT_CLOUD`, amid creates, stops and heartbeats.

`make test` has the same on a clock turned by hand: `tests/story/test_outage.py`.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from novita_gpu.client import Client
from tests.chaos.processes import Cloud, answering, command, free_port, running, settings, simulated_cloud
from tests.plane import IMAGE, KEY, PRODUCT

SECONDS = float(os.environ.get("SECONDS_WITHOUT_CLOUD", "0"))
OLD, NEW = [f"old-{number}" for number in range(20)], [f"new-{number}" for number in range(100)]
MINUTE_S = 60.0
STORM = 0.05
NOTICED_S = 5.0
BACK_WITHIN_S = 180.0
LOOK_EVERY_S = 0.5


@dataclass
class Watched:
    """The service and the cloud behind it, looked at again and again."""

    client: Client
    cloud: Cloud

    async def statuses(self) -> Counter[str]:
        return Counter([one.status async for one in self.client.all()])

    async def calls(self) -> int:
        return sum((await self.cloud.counts()).values())

    async def until(self, wanted: Counter[str], within_s: float) -> None:
        async with asyncio.timeout(within_s):
            while await self.statuses() != wanted:  # noqa: ASYNC110 - another process
                await asyncio.sleep(LOOK_EVERY_S)

    async def create(self, names: list[str]) -> None:
        made = (
            self.client.create(name, product_name=PRODUCT, image_url=IMAGE, ports=[{"port": 8080, "type": "http"}])
            for name in names
        )
        await asyncio.gather(*made)

    async def is_well(self) -> bool:
        told: Any = await self.client.health()
        return told["services"]["novitaApi"] == "up"

    async def says(self, *, well: bool, within_s: float) -> float:
        """Seconds until health says so."""
        began = time.monotonic()
        async with asyncio.timeout(within_s):
            while await self.is_well() is not well:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
        return time.monotonic() - began


@asynccontextmanager
async def served(folder: Path) -> AsyncGenerator[Watched]:
    cloud_port, port = free_port(), free_port()
    given = {**settings(folder / "data", cloud_port), "POLL_MOVING_SECONDS": "2"}
    async with (
        simulated_cloud(folder, cloud_port) as cloud,
        running(folder, "serve", *command("serve", "--port", str(port)), **given),
        Client(f"http://127.0.0.1:{port}", KEY) as client,
    ):
        await answering(client)
        await cloud.do("stock", clusterId="*", gpus=500)
        yield Watched(client=client, cloud=cloud)


@pytest.mark.skipif(not SECONDS, reason="it takes minutes: make chaos")
@pytest.mark.timeout(SECONDS + 600)
async def test_t3_without_its_cloud_it_waits_says_so_and_finishes_all(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    async with served(tmp_path) as it:
        began, before = time.monotonic(), await it.calls()
        await it.create(OLD)
        await it.until(Counter(ready=len(OLD)), MINUTE_S)
        normal = (await it.calls() - before) / (time.monotonic() - began) * MINUTE_S
        await it.says(well=True, within_s=MINUTE_S)

        creating = asyncio.create_task(it.create(NEW))
        await asyncio.sleep(1)
        await it.cloud.do("faults", kind="503", op="*", times=0)
        noticed_s = await it.says(well=False, within_s=2 * NOTICED_S)
        await asyncio.gather(creating, *(it.client.stop(name) for name in OLD))
        out, failed, well = [await it.calls()], 0, 0
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            minute = min(time.monotonic() + MINUTE_S, until)
            while time.monotonic() < minute:
                there = [one async for one in it.client.all()]
                ready = [one.name for one in there if one.status == "ready" and one.name in NEW]
                await asyncio.gather(*(it.client.last_used(name) for name in ready))
                failed += sum(one.status == "failed" for one in there)
                well += await it.is_well()
                await asyncio.sleep(LOOK_EVERY_S)
            out.append(await it.calls())
        await it.cloud.do("faults/clear")
        calls = await it.calls()
        async with asyncio.timeout(BACK_WITHIN_S):
            while await it.calls() == calls:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
        told_s = await it.says(well=True, within_s=2 * NOTICED_S)
        await it.until(Counter(ready=len(NEW), stopped=len(OLD)), BACK_WITHIN_S)
        async with asyncio.timeout(BACK_WITHIN_S):
            events = [event.type async for event in it.client.events()]
            while events.count("cloud.circuit_opened") != events.count("cloud.circuit_closed"):
                await asyncio.sleep(LOOK_EVERY_S)
                events = [event.type async for event in it.client.events()]
        books = await it.cloud.audit()

    each = [after - before for before, after in pairwise(out)]
    figure(
        f"{SECONDS:.0f} s without the cloud: {normal:.0f} calls in a normal minute, {each} in those of the outage; "
        f"health told of it after {noticed_s:.1f} s, and {told_s:.1f} s after the first answer of its end"
    )
    assert (failed, well) == (0, 0)
    assert "instance.failed" not in events
    assert max(each) < normal * STORM
    assert max(noticed_s, told_s) <= NOTICED_S
    assert (books["everCreated"], books["duplicates"]) == (len(OLD) + len(NEW), {})
    assert 0 < events.count("cloud.circuit_opened") <= 3
