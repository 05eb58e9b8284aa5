"""How soon one replica answers what another has committed, asked from outside.

python -m tests.server.promptness [--commits N]

Exit 1 if 99 of 100 are not answered in time.
"""

import argparse
import asyncio
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from novita_gpu.client import Client
from novita_gpu.store.local import find_server
from tests.chaos.processes import answering, command, free_port, running, settings, simulated_cloud
from tests.plane import IMAGE, KEY, PRODUCT
from tests.valkey import running_server

# Of 99 in 100 commits, on loopback, with replicas that have nothing else to do.
WITHIN_S = 0.1


async def lags(here: Client, there: Client, name: str, commits: int) -> list[float]:
    """Seconds from the answer to a change by one replica to the first answer with it by the other, shortest first."""
    found: list[float] = []
    for number in range(commits):
        receiver = f"https://receiver.example/{number}"
        await here.update(name, webhook_url=receiver)
        answered = time.monotonic()
        while (await there.get(name)).webhook_url != receiver:
            pass
        found.append(time.monotonic() - answered)
    return sorted(found)


def at(part: float, lags: list[float]) -> float:
    """Of so many parts of all it was no longer than this."""
    return lags[min(len(lags) - 1, int(part * len(lags)))]


def line(lags: list[float]) -> str:
    parts = ", ".join(f"p{100 * part:.0f} {1000 * at(part, lags):.1f} ms" for part in (0.5, 0.99))
    return f"what one replica commits another answers: {parts}, longest {1000 * lags[-1]:.1f} ms, of {len(lags)}"


async def measured(commits: int) -> list[float]:
    """Of two processes on one server."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="prompt-")))
        url = stack.enter_context(running_server(find_server()))
        cloud_port = free_port()
        await stack.enter_async_context(simulated_cloud(folder, cloud_port))
        clients: list[Client] = []
        for name in ("here", "there"):
            (folder / name).mkdir()
            port, given = free_port(), {**settings(folder / name / "data", cloud_port), "REDIS_URL": url}
            words = command("serve", "--port", str(port))
            await stack.enter_async_context(running(folder / name, name, *words, **given))
            clients.append(await stack.enter_async_context(Client(f"http://127.0.0.1:{port}", KEY)))
        here, there = clients
        await asyncio.gather(answering(here), answering(there))
        await here.create("trainer", product_name=PRODUCT, image_url=IMAGE)
        await here.wait_ready("trainer")
        return await lags(here, there, "trainer", commits)


def main() -> int:
    words = argparse.ArgumentParser(prog="python -m tests.server.promptness")
    words.add_argument("--commits", type=int, default=500)
    found = asyncio.run(measured(words.parse_args().commits))
    sys.stdout.write(line(found) + "\n")
    return int(at(0.99, found) > WITHIN_S)


if __name__ == "__main__":
    sys.exit(main())
