"""The simulator over real HTTP on loopback, its instances on real ports: a thin shell over `Simulator.handle`."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from email.utils import formatdate

from aiohttp import web

from novita_gpu.cloud.simulator.catalogue import DEFAULT_CATALOGUE, Catalogue
from novita_gpu.cloud.simulator.clock import Clock
from novita_gpu.cloud.simulator.control import Control
from novita_gpu.cloud.simulator.core import Cloud
from novita_gpu.cloud.simulator.ports import LoopbackAddresses
from novita_gpu.cloud.simulator.refusals import Answer, ConnectionCut, NoAnswer
from novita_gpu.cloud.simulator.settings import SimulatorSettings
from novita_gpu.cloud.simulator.simulator import Simulator

GOODBYE_S = 0.5  # how long open connections may go on when the simulator ends


@dataclass(slots=True)
class Running:
    """A simulator that listens at `root`, e.g. `http://127.0.0.1:40123`."""

    root: str
    simulator: Simulator
    addresses: LoopbackAddresses
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _watched: tuple[float | None, int] = (None, 0)

    @property
    def core(self) -> Cloud:
        """The pure cloud."""
        return self.simulator.core

    @property
    def control(self) -> Control:
        """The control face, in process; `follow` after it opens and closes ports at once."""
        return self.simulator.control

    @property
    def clock(self) -> Clock:
        """The simulated time."""
        return self.simulator.clock

    async def handle(
        self, method: str, path: str, query: dict[str, str], headers: dict[str, str], body: bytes
    ) -> Answer:
        """`Simulator.handle`, with the ports brought in line before it answers."""
        try:
            return await self.simulator.handle(method, path, query, headers, body)
        finally:
            await self.follow()

    async def turn(self, seconds: float) -> None:
        """Advance the clock; all that falls due has happened, and its ports are open, when this returns."""
        self.clock.advance(seconds)
        await self.follow()

    async def follow(self) -> None:
        """Let all that is due happen, and bring the real ports in line with it."""
        self.simulator.settle()
        await self.addresses.follow()
        if (self.simulator.next_at(), self.clock.turns) != self._watched:
            self._woken.set()

    async def watch(self) -> None:
        """Follow the cloud for as long as it runs: at each instant something happens by itself."""
        while True:
            self._woken.clear()
            await self.follow()
            upcoming = self.simulator.next_at()
            self._watched = (upcoming, self.clock.turns)
            delay_s = None if upcoming is None else self.clock.real_seconds_until(upcoming)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await self._woken.wait()

    async def respond(self, request: web.BaseRequest) -> web.StreamResponse:
        """One HTTP request: a cut is a torn socket, a hang an open one until the simulator ends."""
        try:
            body = await request.read()
            answer = await self.handle(request.method, request.path, dict(request.query), dict(request.headers), body)
        except ConnectionCut:
            return _tear(request)
        except NoAnswer:
            await self.ended.wait()
            return _tear(request)
        date = {"Date": formatdate(self.clock.now(), usegmt=True)}
        return web.Response(status=answer.status, headers={**date, **answer.headers}, body=answer.body)


@contextlib.asynccontextmanager
async def running(
    settings: SimulatorSettings | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    clock: Clock | None = None,
    catalogue: Catalogue = DEFAULT_CATALOGUE,
) -> AsyncGenerator[Running]:
    """A simulator on loopback for as long as the block runs; `port` 0 takes a free one."""
    settings = settings or SimulatorSettings()
    addresses = LoopbackAddresses()
    simulator = Simulator(
        settings, clock=clock or _clock(settings), addresses=addresses, catalogue=catalogue, pause=asyncio.sleep
    )
    addresses.reply = lambda endpoint: simulator.core.doors.reply(endpoint, simulator.clock.now())
    it = Running("", simulator, addresses)
    runner = web.ServerRunner(web.Server(it.respond, access_log=None), shutdown_timeout=GOODBYE_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        it.root = f"http://{host}:{runner.addresses[0][1]}"
        watching = asyncio.create_task(it.watch())
        try:
            yield it
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    finally:
        it.ended.set()
        await runner.cleanup()
        await addresses.aclose()


async def serve(
    settings: SimulatorSettings | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    ready: Callable[[Running], None] = lambda _: None,
) -> None:
    """Run a simulator until cancelled; `ready` is told once it listens."""
    async with running(settings, host=host, port=port) as it:
        ready(it)
        await asyncio.Event().wait()


def _clock(settings: SimulatorSettings) -> Clock:
    if settings.start_at is not None:
        return Clock(settings.start_at, rate=settings.rate)
    return Clock.real(settings.rate) if settings.rate else Clock.by_hand()


def _tear(request: web.BaseRequest) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
