"""Real processes, `kill -9`: the service and its private Valkey die at a random moment, and come back on their folder.

The simulated cloud goes on as a process of its own, so that what was bought stays bought. `ROUNDS` says how often;
`SEED` makes the moments of another run.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random

import pytest

from novita_gpu.client import Client, NotReachable
from tests.chaos.processes import Program, answering, command, free_port, running, settings, simulated_cloud
from tests.plane import IMAGE, KEY, PRODUCT

INSTANCES = 50
ROUNDS = int(os.environ.get("ROUNDS", "1"))
SEED = int(os.environ.get("SEED", "7"))


@pytest.mark.timeout(240)
@pytest.mark.parametrize("number", range(ROUNDS))
async def test_killed_in_the_midst_of_fifty_creates_it_finishes_all_and_buys_none_twice(
    tmp_path: Path, number: int, figure: Callable[[str], None]
) -> None:
    made = Random(SEED + number).randrange(INSTANCES)  # noqa: S311 - the same moments at each run
    cloud_port, port = free_port(), free_port()
    async with simulated_cloud(tmp_path, cloud_port) as cloud, Client(f"http://127.0.0.1:{port}", KEY) as client:
        async with service(tmp_path, port, cloud_port) as first:
            await answering(client)
            creating = asyncio.ensure_future(create_all(client))
            while (await cloud.audit())["everCreated"] <= made:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.001)
            await kill(tmp_path, first)
        killed_at = time.monotonic()
        made = (await cloud.audit())["everCreated"]
        async with service(tmp_path, port, cloud_port):
            await answering(client)
            await creating
            ready = await asyncio.gather(*(until_ready(client, name) for name in names()))
            took = time.monotonic() - killed_at
        books = await cloud.audit()
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


@asynccontextmanager
async def service(folder: Path, port: int, cloud_port: int) -> AsyncGenerator[Program]:
    words = command("serve", "--port", str(port))
    async with running(folder, "serve", *words, **settings(folder / "data", cloud_port)) as program:
        yield program
    assert "Traceback" not in program.told(), program.told()


async def kill(folder: Path, program: Program) -> None:
    """The service and its store at the same moment, as a machine that loses power."""
    valkey = int((folder / "data" / "store" / "valkey.pid").read_text())
    os.kill(valkey, signal.SIGKILL)
    program.kill()
    await program.ended()
