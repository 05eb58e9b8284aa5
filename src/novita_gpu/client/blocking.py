"""The client for code without an event loop: the asyncio one, in a loop of its own on a thread of its own."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from novita_gpu.client.instances import HEARTBEAT, Use
from novita_gpu.client.plain import DEFAULT_URL, TIMEOUT, Client
from novita_gpu.client.transport import Retry

P = ParamSpec("P")
T = TypeVar("T")


class Loop:
    """An event loop on its own thread, so that heartbeats go on while the caller computes."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="novita-gpu-client", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of the work; an interrupted caller ends it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def iterate(self, items: AsyncIterator[T]) -> Iterator[T]:
        try:
            while True:
                try:
                    yield self.run(_next(items))
                except StopAsyncIteration:
                    return
        finally:
            self.run(_end(items))

    @contextmanager
    def within(self, context: AbstractAsyncContextManager[T]) -> Generator[T]:
        value = self.run(_enter(context))
        try:
            yield value
        finally:
            self.run(_exit(context))

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _next(items: AsyncIterator[T]) -> T:
    return await anext(items)


async def _end(items: AsyncIterator[T]) -> None:
    end = getattr(items, "aclose", None)
    if end is not None:
        await end()


async def _enter(context: AbstractAsyncContextManager[T]) -> T:
    return await context.__aenter__()


async def _exit(context: AbstractAsyncContextManager[Any]) -> None:
    await context.__aexit__(None, None, None)


def _blocking(
    call: Callable[Concatenate[Client, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate["SyncClient", P], T]:
    def method(self: "SyncClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.loop.run(call(self.client, *args, **kwargs))

    return _named(method, call)


def _iterating(
    call: Callable[Concatenate[Client, P], AsyncIterator[T]],
) -> Callable[Concatenate["SyncClient", P], Iterator[T]]:
    def method(self: "SyncClient", /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return self.loop.iterate(call(self.client, *args, **kwargs))

    return _named(method, call)


M = TypeVar("M", bound=Callable[..., Any])


def _named(method: M, call: Callable[..., Any]) -> M:
    method.__name__, method.__doc__ = call.__name__, call.__doc__
    return method


class SyncClient:
    """Every call of `Client`, by the same name and with the same arguments; it returns when the call is done.

    To be closed, or used with `with`. May be shared by threads.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        key: str | None = None,
        *,
        timeout: timedelta = TIMEOUT,
        retry: Retry | None = None,
    ) -> None:
        self.client = Client(url, key, timeout=timeout, retry=retry)
        self.loop = Loop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.loop.run(self.client.aclose())
        self.loop.close()

    create = _blocking(Client.create)
    plan = _blocking(Client.plan)
    list = _blocking(Client.list)
    all = _iterating(Client.all)
    comprehensive = _blocking(Client.comprehensive)
    get = _blocking(Client.get)
    explain = _blocking(Client.explain)
    utilisation = _blocking(Client.utilisation)
    timeline = _blocking(Client.timeline)
    update = _blocking(Client.update)
    pin = _blocking(Client.pin)
    start = _blocking(Client.start)
    stop = _blocking(Client.stop)
    restart = _blocking(Client.restart)
    delete = _blocking(Client.delete)
    last_used = _blocking(Client.last_used)
    wait = _blocking(Client.wait)
    watch = _iterating(Client.watch)
    wait_ready = _blocking(Client.wait_ready)
    wait_for = _blocking(Client.wait_for)
    auto_stop_stats = _blocking(Client.auto_stop_stats)
    auto_stop_trigger = _blocking(Client.auto_stop_trigger)
    stop_all = _blocking(Client.stop_all)
    sync = _blocking(Client.sync)
    migration_status = _blocking(Client.migration_status)
    migration_trigger = _blocking(Client.migration_trigger)
    migration_check_failed = _blocking(Client.migration_check_failed)
    events = _iterating(Client.events)
    products = _blocking(Client.products)
    regions = _blocking(Client.regions)
    templates = _blocking(Client.templates)
    template = _blocking(Client.template)
    costs = _blocking(Client.costs)
    costs_history = _blocking(Client.costs_history)
    settings = _blocking(Client.settings)
    deliveries = _blocking(Client.deliveries)
    replay = _blocking(Client.replay)
    replay_range = _blocking(Client.replay_range)
    test_webhook = _blocking(Client.test_webhook)
    endpoints = _blocking(Client.endpoints)
    add_endpoint = _blocking(Client.add_endpoint)
    update_endpoint = _blocking(Client.update_endpoint)
    remove_endpoint = _blocking(Client.remove_endpoint)
    rotate_endpoint = _blocking(Client.rotate_endpoint)
    keys = _blocking(Client.keys)
    add_key = _blocking(Client.add_key)
    revoke_key = _blocking(Client.revoke_key)
    cache_stats = _blocking(Client.cache_stats)
    clear_cache = _blocking(Client.clear_cache)
    metrics = _blocking(Client.metrics)
    metrics_summary = _blocking(Client.metrics_summary)
    health = _blocking(Client.health)

    @contextmanager
    def in_use(self, name: str, every: timedelta = HEARTBEAT) -> Generator[Use]:
        """Keep it from being stopped for idleness, as long as the block runs. See `Client.in_use`."""
        with self.loop.within(self.client.in_use(name, every)) as use:
            yield use
