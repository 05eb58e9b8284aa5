"""What handlers work with: the parts that are handed in, and what the API itself holds while it runs."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from litestar.connection import ASGIConnection

from novita_gpu.api.body import WITHIN
from novita_gpu.api.cors import Cors
from novita_gpu.api.limiter import Limiter
from novita_gpu.api.operation import Keyring
from novita_gpu.api.origin import Proxies
from novita_gpu.api.prepared import Prepared
from novita_gpu.api.session import Sessions
from novita_gpu.api.tail import Tail
from novita_gpu.cloud.base import Cloud
from novita_gpu.cloud.metered import Meters
from novita_gpu.contract import HealthView
from novita_gpu.contract.settings import SettingView
from novita_gpu.control.caches import Caches
from novita_gpu.control.commands import Commands
from novita_gpu.control.comprehensive import Listings
from novita_gpu.control.costs import Costs
from novita_gpu.control.explain import Explainer
from novita_gpu.control.idle_check import IdleCheck
from novita_gpu.control.inventory import Inventory
from novita_gpu.control.key_book import KeyBook
from novita_gpu.control.plan import Planner
from novita_gpu.control.rates import Rates
from novita_gpu.control.recoveries import Recoveries
from novita_gpu.control.sync import Sync
from novita_gpu.control.utilisation import Utilisation
from novita_gpu.domain.errors import Missing, Problem
from novita_gpu.domain.idle import IdlePolicy
from novita_gpu.domain.instance import Record
from novita_gpu.figures import Figures
from novita_gpu.observe import bind
from novita_gpu.store import Store
from novita_gpu.webhooks.outbox import Outbox
from novita_gpu.webhooks.registry import Registry


@dataclass(frozen=True, kw_only=True)
class Opening:
    """What this machine's own user may do without a key: `all` there is, or read `metrics`."""

    all: bool = False
    metrics: bool = False


@dataclass(frozen=True, kw_only=True)
class Parts:
    """All that the API needs, built elsewhere.

    `look` asks for a listing of the cloud soon. `health(detailed)` and `unready` answer from checks made in the
    background. `calls` is what the calls of `cloud` came to. `new_id(prefix)` makes an id. `body_within`: a body that
    comes slower is refused. `max_held` is how many requests may wait for a change at the same time, `max_streams` how
    many streams may be open. `slow_after`: a stream that is not read for so long is ended. `slow_request`: one that
    takes longer is warned of in the log.
    """

    commands: Commands
    sync: Sync
    inventory: Inventory
    planner: Planner
    idle_check: IdleCheck
    explainer: Explainer
    recoveries: Recoveries
    costs: Costs
    utilisation: Utilisation
    outbox: Outbox
    registry: Registry
    key_book: KeyBook
    store: Store
    cloud: Cloud
    keyring: Keyring
    limiter: Limiter
    proxies: Proxies
    opening: Opening
    cors: Cors
    look: Callable[[], Awaitable[None]]
    health: Callable[[bool], HealthView]
    unready: Callable[[], str]
    figures: Figures
    rates: Rates
    caches: Caches
    calls: Meters
    now: Callable[[], datetime]
    new_id: Callable[[str], str]
    version: str
    idle: IdlePolicy
    settings: tuple[SettingView, ...] = ()
    body_within: timedelta = WITHIN
    max_held: int = 500
    max_streams: int = 2_000
    heartbeat: timedelta = timedelta(seconds=15)
    slow_after: timedelta = timedelta(seconds=30)
    slow_request: timedelta = timedelta(seconds=1)


class Held:
    """Counts what is held open, and refuses what would be too much."""

    def __init__(self, at_most: int) -> None:
        self._at_most = at_most
        self.count = 0

    def check(self) -> None:
        """Raises `RATE_LIMIT_EXCEEDED` when there is no place left."""
        if self.count >= self._at_most:
            raise Problem("RATE_LIMIT_EXCEEDED", "Too many requests are held open here; ask again soon.")

    @contextmanager
    def place(self) -> Generator[None]:
        self.check()
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1


class Desk:
    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.prepared = Prepared(parts.idle)
        self.sessions = Sessions(parts.store, parts.keyring, parts.now)
        self.listings = Listings(parts.cloud, parts.now)
        self.waits = Held(parts.max_held)
        self.streams = Held(parts.max_streams)
        self.tail = Tail(parts.store)
        self.closing = asyncio.Event()
        self.openapi = b""
        parts.caches.add("looks", self.listings)
        parts.caches.add("instances", self.prepared)

    def close(self) -> None:
        """Ends what is held open, so that the server can stop."""
        self.closing.set()

    async def found(self, ref: str) -> Record:
        """Our id, else the cloud's, else a name; from memory, at a miss from the store. Raises `Missing`."""
        record = await self.parts.store.view.find(ref)
        if record is None:
            raise Missing("INSTANCE_NOT_FOUND", f"There is no instance {ref}. List them to see ids and names.")
        bind(instance_id=record.id)
        return record

    def body(self, record: Record, *, secrets: bool = False) -> bytes:
        """The public JSON of one instance, as of now."""
        heard = self.parts.store.view.heard(record.id)
        return self.prepared.body(record, heard, secrets=secrets, now=self.parts.now())


def desk_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Desk:
    return cast("Desk", connection.app.state["desk"])
