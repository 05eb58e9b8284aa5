"""Health: verdicts for everybody, figures for who has a key."""

from typing import Any

from msgspec.structs import replace

from novita_gpu.contract import HealthView
from novita_gpu.contract.health import AutoStopHealth, SyncView
from tests.api.served import Scope, Served, health, served


async def test_without_a_key_only_the_verdicts(api: Served) -> None:
    for key in (None, "wrong"):
        answer = await api.get("/health", key=key)
        assert answer.status == 200
        assert set(answer.json) == {"status", "timestamp", "uptime", "version", "services"}
    assert "reasons" in (await api.get("/health", key=Scope.READ)).json


async def test_unhealthy_is_503_and_degraded_is_not(valkey: str) -> None:
    for status, code in (("degraded", 200), ("unhealthy", 503)):

        def told(detailed: bool, status: Any = status) -> HealthView:
            return replace(health(detailed), status=status)

        async with served(valkey, health=told) as api:
            assert (await api.get("/health", key=None)).status == code
            assert (await api.get("/health/ready", key=None)).status == 200  # reads are answered from memory
            assert (await api.get("/health/live", key=None)).status == 200


async def test_a_replica_that_should_get_no_requests_says_why(valkey: str) -> None:
    async with served(valkey, unready=lambda: "the records are not in memory yet") as api:
        answer = await api.get("/health/ready", key=None)
        assert (answer.status, answer.json) == (
            503,
            {"status": "unhealthy", "reason": "the records are not in memory yet"},
        )
        assert (await api.get("/health/live", key=None)).status == 200


async def test_a_replica_that_stops_takes_no_more(api: Served) -> None:
    assert (await api.get("/health/ready", key=None)).json == {"status": "healthy"}
    api.desk.close()
    answer = await api.get("/health/ready", key=None)
    assert (answer.status, answer.json["reason"]) == (503, "it is stopping")


async def test_prometheus_is_told_of_instances_and_orphans(valkey: str) -> None:
    def told(detailed: bool) -> HealthView:
        listed, synced = "2026-01-01T00:00:00.000Z", "2026-01-01T00:01:00.000Z"
        sync = SyncView(last_sync=synced, last_listing=listed, is_locked=False, orphans=2)
        check = AutoStopHealth(
            last_check_at="2026-01-01T00:00:00.000Z",
            next_check_at="2026-01-01T00:05:00.000Z",
            late_seconds=42.0,
            stops_in_vain=3,
        )
        return replace(health(detailed), sync=sync, auto_stop=check)

    async with served(valkey, health=told) as api:
        await api.created()
        answer = await api.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    lines = answer.body.decode().splitlines()
    assert "novita_gpu_stops_in_vain 3.0" in lines
    assert "novita_gpu_auto_stop_late_seconds 42.0" in lines
    assert "novita_gpu_auto_stop_last_check_timestamp_seconds 1.7672256e+09" in lines
    assert "novita_gpu_auto_stop_next_check_timestamp_seconds 1.7672259e+09" in lines
    assert 'novita_gpu_instances{status="creating"} 1.0' in lines
    assert "novita_gpu_orphans 2.0" in lines
    assert "novita_gpu_last_listing_timestamp_seconds 1.7672256e+09" in lines
    assert "novita_gpu_last_sync_timestamp_seconds 1.76722566e+09" in lines


async def test_head_is_told_the_status_and_no_body(valkey: str) -> None:
    for reason, code in (("", 200), ("the records are old", 503)):
        async with served(valkey, unready=lambda reason=reason: reason) as api:
            for path in ("/health", "/health/live", "/health/ready"):
                got, head = await api.get(path, key=None), await api.ask("HEAD", path, key=None)
                assert (head.status, head.body) == (got.status, b"")
                assert head.headers["content-type"] == got.headers["content-type"]
            assert head.status == code
