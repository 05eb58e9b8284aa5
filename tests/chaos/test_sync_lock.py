"""Two services that start at the same moment: one compares with the cloud for both, and is killed while it does."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from novita_gpu.client import Client
from novita_gpu.control.timed_sync import LOCKED_FOR, LOOK_AGAIN
from novita_gpu.store.pace import LOCAL
from tests.chaos.processes import (
    CUT_OFF,
    Program,
    answering,
    command,
    durable_store,
    free_port,
    running,
    settings,
    simulated_cloud,
)
from tests.plane import KEY

# Longer than health needs to tell of it, shorter than the service waits for a page.
LISTS_FOR_S = 12.0
WITHIN_S = 60.0
LOOK_EVERY_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Replica:
    program: Program
    client: Client

    async def sync(self, holds: Callable[[Any], bool]) -> Any:
        """What its health says of the comparison, once it is so."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                with suppress(*CUT_OFF):
                    sync = (await self.client.health()).get("sync", {"isLocked": False})
                    if holds(sync):
                        return sync
                await asyncio.sleep(LOOK_EVERY_S)


@pytest.mark.timeout(180)
async def test_one_compares_the_other_sees_the_lock_and_takes_over_when_the_holder_was_killed(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    cloud_port = free_port()
    async with simulated_cloud(tmp_path, cloud_port) as cloud:
        await cloud.do("latency", op="list", seconds=LISTS_FOR_S)
        async with two(tmp_path, cloud_port) as replicas:
            told = await asyncio.gather(*(replica.sync(lambda sync: sync["isLocked"]) for replica in replicas))
            (holder,) = {sync["lockedBy"] for sync in told}
            assert [sync.get("lastSync") for sync in told] == [None, None]
            assert (await cloud.counts())["list"] == 1
            killed, left = sorted(replicas, key=lambda replica: f"-{replica.program.pid}-" not in holder)
            killed.program.kill()
            killed_at = time.monotonic()
            await cloud.do("latency", op="list", seconds=0.0)
            sync = await left.sync(lambda sync: "lastSync" in sync and not sync["isLocked"])
            took_s = time.monotonic() - killed_at
    figure(f"sync taken over {took_s:.1f} s after its holder was killed")
    assert sync["found"]["novitaInstances"] == 0
    assert took_s < (LOCKED_FOR + LOCAL.back_within + 2 * LOOK_AGAIN).total_seconds()


@asynccontextmanager
async def two(folder: Path, cloud_port: int) -> AsyncGenerator[list[Replica]]:
    """On one store, started together; each answers by now."""
    async with AsyncExitStack() as stack:
        socket = Path(stack.enter_context(TemporaryDirectory(prefix="ngpu-"))) / "s"
        await stack.enter_async_context(durable_store(folder, socket).running())
        while not socket.exists():  # noqa: ASYNC110 - another process
            await asyncio.sleep(LOOK_EVERY_S)
        replicas: list[Replica] = []
        for name in ("one", "other"):
            own, port = folder / name, free_port()
            own.mkdir()
            given = {**settings(own / "data", cloud_port), "REDIS_URL": f"unix://{socket}"}
            words = command("serve", "--port", str(port))
            program = await stack.enter_async_context(running(own, name, *words, **given))
            client = await stack.enter_async_context(Client(f"http://127.0.0.1:{port}", KEY))
            replicas.append(Replica(program=program, client=client))
        await asyncio.gather(*(answering(replica.client) for replica in replicas))
        yield replicas
