"""A whole service in this process: simulated cloud, store, passes and API on loopback ports, with quick polls."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from msgspec.structs import replace

from novita_gpu.cloud.simulator import Quirks, SimulatorSettings, Timing, running
from novita_gpu.cloud.simulator import Running as Cloud
from novita_gpu.programs import Listener, bound
from novita_gpu.settings import Settings
from novita_gpu.wiring import LOOPBACK, Plane, opened
from tests.webhooks.receiver import SECRET

KEY = "ngpu_story_0123456789abcdef"
PRODUCT = "RTX 4090 24GB"
IMAGE = "docker.io/library/ubuntu:22.04"
# Long enough for a busy machine, short enough to fail while somebody looks.
WITHIN_MS = 30_000
# Services answer as soon as their machine runs: a probe that comes too early is repeated after two seconds. What is
# gone is listed as removed for a while, as the cloud does.
QUICK_TIMING = replace(Timing.fast(), service_s=0.0, removed_listed_s=2.0, removed_known_s=2.0)
QUICK: dict[str, object] = {
    "novita_api_key": "sim-key",
    "novita_calls_per_minute": 0,
    "rate_limit_per_minute": 0,
    "admin_api_key": KEY,
    "host": "127.0.0.1",
    "port": 0,
    "webhook_secret": SECRET,
    "webhook_allow_private": LOOPBACK,
    "poll_moving_seconds": 0.1,
    "poll_resting_seconds": 1,
    "create_settle_seconds": 0.3,
}


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def code(self) -> str:
        return self.json["error"]["code"]


@dataclass(frozen=True, kw_only=True)
class Service:
    """The service as a caller sees it, with hands on the cloud behind it."""

    root: str
    plane: Plane
    cloud: Cloud
    http: aiohttp.ClientSession

    async def ask(
        self, method: str, path: str, body: object = None, *, key: str | None = KEY, **headers: str
    ) -> Answer:
        """One request below /api. Headers are spelled with underscores."""
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        told |= {"Authorization": f"Bearer {key}"} if key else {}
        url = self.root + (path if path.startswith("/health") else f"/api{path}")
        async with self.http.request(method, url, json=body, headers=told) as got:
            answered = {name.lower(): value for name, value in got.headers.items()}
            return Answer(status=got.status, headers=answered, body=await got.read())

    async def get(self, path: str, **how: Any) -> Answer:
        return await self.ask("GET", path, **how)

    async def post(self, path: str, body: object = None, **how: Any) -> Answer:
        return await self.ask("POST", path, {} if body is None else body, **how)

    async def delete(self, name: str) -> Answer:
        return await self.ask("DELETE", f"/instances/{name}")

    async def create(self, name: str = "trainer", **more: object) -> Any:
        """What create answers."""
        what = {} if "templateId" in more else {"imageUrl": IMAGE, "ports": [{"port": 8080, "type": "http"}]}
        answer = await self.post("/instances", {"name": name, "productName": PRODUCT, **what, **more})
        assert answer.status == 201, answer.body
        return answer.json

    async def instance(self, name: str = "trainer") -> Any:
        return (await self.get(f"/instances/{name}")).json

    async def until(self, *wanted: str, of: str = "trainer", after: int | None = None) -> Any:
        """The instance once it is as wanted, by the held request that callers use."""
        query = "&".join([*(f"for={one}" for one in wanted), f"timeoutMs={WITHIN_MS}"])
        answer = await self.get(f"/instances/{of}/wait?{query}" + (f"&after={after}" if after is not None else ""))
        assert answer.status == 200, answer.body
        assert answer.json["status"] in wanted, answer.body
        return answer.json

    async def ready(self, name: str = "trainer", **more: object) -> Any:
        """A new instance that is ready, its connection details with it."""
        await self.create(name, **more)
        await self.until("ready", of=name)
        return await self.instance(name)

    async def gone(self, name: str = "trainer") -> Any:
        """The instance, deleted for good."""
        await self.delete(name)
        return await self.until("deleted", of=name)

    async def events(self, name: str = "trainer") -> list[Any]:
        """Its timeline, oldest first."""
        return (await self.get(f"/instances/{name}/events?limit=1000")).json["events"]

    async def told(self, name: str = "trainer") -> list[str]:
        """The types of its events in order."""
        return [event["type"] for event in await self.events(name)]

    async def hears(self, event: str, of: str = "trainer") -> Any:
        """The first event of that type, once it has happened."""
        async with asyncio.timeout(WITHIN_MS / 1000):
            while True:
                known = self.plane.store.view.sequence
                found = next((e for e in await self.events(of) if e["type"] == event), None)
                if found:
                    return found
                await self.plane.store.view.advanced(known)

    async def looked(self) -> None:
        """One more whole listing has been read, and all that it told has been decided about."""
        seen = self.count("list")
        await eventually(lambda: self.count("list") > seen + 1)

    def machines(self) -> list[Any]:
        """Every machine that there ever was in the cloud, by the cloud's own books."""
        told: Any = self.cloud.control.get("machines")
        return told

    def machine(self) -> Any:
        """The only one."""
        (only,) = self.machines()
        return only

    def audit(self) -> Any:
        return self.cloud.control.get("audit")

    def calls(self, op: str = "") -> list[Any]:
        """What the cloud was asked, oldest first."""
        told: Any = self.cloud.control.get("calls", op=op)
        return told["calls"]

    def count(self, op: str) -> int:
        return len(self.calls(op))

    def fault(self, kind: str, op: str, **more: object) -> None:
        """Trouble for the next such call."""
        self.cloud.control.post("faults", kind=kind, op=op, **more)

    def stock(self, gpus: int, cluster: str = "*") -> None:
        self.cloud.control.post("stock", clusterId=cluster, gpus=gpus)


@asynccontextmanager
async def serving(
    folder: Path,
    *,
    redis_url: str | None = None,
    prefix: str = "novita-gpu",
    timing: Timing | None = None,
    quirks: Quirks | None = None,
    cloud: Cloud | None = None,
    mutation_timeout: timedelta = timedelta(seconds=30),
    idle_minutes: float | None = None,
    **settings: object,
) -> AsyncGenerator[Service]:
    """The service for as long as the block runs; without `redis_url` on a private Valkey of its own.

    `cloud`: another one's, else one of its own. `idle_minutes`: AUTO_STOP_IDLE_MINUTES, shorter than a person may ask
    for.
    """
    async with AsyncExitStack() as stack:
        simulated = SimulatorSettings(timing=timing or QUICK_TIMING, quirks=quirks or Quirks())
        cloud = cloud or await stack.enter_async_context(running(simulated))
        place = {"data_dir": folder, "redis_url": redis_url, "redis_key_prefix": prefix}
        given = {**QUICK, "novita_api_base_url": cloud.root, **place, **settings}
        set_so = Settings.load(**given)
        if idle_minutes is not None:
            set_so = set_so.model_copy(update={"auto_stop_idle_minutes": idle_minutes})
        plane = await stack.enter_async_context(opened(set_so, mutation_timeout=mutation_timeout))
        beside = (plane.store.view.follow, plane.health.watch, plane.outages.watch, plane.rates.watch)
        beside += (plane.listening.watch, plane.keyring.note_uses, plane.keep_store)
        for endless in beside:
            await stack.enter_async_context(_beside(endless()))
        await stack.enter_async_context(plane.work.running())
        await plane.timed_sync.ask()
        root = await stack.enter_async_context(_listening(plane))
        http = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()))
        yield Service(root=root, plane=plane, cloud=cloud, http=http)


@asynccontextmanager
async def _listening(plane: Plane) -> AsyncGenerator[str]:
    answers = asyncio.Event()
    server = Listener(plane, answers.set)
    with bound(plane.settings.host, plane.settings.port) as its:
        task = asyncio.create_task(server.serve(sockets=[its]))
        try:
            async with asyncio.timeout(WITHIN_MS / 1000):
                await answers.wait()
            yield f"http://127.0.0.1:{its.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


@asynccontextmanager
async def _beside(endless: Coroutine[object, object, None]) -> AsyncGenerator[None]:
    task = asyncio.ensure_future(endless)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def in_order(told: Sequence[str], *wanted: str) -> bool:
    """These come in this order, others may lie between them."""
    left = iter(told)
    return all(one in left for one in wanted)


async def eventually(holds: Callable[[], object]) -> None:
    """Looks again and again at the simulated cloud, which tells nobody."""
    async with asyncio.timeout(WITHIN_MS / 1000):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
