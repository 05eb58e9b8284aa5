"""What a person sees of health, figures and caches."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.cli.process import ask
from tests.cli.test_idle import rows
from tests.client.plane import Said, serving

NOW = datetime.now(UTC).isoformat()
WELL: dict[str, Any] = {
    "status": "degraded",
    "timestamp": NOW,
    "uptime": 3661.0,
    "version": "1",
    "services": {"novitaApi": "down", "redis": "up"},
    "reasons": ["novitaApi: reads are paused"],
    "performance": {
        "requestsPerMinute": 12.5,
        "averageResponseTimeMs": 3.1,
        "p99ResponseTimeMs": 10,
        "errorRatePercent": 0,
    },
    "dependencies": {
        "novitaApi": {"status": "down", "detail": "reads are paused for 95 s [time-out]"},
        "store": {"status": "up", "lastChecked": NOW},
    },
    "redis": {"configured": True, "connected": True, "mode": "redis"},
    "upstream": {"circuit": "open", "circuits": {"reads": {"circuit": "open"}, "stops": {"circuit": "closed"}}},
}
CACHES: dict[str, Any] = {
    "timestamp": NOW,
    "cacheManager": {
        "cacheNames": ["products"],
        "stats": {"products": {"size": 3, "hits": 9, "misses": 1, "hitRatio": 0.9, "evictions": 0, "bytes": 12345}},
    },
    "services": {"products": {"ageMs": 61_000}},
    "summary": {},
}


async def test_health_names_what_is_not_well(tmp_path: Path) -> None:
    async with serving() as plane:
        plane.tell("GET /health", Said(body=WELL))
        shown = await ask(tmp_path, plane.url, "health")
    assert shown.code == 0
    assert rows(shown.out)[:5] == [
        "service degraded",
        "version 1, up for 1 h 01 min",
        "store redis",
        "cloud reads open, stops closed",
        "last minute 12.5 requests, 3.1 ms each",
    ]
    assert "novitaApi down – reads are paused for 95 s [time-out]" in rows(shown.out)


async def test_unhealthy_is_shown_and_ends_with_1(tmp_path: Path) -> None:
    body = {**WELL, "status": "unhealthy"}
    async with serving() as plane:
        plane.tell("GET /health", Said(503, body))
        plane.tell("GET /health", Said(503, body))
        shown = await ask(tmp_path, plane.url, "health")
        as_json = await ask(tmp_path, plane.url, "health", "--json")
    assert (shown.code, rows(shown.out)[0]) == (1, "service unhealthy")
    assert (as_json.code, as_json.json) == (1, body)


async def test_figures_of_the_last_minute_and_all_of_them(tmp_path: Path) -> None:
    summary = {"status": "success", "data": {"jobs": {"processingRatePerMinute": 4.5}}}
    everything = {"status": "success", "data": {"novita": {"calls": 12345}, "system": {"load": [1, 2]}}}
    async with serving() as plane:
        plane.tell("GET /api/metrics/summary", Said(body=summary))
        plane.tell("GET /api/metrics", Said(body=everything))
        shown = await ask(tmp_path, plane.url, "metrics")
        all_of_it = await ask(tmp_path, plane.url, "metrics", "--all")
    assert rows(shown.out) == ["jobs.processingRatePerMinute 4.5"]
    assert rows(all_of_it.out) == ["novita.calls 12,345", "system.load 1, 2"]


async def test_caches_are_listed_and_cleared(tmp_path: Path) -> None:
    cleared = {"timestamp": NOW, "cleared": ["products"], "entries": 3, "message": "Forgotten: 3 entries of products."}
    async with serving() as plane:
        plane.tell("GET /api/cache/stats", Said(body=CACHES))
        plane.tell("POST /api/cache/clear", Said(body=cleared))
        shown = await ask(tmp_path, plane.url, "cache", "stats")
        told = await ask(tmp_path, plane.url, "cache", "clear", "products")
        sent = plane.seen[-1]
    assert rows(shown.out)[1] == "products 3 12,345 9 1 90% 0 1 min"
    assert (told.code, told.out.strip(), sent.body) == (
        0,
        "Forgotten: 3 entries of products.",
        {"cacheName": "products"},
    )
