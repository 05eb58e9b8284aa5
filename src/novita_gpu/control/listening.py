"""Since when heartbeats could arrive without a gap of ours: while nobody listened, silence says nothing.

Who takes heartbeats marks once a minute that it does. A mark that is missing (we were down, the store was out, the
machine slept, the clock jumped) makes all silence before it worthless.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
import structlog

from novita_gpu.domain.value import Value
from novita_gpu.store import Store
from novita_gpu.store.base import StoreError

log = structlog.get_logger()

FACT = "listening"
MARK_EVERY = timedelta(minutes=1)
# One mark may be late or lost. Longer, and so many heartbeats may go unheard before anybody is given time again.
GAP = timedelta(seconds=150)


class Mark(Value, frozen=True, kw_only=True):
    """Somebody listened at `at`, and without a gap since `since`."""

    since: datetime
    at: datetime


class Listening:
    """Of two who mark at once the later counts: `since` may come out later by that, never earlier."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._facts, self._view, self._now = store.facts, store.view, now

    async def watch(self) -> None:
        """Marks for ever. While the store is out no heartbeat is taken either, so no mark is right."""
        while True:
            try:
                await self.mark()
            except StoreError as fault:
                log.warning("listening.unmarked", reason=str(fault))
            await asyncio.sleep(MARK_EVERY.total_seconds())

    async def mark(self) -> None:
        """Raises the store's `Unavailable`."""
        now = self._now()
        since = await self._since(now)
        await self._facts.put(FACT, msgspec.json.encode(Mark(since=since, at=now)).decode())
        self._view.listens(since)

    async def since(self) -> datetime:
        """As of now: while nobody listens, now. Raises the store's `Unavailable`."""
        since = await self._since(self._now())
        self._view.listens(since)
        return since

    async def _since(self, now: datetime) -> datetime:
        stored = await self._facts.fact(FACT)
        if stored is None:
            return now
        mark = msgspec.json.decode(stored, type=Mark)
        return min(mark.since, now) if abs(now - mark.at) <= GAP else now
