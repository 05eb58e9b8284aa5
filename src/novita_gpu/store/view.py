"""Every living record, the closed ones in retention, and the keys of the API in memory: what reads are answered from.

Fed by the store's feed and, at once, by the commits of this process. When the feed has a gap (trimmed, or the store's
contents are another's) everything is loaded anew; reads go on from what is here meanwhile, and while the store is away.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from uuid import uuid4

from novita_gpu.domain.activity import Heard
from novita_gpu.domain.instance import CloudId, InstanceId, Record
from novita_gpu.store.api_keys import ApiKeys
from novita_gpu.store.base import Unavailable, Unreadable
from novita_gpu.store.facts import Facts
from novita_gpu.store.feed import INCARNATION, Feed, News
from novita_gpu.store.index import Filter, Index, Page
from novita_gpu.store.keys import CLOSED_FOR
from novita_gpu.store.records import Records
from novita_gpu.store.wire import BLOCK_AT_MOST_S

# Reads of unknown ids that may ask the store, a second: a flood of them costs it no more than this.
MISSES_PER_SECOND = 20
# Between readings of the feed of a server that does not block. Shorter costs more commands, longer is later news.
POLL_S = 1.0
# Between tries while the store is away: doubled from the first to the last.
FIRST_PAUSE_S = 0.1
LAST_PAUSE_S = 5.0


class View:
    """`follow` keeps it true. Reads never wait and never fail; only `find`, at a miss, asks the store.

    `version` grows with every change. `sequence` is the highest event sequence known here.
    """

    def __init__(
        self,
        records: Records,
        feed: Feed,
        facts: Facts,
        api_keys: ApiKeys,
        *,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        block_s: float = BLOCK_AT_MOST_S,
        closed_for: timedelta = CLOSED_FOR,
    ) -> None:
        self._records, self._feed, self._facts, self._api_keys = records, feed, facts, api_keys
        self._now, self._monotonic, self._pause, self._block_s = now, monotonic, pause, block_s
        self._closed_for = closed_for
        self._index = Index()
        self._activities: dict[InstanceId, datetime] = {}
        self._listens_since: datetime | None = None
        self._arrived: dict[InstanceId, Record] | None = None  # committed here while everything is being loaded
        self._incarnation = ""
        self._number = 0
        self._lost_at: float | None = monotonic()
        self._misses, self._misses_at = float(MISSES_PER_SECOND), monotonic()
        self._waiting: defaultdict[InstanceId, set[asyncio.Future[None]]] = defaultdict(set)
        self._listening: set[asyncio.Future[None]] = set()
        self._turns = 0
        self._on_emptied: Callable[[], Awaitable[None]] | None = None
        self.loaded = False
        self.version = 0
        self.sequence = 0
        records.on_commit(self.apply)
        records.on_touch(self.used)

    @property
    def lag(self) -> float:
        """Seconds since the feed was last heard; 0 while it is being listened to."""
        return 0.0 if self._lost_at is None else self._monotonic() - self._lost_at

    def get(self, instance: InstanceId) -> Record | None:
        return self._index.get(instance)

    def by_machine(self, machine: CloudId) -> Record | None:
        return self._index.by_machine(machine)

    def by_name(self, name: str) -> Record | None:
        """The living one of this name, else the one closed last."""
        return self._index.by_name(name)

    def resolve(self, text: str) -> Record | None:
        """What a caller means by `text`: our id, else the cloud's id, else a name."""
        return self.get(InstanceId(text)) or self.by_machine(CloudId(text)) or self.by_name(text)

    def all(self) -> list[Record]:
        """Newest first."""
        return list(self._index)

    def page(self, which: Filter | None = None, cursor: str | None = None, limit: int = 100) -> Page:
        """Newest first. Raises `BadCursor`."""
        return self._index.page(which or Filter(), cursor, limit)

    def activity(self, instance: InstanceId) -> datetime | None:
        """The last heartbeat."""
        return self._activities.get(instance)

    def heard(self, instance: InstanceId) -> Heard:
        """Its last heartbeat, and since when heartbeats could arrive, as far as this process knows."""
        return Heard(last=self.activity(instance), since=self._listens_since)

    def listens(self, since: datetime) -> None:
        """Takes in since when heartbeats could arrive without a gap."""
        if since != self._listens_since:
            self._listens_since = since
            self.version += 1

    async def find(self, text: str) -> Record | None:
        """As `resolve`; what is not here is asked of the store, at a bounded rate. Raises `Unavailable`."""
        found = self.resolve(text)
        if found or not self._may_ask():
            return found
        record = await self._records.find(text)
        if record:
            self.apply(record)
        return record

    async def changed(self, instance: InstanceId, after_revision: int) -> Record:
        """The record once its revision is above `after_revision`. Waits without end; the caller has the deadline."""
        waiting = self._waiting[instance]
        try:
            while True:
                record = self.get(instance)
                if record and record.revision > after_revision:
                    return record
                await _woken(waiting)
        finally:
            if not waiting:
                self._waiting.pop(instance, None)

    async def first_load(self) -> None:
        """Returns once everything was here. Before that, what is missing here says nothing."""
        while not self.loaded:
            await _woken(self._listening)

    async def advanced(self, after_sequence: int) -> int:
        """The highest event sequence once it is above `after_sequence`. Waits without end."""
        while self.sequence <= after_sequence:
            await _woken(self._listening)
        return self.sequence

    def apply(self, record: Record) -> None:
        """Takes in a record; an older revision than the one here is passed over."""
        if self._arrived is not None and record.revision > _revision(self._arrived.get(record.id)):
            self._arrived[record.id] = record
        if self._index.put(record):
            self.version += 1
            _wake(self._waiting.get(record.id))
        self._heard(record.sequence)

    def used(self, instance: InstanceId, at: datetime) -> None:
        """Takes in a heartbeat; an earlier one than known is passed over."""
        known = self._activities.get(instance)
        if known is None or at > known:
            self._activities[instance] = at
            self.version += 1

    def on_emptied(self, told: Callable[[], Awaitable[None]]) -> None:
        """Calls `told` when the server that this was loaded from holds another store, before that is loaded."""
        self._on_emptied = told

    async def load(self) -> None:
        """Loads everything. Raises `Unavailable` with what is here left as it was."""
        self._arrived, turns = {}, self._records.turns
        try:
            incarnation = await self._facts.first(INCARNATION, uuid4().hex)
            number = (await self._feed.position()).number
            index = Index()
            ids = await self._records.all_ids()
            for record in await self._records.load_many(ids):
                index.put(record)
            activities = await self._records.activities(ids)
            sequence = await self._records.last_sequence()
            keys = await self._api_keys.stored()
            if len(ids) < len(self._index) or len(keys) < len(self._api_keys.all()):
                await self._still(incarnation)
            for record in self._arrived.values():
                index.put(record)
            for instance, at in self._activities.items():  # heartbeats that arrived here meanwhile
                if index.get(instance):
                    activities[instance] = max(at, activities.get(instance, at))
        finally:
            self._arrived = None
        self._index, self._incarnation, self._number = index, incarnation, number
        self._turns = turns
        self._activities = activities
        self._api_keys.take(keys)
        self.sequence = sequence
        self.loaded = True
        self.version += 1
        for waiting in list(self._waiting.values()):
            _wake(waiting)
        _wake(self._listening)

    async def follow(self) -> None:
        """Keeps the view true until it is cancelled. What it cannot get or read only makes it lag."""
        pause = FIRST_PAUSE_S
        while True:
            try:
                if not self.loaded or self._lost_at is not None or self._is_turned:
                    await self._catch_up()
                await self._listen()
                pause = FIRST_PAUSE_S
            except (Unavailable, Unreadable):
                self._lost_at = self._monotonic() if self._lost_at is None else self._lost_at
                await self._pause(pause)
                pause = min(2 * pause, LAST_PAUSE_S)

    async def _catch_up(self) -> None:
        if not self.loaded:
            await self.load()
        elif self._is_turned or not await self._continues():
            await self._reload()
        self._lost_at = None

    @property
    def _is_turned(self) -> bool:
        """To another server since this was loaded: its numbers may go on from those of the one before."""
        return self._turns != self._records.turns

    async def _listen(self) -> None:
        """One reading of the feed. An idle plane asks twice in `BLOCK_AT_MOST_S`."""
        begun = self._monotonic()
        news = await self._feed.wait(self._number, self._block_s)
        if not news:
            self._forget_expired()
            if not await self._continues():
                await self._reload()
            if self._monotonic() - begun < self._block_s / 2:
                await self._pause(POLL_S)  # this server does not block
        elif news[0].number != self._number + 1:
            await self.load()
        else:
            await self._take_in(news)

    async def _reload(self) -> None:
        """The same server with another store on it has lost what was there: that is still here."""
        incarnation = (await self._feed.position()).incarnation
        is_emptied = incarnation != self._incarnation and not self._is_turned
        if is_emptied and self._on_emptied:
            await self._on_emptied()
        await self.load()

    async def _continues(self) -> bool:
        """The store still holds what this view was loaded from."""
        position = await self._feed.position()
        return position.incarnation == self._incarnation and position.number >= self._number

    async def _still(self, incarnation: str | None) -> None:
        """Raises `Unavailable` if the server was emptied while it was read: what it lacks is no news of its absence."""
        if (await self._feed.position()).incarnation != incarnation:
            raise Unavailable("the store was emptied while it was read")

    async def _take_in(self, news: list[News]) -> None:
        if any(entry.of_keys for entry in news):
            keys = await self._api_keys.stored()
            await self._still(self._incarnation)
            self._api_keys.take(keys)
        newer = {entry.instance for entry in news if entry.instance and self._is_newer(entry)}
        for record in await self._records.load_many(sorted(newer)):
            self.apply(record)
        for entry in news:
            if entry.instance and entry.activity:
                self.used(entry.instance, entry.activity)
        self._number = news[-1].number
        self._heard(max(entry.sequence for entry in news))

    def _is_newer(self, entry: News) -> bool:
        return entry.instance is not None and entry.revision > self._index.revision(entry.instance)

    def _forget_expired(self) -> None:
        for instance in self._index.closed_before(self._now() - self._closed_for):
            self._index.drop(instance)
            self._activities.pop(instance, None)
            self.version += 1

    def _heard(self, sequence: int) -> None:
        if sequence > self.sequence:
            self.sequence = sequence
            _wake(self._listening)

    def _may_ask(self) -> bool:
        now = self._monotonic()
        earned = (now - self._misses_at) * MISSES_PER_SECOND
        self._misses, self._misses_at = min(float(MISSES_PER_SECOND), self._misses + earned), now
        if self._misses < 1:
            return False
        self._misses -= 1
        return True


def _revision(record: Record | None) -> int:
    return record.revision if record else 0


async def _woken(waiting: set[asyncio.Future[None]]) -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    waiting.add(future)
    try:
        await future
    finally:
        waiting.discard(future)


def _wake(waiting: set[asyncio.Future[None]] | None) -> None:
    for future in waiting or ():
        if not future.done():
            future.set_result(None)
