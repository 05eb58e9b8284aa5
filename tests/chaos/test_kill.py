"""Real processes, `kill -9`: the service and its private Valkey die at a random moment, and come back on their folder.

The simulated cloud goes on as a process of its own, so that what was bought stays bought. `ROUNDS` says how often;
`SEED` makes the moments of another run.
"""

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest

from novita_gpu.client import ApiError, Client, NotReachable
from tests.cli.process import begin
from tests.plane import IMAGE, KEY, PRODUCT, QUICK_TIMING

INSTANCES = 50
ROUNDS = int(os.environ.get("ROUNDS", "1"))
SEED = int(os.environ.get("SEED", "7"))
STARTS_WITHIN_S = 60.0


@pytest.mark.timeout(240)
@pytest.mark.parametrize("number", range(ROUNDS))
async def test_killed_in_the_midst_of_fifty_creates_it_finishes_all_and_buys_none_twice(
    tmp_path: Path, number: int, figure: Callable[[str], None]
) -> None:
    made = Random(SEED + number).randrange(INSTANCES)  # noqa: S311 - the same moments at each run
    cloud_port, port = free_port(), free_port()
    async with simulator(tmp_path, cloud_port) as cloud, Client(f"http://127.0.0.1:{port}", KEY) as client:
        async with service(tmp_path, port, cloud_port) as first:
            await answering(client)
            creating = asyncio.ensure_future(create_all(client))
            while (await audit(cloud))["everCreated"] <= made:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.001)
            await kill(tmp_path, first)
        killed_at = time.monotonic()
        made = (await audit(cloud))["everCreated"]
        async with service(tmp_path, port, cloud_port):
            await answering(client)
            await creating
            ready = await asyncio.gather(*(until_ready(client, name) for name in names()))
            took = time.monotonic() - killed_at
        books = await audit(cloud)
    figure(f"killed with {made} of {INSTANCES} bought; all ready {took:.1f} s later")
    assert len(set(ready)) == INSTANCES
    assert (books["everCreated"], len(books["alive"]), books["duplicates"]) == (INSTANCES, INSTANCES, {})
    assert set(books["aliveAtOnce"].values()) == {1}


def names() -> Sequence[str]:
    return [f"w-{number}" for number in range(INSTANCES)]


async def create_all(client: Client) -> None:
    """As callers do: the same request again, with its key, until there is an answer."""
    await asyncio.gather(*(create(client, name) for name in names()))


async def create(client: Client, name: str) -> None:
    while True:
        with suppress(NotReachable):
            ports = ({"port": 8080, "type": "http"},)
            await client.create(name, product_name=PRODUCT, image_url=IMAGE, ports=ports, idempotency_key=f"key-{name}")  # pyright: ignore[reportArgumentType]
            return


async def until_ready(client: Client, name: str) -> str:
    instance = await client.wait_ready(name)
    assert instance.novita_instance_id
    return instance.novita_instance_id


async def answering(client: Client) -> None:
    async with asyncio.timeout(STARTS_WITHIN_S):
        while True:
            with suppress(NotReachable, ApiError):
                await client.health()
                return


@asynccontextmanager
async def simulator(folder: Path, port: int) -> AsyncGenerator[str]:
    """The control face of a simulated cloud that outlives the service."""
    process = await begin(folder, "simulate", "--port", str(port))
    control = f"http://127.0.0.1:{port}/_sim"
    try:
        assert process.stdout
        async with asyncio.timeout(STARTS_WITHIN_S):
            await process.stdout.readline()
        timing = {"serviceS": QUICK_TIMING.service_s, "creatingS": 0.2, "pullingS": 0.3, "toCreateS": 0.1}
        async with aiohttp.ClientSession() as http, http.post(f"{control}/timing", json=timing) as answer:
            assert answer.status == 200, await answer.text()
        yield control
    finally:
        process.terminate()
        await process.communicate()


@asynccontextmanager
async def service(folder: Path, port: int, cloud_port: int) -> AsyncGenerator[asyncio.subprocess.Process]:
    process = await begin(
        folder,
        *("serve", "--port", str(port)),
        NOVITA_API_KEY="sim-key",
        NOVITA_API_BASE_URL=f"http://127.0.0.1:{cloud_port}",
        NOVITA_CALLS_PER_MINUTE="0",
        ADMIN_API_KEY=KEY,
        DATA_DIR=str(folder / "data"),
        CREATE_SETTLE_SECONDS="1",
        POLL_MOVING_SECONDS="0.5",
        LOG_LEVEL="error",
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        _, told = await process.communicate()
        assert b"Traceback" not in told, told.decode()


async def kill(folder: Path, process: asyncio.subprocess.Process) -> None:
    """The service and its store at the same moment, as a machine that loses power."""
    valkey = int((folder / "data" / "store" / "valkey.pid").read_text())
    os.kill(valkey, signal.SIGKILL)
    process.kill()
    await process.wait()


async def audit(control: str) -> Any:
    async with aiohttp.ClientSession() as http, http.get(f"{control}/audit") as answer:
        return await answer.json()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
