"""Caches (section 2.7): what the process that answers remembers of the cloud, and bytes that it keeps ready."""

from typing import Annotated

from msgspec import Meta

from novita_gpu.contract.fields import Time
from novita_gpu.contract.requests import Request
from novita_gpu.contract.views import View


class ClearCache(Request, frozen=True, kw_only=True):
    cache_name: Annotated[str, Meta(min_length=1, max_length=64, description="All of them, when left out.")] | None = (
        None
    )


class CacheStatsView(View, frozen=True, kw_only=True):
    """Hits and misses are counted since the process began."""

    size: Annotated[int, Meta(description="Entries.")]
    hits: int
    misses: int
    hit_ratio: Annotated[float, Meta(description="0 to 1; 1 before the first question.")]
    evictions: Annotated[int, Meta(description="Entries that made room for others.")]
    bytes: Annotated[int, Meta(description="Of the entries as they are encoded.")]


class CacheManagerView(View, frozen=True, kw_only=True):
    cache_names: tuple[str, ...]
    stats: dict[str, CacheStatsView]


class CacheAgeView(View, frozen=True, kw_only=True):
    """How old what is remembered is. `fault`: why there is nothing newer."""

    oldest_at: Time | None = None
    newest_at: Time | None = None
    age_ms: Annotated[int, Meta(description="Of the oldest entry.")] | None = None
    fault: str | None = None


class CacheSummaryView(View, frozen=True, kw_only=True):
    total_caches: int
    total_entries: int
    total_hits: int
    total_misses: int
    overall_hit_ratio: float


class CacheStatsAnswer(View, frozen=True, kw_only=True):
    timestamp: Time
    cache_manager: CacheManagerView
    services: Annotated[dict[str, CacheAgeView], Meta(description="By the name of the cache.")]
    summary: CacheSummaryView


class CacheCleared(View, frozen=True, kw_only=True):
    timestamp: Time
    cleared: Annotated[tuple[str, ...], Meta(description="The names of what was cleared.")]
    entries: Annotated[int, Meta(description="How many were forgotten in this process.")]
    message: str
