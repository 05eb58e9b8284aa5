"""The store in one piece: all its rooms on one server."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from novita_gpu.store.abilities import Lack, lacks
from novita_gpu.store.api_keys import ApiKeys
from novita_gpu.store.deliveries import Deliveries
from novita_gpu.store.endpoints import Endpoints
from novita_gpu.store.events import Events
from novita_gpu.store.facts import Facts
from novita_gpu.store.feed import Feed
from novita_gpu.store.idempotency import Claims
from novita_gpu.store.keys import CLOSED_FOR, FINISHED_FOR, Keys
from novita_gpu.store.looks import Looks
from novita_gpu.store.records import Records
from novita_gpu.store.sessions import Sessions
from novita_gpu.store.view import View
from novita_gpu.store.windows import SharedWindows
from novita_gpu.store.wire import BLOCK_AT_MOST_S, Wire, clients


@dataclass(frozen=True, kw_only=True)
class Store:
    """Closed by `close`, or by leaving it as a context. The view is followed by whoever runs `view.follow()`."""

    keys: Keys
    wire: Wire
    records: Records
    events: Events
    deliveries: Deliveries
    endpoints: Endpoints
    api_keys: ApiKeys
    windows: SharedWindows
    claims: Claims
    sessions: Sessions
    facts: Facts
    looks: Looks
    feed: Feed
    view: View

    @property
    def is_away(self) -> bool:
        """The shared server is out, and this is a private store of this process."""
        return self.wire.is_away

    async def ping(self) -> None:
        """Raises `Unavailable` when the server does not answer."""
        await self.wire.ping()

    async def lacks(self) -> list[Lack]:
        """What this server cannot do of what the store and its worker need."""
        return await lacks(self.wire, self.keys)

    async def trim(self, before: datetime) -> None:
        """Removes events older than `before`, and deliveries that have expired from their list."""
        await self.events.trim(before, await self.records.living())
        await self.deliveries.trim()

    async def close(self) -> None:
        await self.wire.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _utc_now() -> datetime:
    return datetime.now(UTC)


def open_store(
    url: str,
    *,
    prefix: str = Keys().prefix,
    now: Callable[[], datetime] = _utc_now,
    monotonic: Callable[[], float] = time.monotonic,
    block_s: float = BLOCK_AT_MOST_S,
    closed_for: timedelta = CLOSED_FOR,
    finished_for: timedelta = FINISHED_FOR,
) -> Store:
    """The store at a `redis://`, `rediss://` or `unix://` address. Nothing is sent before the first call.

    `closed_for` and `finished_for`: how long closed records, and deliveries that have ended, are kept.
    """
    wire, keys = Wire(*clients(url)), Keys(prefix)
    records, feed, facts = Records(wire, keys, closed_for=closed_for), Feed(wire, keys), Facts(wire, keys)
    api_keys = ApiKeys(wire, keys)
    return Store(
        keys=keys,
        wire=wire,
        records=records,
        events=Events(wire, keys),
        deliveries=Deliveries(wire, keys, finished_for=finished_for),
        endpoints=Endpoints(wire, keys),
        api_keys=api_keys,
        windows=SharedWindows(wire, keys),
        claims=Claims(wire, keys),
        sessions=Sessions(wire, keys),
        facts=facts,
        looks=Looks(wire, keys),
        feed=feed,
        view=View(records, feed, facts, api_keys, now=now, monotonic=monotonic, block_s=block_s, closed_for=closed_for),
    )
