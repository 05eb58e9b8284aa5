"""The service and its worker, together or apart."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta

import structlog

from novita_gpu.programs.doctor import NO_KEY
from novita_gpu.programs.files import allow_files
from novita_gpu.programs.listener import listen, stopped
from novita_gpu.settings import Settings, WrongSettings
from novita_gpu.sinks import observed
from novita_gpu.store.base import StoreError
from novita_gpu.wiring import VERSION, Plane, keep_secret, opened

log = structlog.get_logger()

# How long a start waits for its records: ten thousand take a second.
KNOWN_WITHIN = timedelta(seconds=10)


async def serve(settings: Settings, *, worker: bool = True, ready: Callable[[Plane, str], None] | None = None) -> None:
    """API and worker (or the API alone) until told to stop. Raises `WrongSettings`."""
    _require_key(settings)
    allow_files()
    async with observed(settings, VERSION), opened(settings) as plane:
        _tell_admin_key(plane)
        async with background(plane, listener=True, worker=worker):
            await _known(plane)
            await listen(plane, settings.port, ready or _announce)


async def work(settings: Settings) -> None:
    """A worker without an API, until told to stop; with `WORK_PORT` it says there how it is."""
    _require_key(settings)
    allow_files()
    async with (
        observed(settings, VERSION),
        opened(settings, whole=False) as plane,
        background(plane, listener=False, worker=True),
    ):
        if settings.work_port is None:
            await stopped()
        else:
            await _known(plane)
            await listen(plane, settings.work_port, _announce)


@asynccontextmanager
async def background(plane: Plane, *, listener: bool, worker: bool) -> AsyncGenerator[None]:
    """What runs beside: the view's feed, the checks of health, the mark of who takes heartbeats, and the worker."""
    async with AsyncExitStack() as stack:
        endless = [
            plane.store.view.follow(),
            plane.health.watch(),
            plane.outages.watch(),
            plane.rates.watch(),
            plane.keyring.note_uses(),
            plane.keep_store(),
        ]
        if listener:
            endless += [plane.listening.watch()]
        for each in endless:
            stack.push_async_callback(_ended, asyncio.ensure_future(each))
        if worker:
            await stack.enter_async_context(plane.work.running())
            await _synchronised(plane)
        yield


async def _known(plane: Plane) -> None:
    """Before its records are in memory a list would be empty; without the store it is all that can be told.

    Nor is it ill before anybody has looked.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(KNOWN_WITHIN.total_seconds()):
            await plane.store.view.first_load()
    await plane.health.check()


async def _synchronised(plane: Plane) -> None:
    """Asks for the comparison of a start; nobody waits for it. Without the store it is made when one is due anyway."""
    with suppress(StoreError):
        await plane.timed_sync.ask()


async def _ended(task: asyncio.Future[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _require_key(settings: Settings) -> None:
    if settings.novita_api_key is None:
        raise WrongSettings([("NOVITA_API_KEY", NO_KEY)])


def _tell_admin_key(plane: Plane) -> None:
    """A key made just now is shown once: to a person at a terminal, else in a file that only we can read."""
    if plane.admin_key is None:
        return
    if sys.stdout.isatty():
        say(f"Admin key (shown this once): {plane.admin_key}")
    else:
        keep_secret(plane.settings.data_dir / "admin-key", plane.admin_key)


def _announce(plane: Plane, url: str) -> None:
    log.info("serving", url=url, version=VERSION, data=str(plane.settings.data_dir))


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
