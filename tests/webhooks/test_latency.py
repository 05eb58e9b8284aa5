"""How long an event takes from its commit to a receiver, beside one that is dead and one that is slow: the whole
service, over real sockets and in real time.
"""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from aiohttp import web
from msgspec.structs import replace

from novita_gpu.domain.events import EventType
from novita_gpu.placement import new_id, utc_now
from novita_gpu.webhooks.sender import PER_HOST
from tests.plane import Service, serving
from tests.valkey import new_prefix
from tests.webhooks.outbox import an_event
from tests.webhooks.receiver import Receiver, listening

PER_SECOND = 50
QUIET_S, TROUBLED_S = 3, 6
# Promised. What is measured on a quiet machine is far below it.
P99_MS, DELAY_MS = 250, 50
# A machine that is busy with other tests is late now and then, a sender that waits for others each time.
ROUNDS = 3


class Timed(Receiver):
    """Notes when the first byte of each event's request is there. Answers once its gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.at: dict[str, float] = {}

    async def handle(self, request: web.Request) -> web.Response:
        self.at.setdefault(request.headers["webhook-id"].split("_")[1], asyncio.get_running_loop().time())
        await self.gate.wait()
        return web.Response(status=204)


async def registered(service: Service, url: str) -> None:
    answer = await service.post("/webhooks/endpoints", {"url": url, "types": ["instance.ready"]})
    assert answer.status == 201, answer.body


async def told(service: Service, quick: Timed, seconds: int) -> list[float]:
    """Milliseconds from each event's commit to the quick receiver, at a steady rate."""
    loop, begun = asyncio.get_running_loop(), dict[str, float]()
    start = loop.time()
    for number in range(seconds * PER_SECOND):
        await asyncio.sleep(max(0.0, start + number / PER_SECOND - loop.time()))
        event = replace(an_event(1), id=new_id("evt"), at=utc_now(), type=EventType.READY, instance_id=None)
        await service.plane.store.events.append(event)
        begun[event.id.split("_")[1]] = loop.time()
        await service.plane.work.outbox()
    async with asyncio.timeout(30):
        while not begun.keys() <= quick.at.keys():  # noqa: ASYNC110 — a receiver tells nobody
            await asyncio.sleep(0.01)
    return [(quick.at[name] - at) * 1000 for name, at in begun.items()]


async def test_t10_a_dead_and_a_slow_receiver_delay_no_other(
    valkey_url: str, tmp_path: Path, figure: Callable[[str], Any]
) -> None:
    left = ROUNDS
    while True:
        left -= 1
        alone, beside = await measured(valkey_url, tmp_path / str(left))
        p99, delay = quantiles(beside, n=100)[98], median(beside) - median(alone)
        if p99 < P99_MS and delay < DELAY_MS:
            break
        assert left, f"p99 {p99:.0f} ms, delayed by {delay:.0f} ms"
    figure(
        f"webhooks at {PER_SECOND} events/s, enqueue to first byte: p50 {median(alone):.0f} ms alone; "
        f"p50 {median(beside):.0f} ms, p99 {p99:.0f} ms beside a dead and a slow receiver"
    )


async def measured(valkey_url: str, folder: Path) -> tuple[list[float], list[float]]:
    """Milliseconds of each event: alone, and beside a dead and a slow receiver."""
    quick, slow = Timed(), Timed()
    slow.gate.clear()
    with socket.create_server(("127.0.0.1", 0)) as dead:  # takes connections and never answers
        async with (
            listening(quick),
            listening(slow),
            serving(folder, redis_url=valkey_url, prefix=new_prefix()) as service,
        ):
            await registered(service, quick.url)
            await told(service, quick, 1)
            alone = await told(service, quick, QUIET_S)
            await registered(service, slow.url)
            await registered(service, f"http://127.0.0.1:{dead.getsockname()[1]}/hook")
            beside = await told(service, quick, TROUBLED_S)
            assert len(slow.at) == PER_HOST, "those in hand, and none further"
    return alone, beside
