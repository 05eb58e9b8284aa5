"""What is only remembered and may be forgotten at any time: how much it is, how often it helped, and forgetting it.

Records, events and deliveries are none of this: they are the truth, and nothing here touches them.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

import msgspec

from novita_gpu.contract import time_text
from novita_gpu.contract.caches import (
    CacheAgeView,
    CacheCleared,
    CacheManagerView,
    CacheStatsAnswer,
    CacheStatsView,
    CacheSummaryView,
)
from novita_gpu.domain.errors import Missing
from novita_gpu.domain.value import Value
from novita_gpu.store.facts import Facts

FACT = "cache-cleared"


class CacheStats(Value, frozen=True, kw_only=True):
    """Of this process. `fault`: why the newest entry is old. `bytes` of the entries as they are encoded."""

    size: int
    hits: int
    misses: int
    evictions: int
    bytes: int
    oldest_at: datetime | None = None
    newest_at: datetime | None = None
    fault: str = ""


class Cache(Protocol):
    def stats(self) -> CacheStats: ...

    def fault(self) -> str:
        """Why its newest entry is old; empty when it is not."""
        ...

    def forget(self, until: datetime) -> None:
        """What was read until then is not used any more."""
        ...

    async def forget_kept(self) -> None:
        """What is kept of it in the store is removed."""
        ...


class Caches:
    """All caches of a process by name. What one process clears the others clear when they next read `FACT`."""

    def __init__(self, facts: Facts, now: Callable[[], datetime]) -> None:
        self._facts, self._now = facts, now
        self._named: dict[str, Cache] = {}
        self._cleared: dict[str, datetime] = {}

    def add(self, name: str, cache: Cache) -> None:
        self._named[name] = cache

    def all(self) -> dict[str, CacheStats]:
        return {name: cache.stats() for name, cache in self._named.items()}

    def stale(self) -> str:
        """Why what is remembered is old; empty when it is not."""
        faults = ((name, cache.fault()) for name, cache in self._named.items())
        return next((f"{name}: {fault}" for name, fault in faults if fault), "")

    def stats(self) -> CacheStatsAnswer:
        found = self.all()
        return CacheStatsAnswer(
            timestamp=time_text(self._now()),
            cache_manager=CacheManagerView(
                cache_names=tuple(found),
                stats={name: _view(one) for name, one in found.items()},
            ),
            services={name: self._age(one) for name, one in found.items()},
            summary=summary(found),
        )

    async def clear(self, name: str | None) -> CacheCleared:
        """One, or all. Raises `Missing`, and the store's errors when this process has forgotten them."""
        if name is not None and name not in self._named:
            raise Missing("CACHE_NOT_FOUND", f"There is no cache {name}. There are {', '.join(self._named)}.")
        names, now = (name,) if name else tuple(self._named), self._now()
        entries = sum(self._named[one].stats().size for one in names)
        for one in names:
            self._forget(one, now)
            await self._named[one].forget_kept()
        before = _cleared_in(await self._facts.fact(FACT))
        await self._facts.put(FACT, msgspec.json.encode({**before, **dict.fromkeys(names, now)}).decode())
        return CacheCleared(timestamp=time_text(now), cleared=names, entries=entries, message=_message(names, entries))

    def follow(self, stored: str | None) -> None:
        """Takes in `FACT`: what others have cleared since is cleared here."""
        for name, at in _cleared_in(stored).items():
            if name in self._named and at > self._cleared.get(name, datetime.min.replace(tzinfo=at.tzinfo)):
                self._forget(name, at)

    def _forget(self, name: str, at: datetime) -> None:
        self._cleared[name] = at
        self._named[name].forget(at)

    def _age(self, one: CacheStats) -> CacheAgeView:
        age = self._now() - one.oldest_at if one.oldest_at else None
        return CacheAgeView(
            oldest_at=time_text(one.oldest_at) if one.oldest_at else None,
            newest_at=time_text(one.newest_at) if one.newest_at else None,
            age_ms=round(age.total_seconds() * 1000) if age else None,
            fault=one.fault or None,
        )


def summary(found: Mapping[str, CacheStats]) -> CacheSummaryView:
    hits, misses = sum(one.hits for one in found.values()), sum(one.misses for one in found.values())
    return CacheSummaryView(
        total_caches=len(found),
        total_entries=sum(one.size for one in found.values()),
        total_hits=hits,
        total_misses=misses,
        overall_hit_ratio=ratio(hits, misses),
    )


def ratio(hits: int, misses: int) -> float:
    """Of all questions those answered from memory; 1 before the first."""
    return round(hits / (hits + misses), 4) if hits + misses else 1.0


def _view(one: CacheStats) -> CacheStatsView:
    return CacheStatsView(
        size=one.size,
        hits=one.hits,
        misses=one.misses,
        hit_ratio=ratio(one.hits, one.misses),
        evictions=one.evictions,
        bytes=one.bytes,
    )


def _cleared_in(stored: str | None) -> dict[str, datetime]:
    return msgspec.json.decode(stored, type=dict[str, datetime]) if stored else {}


def _message(names: tuple[str, ...], entries: int) -> str:
    what = names[0] if len(names) == 1 else "all caches"
    many = "1 entry" if entries == 1 else f"{entries} entries"
    return f"Forgotten: {many} of {what}. Other processes follow with their next check of health."
