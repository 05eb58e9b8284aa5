"""Caches: what is remembered, and that forgetting it forgets nothing else."""

from typing import Any

from redis.asyncio import Redis

from novita_gpu.control.caches import FACT, Caches
from novita_gpu.control.catalogue import Catalogue
from tests.api.served import Scope, Served, now

NAMES = ("products", "regions", "templates", "credentials", "balance", "utilisation", "looks", "instances")


async def test_each_cache_tells_size_hits_misses_and_age(api: Served) -> None:
    await api.created()
    for _ in range(3):
        await api.get("/api/regions")
        await api.get("/api/instances/trainer-1")
    told = (await api.get("/api/cache/stats", key=Scope.READ)).json
    assert tuple(told["cacheManager"]["cacheNames"]) == NAMES
    regions = told["cacheManager"]["stats"]["regions"]
    assert regions["size"] == 1
    assert (regions["misses"], regions["hits"] >= 2) == (1, True)
    assert regions["hitRatio"] == round(regions["hits"] / (regions["hits"] + 1), 4)
    assert regions["bytes"] > 100
    instances = told["cacheManager"]["stats"]["instances"]
    assert (instances["size"], instances["misses"], instances["hits"]) == (1, 1, 2)
    assert told["services"]["regions"]["ageMs"] >= 0
    assert told["summary"]["totalCaches"] == len(NAMES)
    assert told["summary"]["totalEntries"] == sum(one["size"] for one in told["cacheManager"]["stats"].values())


async def test_one_is_cleared_or_all_are_and_an_unknown_one_is_not_found(api: Served) -> None:
    await api.get("/api/regions")
    await api.get("/api/templates")
    answer = await api.post("/api/cache/clear", {"cacheName": "regions"})
    assert (answer.status, answer.json["cleared"], answer.json["entries"]) == (200, ["regions"], 1)
    sizes = (await api.get("/api/cache/stats")).json["cacheManager"]["stats"]
    assert (sizes["regions"]["size"], sizes["templates"]["size"]) == (0, 1)
    fetched = count(api, "clusters")
    await api.get("/api/regions")
    assert count(api, "clusters") == fetched + 1
    assert (await api.post("/api/cache/clear", {})).json["cleared"] == list(NAMES)
    missing = await api.post("/api/cache/clear", {"cacheName": "records"})
    assert (missing.status, missing.code) == (404, "CACHE_NOT_FOUND")
    assert "products" in missing.json["error"]["message"]


def count(api: Served, op: str) -> int:
    told: Any = api.simulator.control.get("calls", op=op)
    return len(told["calls"])


async def test_t1_clearing_all_touches_no_record_event_or_delivery(api: Served) -> None:
    await api.created(webhookUrl="https://example.com/hook")
    await api.get("/api/products")
    before = await contents(api)
    assert {"record", "events", "delivery", "queue", "timeline", "living"} <= {
        api.store.keys.kind_of(key) for key in before
    }
    await api.post("/api/cache/clear", {})
    after = await contents(api)
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert {key.split(":")[1] for key in changed} == {"fact"}
    assert {key.split(":")[2] for key in changed} <= {"catalogue", FACT}
    assert (await api.get("/api/instances/trainer-1")).status == 200


async def contents(api: Served) -> dict[str, bytes]:
    """Every key of the store, as it would be dumped."""
    redis: Any = Redis.from_url(api.valkey)  # pyright: ignore[reportUnknownMemberType]
    try:
        keys: list[bytes] = [key async for key in redis.scan_iter(match=api.store.keys.pattern)]
        return {key.decode(): await redis.dump(key) for key in keys}
    finally:
        await redis.aclose()


async def test_what_one_process_clears_others_clear_with_their_next_check(api: Served) -> None:
    other = Catalogue(api.desk.parts.cloud, api.store, now)
    caches = Caches(api.store.facts, now)
    for name, cache in other.caches().items():
        caches.add(name, cache)
    await other.clusters.fresh()
    await api.post("/api/cache/clear", {"cacheName": "regions"})
    fetched = count(api, "clusters")
    await other.clusters.fresh()
    assert count(api, "clusters") == fetched  # it remembers still
    caches.follow(await api.store.facts.fact(FACT))
    await other.clusters.fresh()
    assert count(api, "clusters") == fetched + 1
    caches.follow(await api.store.facts.fact(FACT))
    await other.clusters.fresh()
    assert count(api, "clusters") == fetched + 1  # cleared once


async def test_what_was_read_after_it_was_cleared_serves_all(api: Served) -> None:
    other = Catalogue(api.desk.parts.cloud, api.store, now)
    caches = Caches(api.store.facts, now)
    for name, cache in other.caches().items():
        caches.add(name, cache)
    await other.clusters.fresh()
    await api.post("/api/cache/clear", {"cacheName": "regions"})
    await api.get("/api/regions")
    fetched = count(api, "clusters")
    caches.follow(await api.store.facts.fact(FACT))
    await other.clusters.fresh()
    assert count(api, "clusters") == fetched
