"""Since when heartbeats could arrive without a gap of ours: while nobody listened, silence says nothing.

Who takes heartbeats marks once a minute that it does. A mark that is missing (we were down, the store was out, the
machine slept, the clock jumped) makes all silence before it worthless.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
import structlog
from msgspec import field

from novita_gpu.domain.value import Value
from novita_gpu.store import Store
from novita_gpu.store.base import StoreError

log = structlog.get_logger()

FACT = "listening"
MARK_EVERY = timedelta(minutes=1)
# One mark may be late or lost. Longer, and so many heartbeats may go unheard before anybody is given time again.
GAP = timedelta(seconds=150)
# Two marks at one moment lose one of them: ten marks do not.
ALONE_AFTER = timedelta(minutes=10)


class Mark(Value, frozen=True, kw_only=True):
    """Somebody listened at `at`, and without a gap since `since`.

    `elsewhere`: heartbeats may go to others who share no store with us now, so that silence here says nothing.
    `others`: who else has marked, and when.
    """

    since: datetime
    at: datetime
    elsewhere: bool = False
    others: dict[str, datetime] = field(default_factory=dict[str, datetime])


def mark_text(mark: Mark) -> str:
    return msgspec.json.encode(mark).decode()


class Listening:
    """Of two who mark at once the later counts: `since` may come out later by that, never earlier.

    `name` tells this process from others who take heartbeats.
    """

    def __init__(self, store: Store, now: Callable[[], datetime], name: str = "here") -> None:
        self._facts, self._view, self._now, self._name = store.facts, store.view, now, name
        self._met_at, self._marked_at = now(), now()  # when another one's mark, and our own, was last seen

    def is_alone(self) -> bool:
        """Nobody else has marked for ten minutes, as far as this process saw while it marked itself."""
        now = self._now()
        return self._met_at + ALONE_AFTER < now <= self._marked_at + GAP

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
        before = await self._mark()
        since = _since(before, now)
        recent = {name: at for name, at in before.others.items() if now - at <= GAP} if before else {}
        if recent.keys() - {self._name}:
            self._met_at = now
        elsewhere = before is not None and before.elsewhere
        mark = Mark(since=since, at=now, elsewhere=elsewhere, others={**recent, self._name: now})
        await self._facts.put(FACT, mark_text(mark))
        self._marked_at = now
        self._view.listens(since)

    async def since(self) -> datetime:
        """As of now: while nobody listens, now. Raises the store's `Unavailable`."""
        since = _since(await self._mark(), self._now())
        self._view.listens(since)
        return since

    async def _mark(self) -> Mark | None:
        stored = await self._facts.fact(FACT)
        return msgspec.json.decode(stored, type=Mark) if stored else None


def _since(mark: Mark | None, now: datetime) -> datetime:
    if mark is None or mark.elsewhere or abs(now - mark.at) > GAP:
        return now
    return min(mark.since, now)
