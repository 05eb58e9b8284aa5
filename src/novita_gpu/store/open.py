"""The store in one piece: all its rooms on one server."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from novita_gpu.store.base import Unavailable
from novita_gpu.store.deliveries import Deliveries
from novita_gpu.store.endpoints import Endpoints
from novita_gpu.store.events import Events
from novita_gpu.store.facts import Facts
from novita_gpu.store.feed import Feed
from novita_gpu.store.idempotency import Claims
from novita_gpu.store.keys import FINISHED_FOR, Keys
from novita_gpu.store.looks import Looks
from novita_gpu.store.records import Records
from novita_gpu.store.view import View
from novita_gpu.store.wire import BLOCK_AT_MOST_S, Wire, connect


@dataclass(frozen=True, kw_only=True)
class Store:
    """Closed by `close`, or by leaving it as a context. The view is followed by whoever runs `view.follow()`."""

    keys: Keys
    wire: Wire
    records: Records
    events: Events
    deliveries: Deliveries
    endpoints: Endpoints
    claims: Claims
    facts: Facts
    looks: Looks
    feed: Feed
    view: View

    async def ping(self) -> None:
        """Raises `Unavailable` when the server does not answer."""
        await self.wire.ping()

    async def warnings(self) -> list[str]:
        """What makes this server unfit to be the truth. Empty also where the server does not tell."""
        with suppress(Unavailable):
            policy = await self.wire.setting("maxmemory-policy")
            if policy not in ("", "noeviction"):
                return [f"maxmemory-policy is {policy}: records may be thrown away; set it to noeviction"]
        return []

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
    prefix: str = "ngpu",
    now: Callable[[], datetime] = _utc_now,
    monotonic: Callable[[], float] = time.monotonic,
    block_s: float = BLOCK_AT_MOST_S,
    finished_for: timedelta = FINISHED_FOR,
) -> Store:
    """The store at a `redis://`, `rediss://` or `unix://` address. Nothing is sent before the first call.

    `finished_for`: how long deliveries that have ended are kept.
    """
    wire, keys = Wire(connect(url)), Keys(prefix)
    records, feed, facts = Records(wire, keys), Feed(wire, keys), Facts(wire, keys)
    return Store(
        keys=keys,
        wire=wire,
        records=records,
        events=Events(wire, keys),
        deliveries=Deliveries(wire, keys, finished_for=finished_for),
        endpoints=Endpoints(wire, keys),
        claims=Claims(wire, keys),
        facts=facts,
        looks=Looks(wire, keys),
        feed=feed,
        view=View(records, feed, facts, now=now, monotonic=monotonic, block_s=block_s),
    )
