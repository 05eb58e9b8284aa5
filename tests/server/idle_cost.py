"""`make bench`: what an idle replica asks of its server, for each profile.

python -m tests.server.idle_cost [--seconds N]

Counted as `INFO commandstats` does, which takes in what a script does inside the server, and beside it what was sent.
Exit 1 if a profile asks more than it may.
"""

import argparse
import asyncio
import re
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote, urlsplit

from novita_gpu.client import Client
from novita_gpu.store.local import find_server
from novita_gpu.store.wire import connect
from tests.chaos.processes import answering, command, free_port, running, simulated_cloud
from tests.plane import KEY
from tests.valkey import running_server

# Commands a second, as counted, that an idle replica with a worker may make.
MAY = {"local": 6.0, "hosted": 2.5}
# A line of MONITOR: time, where it came from, the command.
LINE = re.compile(rb'^\+[\d.]+ \[\d+ (\S+)\] "([^"]*)"')
FROM_A_SCRIPT = b"lua"


@dataclass(frozen=True)
class Cost:
    """Commands of `seconds`, by name."""

    seconds: float
    counted: Counter[str]
    sent: Counter[str]

    @property
    def counted_a_second(self) -> float:
        return self.counted.total() / self.seconds

    @property
    def sent_a_second(self) -> float:
        return self.sent.total() / self.seconds

    def line(self, profile: str) -> str:
        most = ", ".join(f"{name} {number / self.seconds:.2f}" for name, number in self.counted.most_common(4))
        counted, sent = f"{self.counted_a_second:.2f}", f"{self.sent_a_second:.2f}"
        return f"idle, {profile}: {counted} commands/s counted, {sent} sent, over {self.seconds:.0f} s ({most})"


@asynccontextmanager
async def replica(folder: Path, url: str, **variables: str) -> AsyncGenerator[Client]:
    """API and worker in a process of their own, with nothing to do."""
    cloud_port, port = free_port(), free_port()
    settings = {
        "NOVITA_API_KEY": "sim-key",
        "NOVITA_API_BASE_URL": f"http://127.0.0.1:{cloud_port}",
        "RATE_LIMIT_PER_MINUTE": "0",
        "ADMIN_API_KEY": KEY,
        "DATA_DIR": str(folder / "data"),
        "REDIS_URL": url,
        **variables,
    }
    async with (
        simulated_cloud(folder, cloud_port),
        running(folder, "serve", *command("serve", "--port", str(port)), **settings),
        Client(f"http://127.0.0.1:{port}", KEY) as client,
    ):
        await answering(client)
        yield client


async def cost(url: str, seconds: float) -> Cost:
    """Of all who use that server meanwhile, and of nothing that measures."""
    async with _sent(url) as sent:
        before, begun = await _counted(url), time.monotonic()
        sent.clear()
        await asyncio.sleep(seconds)
        counted, took = await _counted(url) - before, time.monotonic() - begun
    for measuring in ("info", "monitor", "client|setinfo"):
        counted.pop(measuring, None)
    for measuring in ("info", "client"):
        sent.pop(measuring, None)
    return Cost(took, counted, sent)


async def _counted(url: str) -> Counter[str]:
    async with connect(url, connections=1) as server:
        told = await server.info("commandstats")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return Counter({str(name).removeprefix("cmdstat_"): int(one["calls"]) for name, one in told.items()})  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType, reportUnknownMemberType]


@asynccontextmanager
async def _sent(url: str) -> AsyncGenerator[Counter[str]]:
    """Grows with what clients send, until the context ends."""
    reader, writer = await asyncio.open_unix_connection(unquote(urlsplit(url).path), limit=2**24)
    sent: Counter[str] = Counter()

    async def listen() -> None:
        async for line in reader:
            found = LINE.match(line)
            if found and found[1] != FROM_A_SCRIPT:
                sent[found[2].decode().lower()] += 1

    writer.write(b"MONITOR\r\n")
    await reader.readline()
    listening = asyncio.create_task(listen())
    try:
        yield sent
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        writer.close()


async def settled(profile: str, seconds: float, after: float) -> Cost:
    """Of a new replica, `after` its start is over."""
    with TemporaryDirectory(prefix="idle-") as folder, running_server(find_server()) as url:
        async with replica(Path(folder), url, REDIS_PROFILE=profile):
            await asyncio.sleep(after)
            return await cost(url, seconds)


def main() -> int:
    words = argparse.ArgumentParser(prog="python -m tests.server.idle_cost")
    words.add_argument("--seconds", type=float, default=120)
    given = words.parse_args()
    is_too_much = False
    for profile, most in MAY.items():
        found = asyncio.run(settled(profile, given.seconds, after=10))
        sys.stdout.write(found.line(profile) + "\n")
        is_too_much |= found.counted_a_second > most
    return int(is_too_much)


if __name__ == "__main__":
    sys.exit(main())
