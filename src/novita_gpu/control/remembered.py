"""One value of the cloud's, remembered for a while: one fetch however many ask, in all processes if it is kept."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from novita_gpu.cloud.base import CloudError, NotFound
from novita_gpu.control.caches import CacheStats
from novita_gpu.domain.value import Value
from novita_gpu.store.base import StoreError
from novita_gpu.store.facts import Facts

T = TypeVar("T")
K = TypeVar("K")

# How long a kept value is of use to whoever starts: a week-old catalogue still names products and regions.
KEPT_FOR = timedelta(days=7)
# What was kept by a clock further ahead than this is of no known age.
SKEW = timedelta(seconds=1)
# Values of one kind that are kept in memory, such as templates.
MANY = 500


class Known(Value, Generic[T], frozen=True, kw_only=True):
    """A value as of `at`. `fault`: why there is no newer one, though it is old."""

    value: T
    at: datetime
    fault: str = ""


class Keep(Protocol[T]):
    """Where a value outlives the process, and other processes find it."""

    async def load(self) -> Known[T] | None: ...
    async def save(self, known: Known[T]) -> None: ...
    async def forget(self) -> None: ...


class Uses:
    """What the values of one kind have in common: counts, and until when what was read of them is not used."""

    def __init__(self) -> None:
        self.hits = self.misses = self.evictions = 0
        self.forgotten_until: datetime | None = None


class FactKeep(Generic[T]):
    """In the store, as a fact. A store that does not answer keeps nothing: the cloud is asked instead."""

    def __init__(self, facts: Facts, name: str, kind: type[T]) -> None:
        self._facts, self._name = facts, f"catalogue:{name}"
        self._decoder: msgspec.json.Decoder[Known[T]] = msgspec.json.Decoder(Known[kind])

    async def load(self) -> Known[T] | None:
        with suppress(StoreError, msgspec.DecodeError):  # written by another version
            stored = await self._facts.fact(self._name)
            return self._decoder.decode(stored) if stored else None
        return None

    async def save(self, known: Known[T]) -> None:
        with suppress(StoreError):
            await self._facts.put(self._name, msgspec.json.encode(known).decode(), ttl=KEPT_FOR)

    async def forget(self) -> None:
        with suppress(StoreError):
            await self._facts.forget(self._name)


class Remembered(Generic[T]):
    """In the second half of its time a value that is asked for is renewed behind whoever asks."""

    def __init__(
        self,
        fetch: Callable[[], Awaitable[T]],
        ttl: timedelta,
        now: Callable[[], datetime],
        keep: Keep[T] | None = None,
        *,
        ahead: bool = True,
        uses: Uses | None = None,
    ) -> None:
        """`ahead` False: never renewed before its time is over."""
        self.uses = uses or Uses()
        self._failed: tuple[datetime, str] | None = None
        self._fetch, self._ttl, self._now, self._keep, self._ahead = fetch, ttl, now, keep, ahead
        self._known: Known[T] | None = None
        self._forgotten_at: datetime | None = None
        self._forgets = 0
        self._renewing: asyncio.Task[Known[T]] | None = None

    async def fresh(self) -> Known[T]:
        """Not older than its time. Raises the cloud's errors."""
        known = self._known
        if known and self._now() < known.at + self._ttl:
            self.uses.hits += 1
            if self._ahead and self._now() >= known.at + self._ttl / 2:
                self._renewal()
            return known
        self.uses.misses += 1
        return await asyncio.shield(self._renewal())

    async def known(self) -> Known[T]:
        """The newest there is, with `fault` when it is old. Raises the cloud's errors when there never was one, and
        `NotFound`.
        """
        try:
            return await self.fresh()
        except NotFound:
            raise
        except CloudError as error:
            old = self._known or (await self._keep.load() if self._keep else None)
            if old is None or self._is_cleared(old):
                raise
            return Known(value=old.value, at=old.at, fault=error.message)

    def forget(self, until: datetime | None = None) -> None:
        """What was read until then, or now, is known to be wrong: the next who asks gets it from the cloud."""
        self._forgotten_at = until or self._now()
        self._forgets += 1
        if self._known and self._known.at <= self._forgotten_at:
            self._known = None

    @property
    def held(self) -> Known[T] | None:
        """What is in memory, however old."""
        return self._known

    @property
    def fault(self) -> str:
        """Why it is old: it was to be renewed a moment ago, and could not be. Empty while nobody asks for it."""
        at, why = self._failed or (self._now(), "")
        return why if self._known and self._now() < at + self._ttl else ""

    async def forget_kept(self) -> None:
        """So that no process that begins later finds it."""
        if self._keep:
            await self._keep.forget()

    def _is_cleared(self, known: Known[T]) -> bool:
        until = self.uses.forgotten_until
        return until is not None and known.at <= until

    async def _fetched(self) -> Known[T]:
        """Fetched anew if it was forgotten while it was under way."""
        while True:
            began, forgets = self._now(), self._forgets
            known = Known(value=await self._fetch(), at=began)
            if forgets == self._forgets:
                return known

    async def close(self) -> None:
        """Ends a renewal that nobody waits for."""
        if self._renewing and not self._renewing.done():
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)

    def _is_forgotten(self, known: Known[T]) -> bool:
        return self._is_cleared(known) or (self._forgotten_at is not None and known.at <= self._forgotten_at)

    def _renewal(self) -> asyncio.Task[Known[T]]:
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.ensure_future(self._renew())
            self._renewing.add_done_callback(_heard)
        return self._renewing

    async def _renew(self) -> Known[T]:
        """From another process if one has asked meanwhile, else from the cloud."""
        kept = await self._keep.load() if self._keep else None
        now = self._now()
        is_new = kept is not None and now < kept.at + self._ttl / 2 and kept.at <= now + SKEW
        if kept and is_new and not self._is_forgotten(kept):
            self._known, self._failed = kept, None
            return kept
        try:
            known = await self._fetched()
        except CloudError as error:
            self._failed = (self._now(), error.message)
            raise
        self._known, self._failed = known, None
        if self._keep:
            await self._keep.save(known)
        return known


class Cached:
    """Values of one kind as one cache. `those` are the ones that exist now."""

    def __init__(self, uses: Uses, those: Callable[[], Iterable[Remembered[Any]]]) -> None:
        self._uses, self._those = uses, those

    def stats(self) -> CacheStats:
        held = [one.held for one in self._those() if one.held]
        times = sorted(known.at for known in held)
        return CacheStats(
            size=len(held),
            hits=self._uses.hits,
            misses=self._uses.misses,
            evictions=self._uses.evictions,
            bytes=sum(len(msgspec.json.encode(known.value)) for known in held),
            oldest_at=times[0] if times else None,
            newest_at=times[-1] if times else None,
            fault=self.fault(),
        )

    def fault(self) -> str:
        return next((one.fault for one in self._those() if one.fault), "")

    def forget(self, until: datetime) -> None:
        """What others have kept before is not used either."""
        self._uses.forgotten_until = until
        for one in self._those():
            one.forget(until)

    async def forget_kept(self) -> None:
        for one in list(self._those()):
            await one.forget_kept()


def one_of(
    known: OrderedDict[K, Remembered[T]], key: K, make: Callable[[], Remembered[T]], uses: Uses
) -> Remembered[T]:
    """The one with that key; of many the most recently asked ones are kept."""
    one = known.get(key)
    if one is None:
        one = known[key] = make()
        if len(known) > MANY:
            known.popitem(last=False)
            uses.evictions += 1
    known.move_to_end(key)
    return one


def _heard(task: "asyncio.Task[Known[T]]") -> None:
    """Of a renewal that nobody waits for: the next one who asks tries again."""
    if not task.cancelled():
        task.exception()
