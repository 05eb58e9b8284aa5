"""Told to stop in the midst of its work, a replica finishes it, loses nothing, and leaves its store last."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from novita_gpu.client import Client
from tests.chaos.processes import Cloud, Program, answering, command, free_port, running, settings, simulated_cloud
from tests.plane import IMAGE, KEY, PRODUCT

# A create takes so long at the cloud. The stop comes while it does.
SLOW_S = 3.0
# Of a stop: the pass, then the private server.
BOUND_S = SLOW_S + 10


@asynccontextmanager
async def replica(folder: Path, words: tuple[str, ...], cloud_port: int, **more: str) -> AsyncGenerator[Program]:
    told = {**settings(folder / "data", cloud_port), "LOG_LEVEL": "info", **more}
    async with running(folder, "-".join(words), *command(*words), **told) as program:
        yield program
    assert "Traceback" not in program.told(), program.told()


async def creates(cloud: Cloud, client: Client) -> None:
    """Wishes for an instance, and returns when its create has reached the cloud, which takes its time with it."""
    await cloud.do("faults", kind="slow", op="create", when="after", seconds=SLOW_S)
    ports = ({"port": 8080, "type": "http"},)
    await client.create("trainer", product_name=PRODUCT, image_url=IMAGE, ports=ports)  # pyright: ignore[reportArgumentType]
    async with asyncio.timeout(BOUND_S):
        while not (await cloud.audit())["everCreated"]:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)


async def stopped(program: Program) -> float:
    """How long its stop took. It ended by itself, without a fault."""
    begun = time.monotonic()
    assert await program.end() == 0, program.told()
    return time.monotonic() - begun


@pytest.mark.timeout(120)
async def test_a_replica_that_is_told_to_stop_in_a_create_waits_for_its_answer(tmp_path: Path) -> None:
    """The next one knows the machine by that answer and does not search for it."""
    cloud_port, port = free_port(), free_port()
    serve, server = ("serve", "--port", str(port)), tmp_path / "data" / "store" / "valkey.pid"
    async with simulated_cloud(tmp_path, cloud_port) as cloud, Client(f"http://127.0.0.1:{port}", KEY) as client:
        async with replica(tmp_path, serve, cloud_port) as program:
            await answering(client)
            await creates(cloud, client)
            assert "create.answered" not in program.told()
            assert server.exists()
            assert await stopped(program) < BOUND_S
            assert "create.answered" in program.told()
        assert not server.exists()
        async with replica(tmp_path, serve, cloud_port):
            await answering(client)
            instance = await client.wait_ready("trainer")
        books = await cloud.audit()
    assert (books["everCreated"], [machine["id"] for machine in books["alive"]]) == (1, [instance.novita_instance_id])


@pytest.mark.timeout(120)
async def test_a_worker_that_is_told_to_stop_ends_at_once_when_it_has_nothing_to_do(tmp_path: Path) -> None:
    cloud_port = free_port()
    async with simulated_cloud(tmp_path, cloud_port) as cloud, replica(tmp_path, ("work",), cloud_port) as program:
        async with asyncio.timeout(30):
            while not (await cloud.counts()).get("list"):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)
        assert await stopped(program) < BOUND_S - SLOW_S
