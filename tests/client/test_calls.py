"""What is sent, what is understood, and what a failure becomes."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from novita_gpu.client import (
    ApiError,
    Client,
    InstanceFailed,
    NotReachable,
    Retry,
    Unreadable,
    WaitTimeout,
    WrongUsage,
)
from tests.client.plane import INS, KEY, Plane, Said, instance, problem, serving


class Pauses:
    """Remembers how long a caller would have slept."""

    def __init__(self) -> None:
        self.made: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.made.append(seconds)


def client_of(plane: Plane, pauses: Pauses | None = None) -> Client:
    return Client(plane.url, KEY, sleep=pauses or Pauses())


async def test_create_sends_the_wire_form_of_every_option() -> None:
    async with serving() as plane, client_of(plane) as client:
        made = await client.create(
            "trainer-1",
            product_name="RTX 4090 24GB",
            image_url="docker.io/library/ubuntu:22.04",
            gpu_num=2,
            rootfs_size=80,
            regions=("AS-SGP-02", "CN-HK-01"),
            fallback=False,
            billing_mode="spot",
            max_price_per_hour=Decimal("0.70"),
            ports=[{"port": 8888, "type": "http"}],
            envs={"HF_HOME": "/data", "my_key": "v"},
            network_storages=[{"id": "ns-1", "mount_point": "/network"}],
            health_check={"timeout_ms": 5000, "path": "/health"},
            auto_stop={"idle_minutes": 30, "pinned_until": datetime(2026, 1, 31, 12, tzinfo=UTC)},
            recovery={"on_reclaim": "migrate"},
            on_start_capacity="wait",
            webhook_url="https://example.com/hook",
        )
    [seen] = plane.seen
    assert seen.body == {
        "name": "trainer-1",
        "productName": "RTX 4090 24GB",
        "imageUrl": "docker.io/library/ubuntu:22.04",
        "gpuNum": 2,
        "rootfsSize": 80,
        "regions": ["AS-SGP-02", "CN-HK-01"],
        "fallback": False,
        "billingMode": "spot",
        "maxPricePerHour": "0.70",
        "ports": [{"port": 8888, "type": "http"}],
        "networkStorages": [{"id": "ns-1", "mountPoint": "/network"}],
        "healthCheck": {"timeoutMs": 5000, "path": "/health"},
        "autoStop": {"idleMinutes": 30, "pinnedUntil": "2026-01-31T12:00:00.000Z"},
        "recovery": {"onReclaim": "migrate"},
        "onStartCapacity": "wait",
        "webhookUrl": "https://example.com/hook",
        "envs": [{"key": "HF_HOME", "value": "/data"}, {"key": "my_key", "value": "v"}],
    }
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert (made.instance_id, made.status, made.price_per_hour) == (INS, "creating", Decimal("0.7000"))


async def test_an_instance_is_read_leniently_and_keeps_what_came() -> None:
    async with serving() as plane, client_of(plane) as client:
        odd = instance(status="hibernating", gpuNum="2", later={"field": 1})
        plane.tell("GET /api/instances/trainer-1", Said(body=odd))
        read = await client.get("trainer-1")
    assert (read.status, read.gpu_num, read.cost_usd) == ("hibernating", 2, Decimal("1.2345"))
    assert read.created_at == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert read.port_mappings[0].endpoint == "http://gpu.test:8888"
    assert json.loads(read.raw) == odd


CALLS: list[tuple[Callable[[Client], Awaitable[object]], str, str, object]] = [
    (lambda c: c.start("a", target_port=80), "POST", "/api/instances/a/start", {"targetPort": 80}),
    (lambda c: c.stop("a"), "POST", "/api/instances/a/stop", {}),
    (lambda c: c.restart("a"), "POST", "/api/instances/a/restart", {}),
    (lambda c: c.delete("a"), "DELETE", "/api/instances/a", None),
    (lambda c: c.last_used("a"), "PUT", "/api/instances/a/last-used", {}),
    (lambda c: c.explain("a"), "GET", "/api/instances/a/explain", None),
    (lambda c: c.utilisation("a"), "GET", "/api/instances/a/utilisation", None),
    (lambda c: c.timeline("a", limit=5), "GET", "/api/instances/a/events", None),
    (
        lambda c: c.update("a", auto_stop={"max_lifetime_minutes": None}, webhook_url=None),
        "PATCH",
        "/api/instances/a",
        {"autoStop": {"maxLifetimeMinutes": None}, "webhookUrl": None},
    ),
    (
        lambda c: c.pin("a", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        "PATCH",
        "/api/instances/a",
        {"autoStop": {"pinnedUntil": "2026-01-31T12:00:00.000Z"}},
    ),
    (lambda c: c.pin("a", None), "PATCH", "/api/instances/a", {"autoStop": {"pinnedUntil": None}}),
]


@pytest.mark.parametrize(("call", "method", "path", "body"), CALLS)
async def test_each_call_goes_to_its_route(
    call: Callable[[Client], Awaitable[object]], method: str, path: str, body: object
) -> None:
    async with serving() as plane, client_of(plane) as client:
        await plane.change("a", "ready")
        await call(client)
    [seen] = plane.seen
    assert (seen.method, seen.path, seen.body) == (method, path, body)


async def test_list_repeats_a_filter_and_follows_cursors() -> None:
    async with serving() as plane, client_of(plane) as client:
        plane.tell(
            "GET /api/instances",
            Said(body={"instances": [instance("a")], "total": 2, "nextCursor": "c1"}),
            Said(body={"instances": [instance("b")], "total": 2}),
        )
        names = [one.name async for one in client.all(status=("ready", "running"), limit=1)]
    assert names == ["a", "b"]
    assert plane.seen[0].query == {"status": ["ready", "running"], "limit": ["1"]}
    assert plane.seen[1].query["cursor"] == ["c1"]


async def test_a_refusal_becomes_an_error_with_all_that_was_said() -> None:
    details = [{"field": "gpuNum", "message": "must be 1 to 8", "value": 9}]
    async with serving() as plane, client_of(plane) as client:
        plane.tell("POST /api/instances", Said(400, problem("VALIDATION_ERROR", "Rules.", details=details)))
        with pytest.raises(ApiError) as caught:
            await client.create("x", gpu_num=9)
    error = caught.value
    assert (error.code, error.message, error.status) == ("VALIDATION_ERROR", "Rules.", 400)
    assert (error.details, error.request_id) == (details, "req-1")
    assert len(plane.seen) == 1


@pytest.mark.parametrize("body", ["<html>bad gateway</html>", "", "[1]", '{"error": "no"}', '{"error": {}}'])
async def test_an_error_of_somebody_in_between_is_still_an_error(body: str) -> None:
    async with serving() as plane, client_of(plane) as client:
        plane.tell("GET /api/instances/a", Said(502, body))
        with pytest.raises(ApiError) as caught:
            await client.get("a")
    assert caught.value.code == "HTTP_502"


@pytest.mark.parametrize("body", ["<html></html>", "", "[]", '{"gpuNum": "many"}'])
async def test_an_answer_of_somebody_else_is_unreadable(body: str) -> None:
    async with serving() as plane, client_of(plane) as client:
        plane.tell("GET /api/instances/a", Said(200, body))
        with pytest.raises(Unreadable):
            await client.get("a")


async def test_a_redirect_is_an_error_and_the_key_goes_nowhere() -> None:
    async with serving() as plane, serving() as other, client_of(plane) as client:
        plane.tell("GET /api/instances/a", Said(307, "", {"Location": f"{other.url}/api/instances/a"}))
        with pytest.raises(ApiError):
            await client.get("a")
        assert other.seen == []


@pytest.mark.parametrize("status", [429, 503])
async def test_one_that_was_turned_away_comes_back_when_asked_to(status: int) -> None:
    pauses = Pauses()
    async with serving() as plane, client_of(plane, pauses) as client:
        plane.tell(
            "GET /api/instances/a",
            Said(status, problem("BUSY"), {"Retry-After": "7"}),
            Said(status, problem("BUSY", retryAfterMs=1500)),
            Said(200, instance("a")),
        )
        assert (await client.get("a")).name == "a"
    assert pauses.made == [7.0, 1.5]


async def test_retries_are_bounded_in_number_and_length() -> None:
    pauses = Pauses()
    async with serving() as plane, client_of(plane, pauses) as client:
        plane.tell("GET /api/instances/a", Said(503, problem("STORE_UNAVAILABLE")))
        with pytest.raises(ApiError) as caught:
            await client.get("a")
        assert len(plane.seen) == Retry().tries
        plane.tell("GET /api/instances/b", Said(429, problem("RATE_LIMIT_EXCEEDED"), {"Retry-After": "3600"}))
        with pytest.raises(ApiError) as caught:
            await client.get("b")
    assert caught.value.retry_after == timedelta(hours=1)
    assert len(plane.seen) == Retry().tries + 1
    assert sum(pauses.made) < 10


async def test_n4_a_create_whose_answer_is_lost_is_sent_again_with_its_key_and_makes_one() -> None:
    async with serving() as plane, client_of(plane) as client:
        plane.tell(
            "POST /api/instances",
            Said(cut=True),
            Said(409, problem("IDEMPOTENCY_IN_PROGRESS"), {"Retry-After": "1"}),
            Said(201, {"instanceId": INS, "status": "creating"}),
        )
        made = await client.create("trainer-1", product_id="p", template_id=7)
    assert made.instance_id == INS
    assert len(plane.seen) == 3
    assert len({seen.headers["idempotency-key"] for seen in plane.seen}) == 1
    assert len(plane.made) == 1


async def test_two_creates_have_two_keys_and_a_given_one_is_used() -> None:
    async with serving() as plane, client_of(plane) as client:
        await client.create("a", product_id="p")
        await client.create("b", product_id="p")
        await client.create("c", product_id="p", idempotency_key="mine")
    first, second, third = (seen.headers["idempotency-key"] for seen in plane.seen)
    assert first != second
    assert third == "mine"


async def test_nobody_there() -> None:
    pauses = Pauses()
    async with Client("http://127.0.0.1:1", KEY, sleep=pauses) as client:
        with pytest.raises(NotReachable, match=r"127\.0\.0\.1:1 does not answer"):
            await client.list()
    assert len(pauses.made) == Retry().tries - 1


@pytest.mark.parametrize("url", ["", "localhost:3000", "ftp://x", "http://", "http://[::", "http://a?b", "http://a:0"])
def test_an_address_that_cannot_be_right_is_told_at_once(url: str) -> None:
    with pytest.raises(WrongUsage):
        Client(url)


@pytest.mark.parametrize("name", ["", "..", "a/b", "a?b", "ü", "x" * 101])
async def test_a_name_that_cannot_be_right_is_not_sent(name: str) -> None:
    async with serving() as plane, client_of(plane) as client:
        with pytest.raises(WrongUsage):
            await client.get(name)
    assert plane.seen == []


async def test_health_is_answered_also_when_it_is_bad() -> None:
    async with serving() as plane, client_of(plane) as client:
        plane.tell("GET /health", Said(503, {"status": "unhealthy"}))
        assert await client.health() == {"status": "unhealthy"}
    assert len(plane.seen) == 1


async def test_wait_tells_the_time_out_with_the_instance_as_it_is() -> None:
    async with serving() as plane, client_of(plane) as client:
        await plane.change("a", "creating")
        with pytest.raises(WaitTimeout) as caught:
            await client.wait("a", timeout=timedelta(milliseconds=20))
        with pytest.raises(WaitTimeout):
            await client.wait_ready("a", timeout=timedelta(milliseconds=20))
    assert caught.value.instance
    assert caught.value.instance.status == "creating"


async def test_wait_ready_returns_the_ready_one_and_tells_a_failure() -> None:
    async with serving() as plane, client_of(plane) as client:
        await plane.change("a", "ready")
        assert (await client.wait_ready("a")).status == "ready"
        with pytest.raises(WaitTimeout):
            await client.wait_ready("a", after=1, timeout=timedelta(milliseconds=20))
        error: dict[str, Any] = {"code": "NO_OFFER", "message": "No region has one."}
        await plane.change("a", "failed", error=error)
        with pytest.raises(InstanceFailed, match=r"a is failed: No region has one\."):
            await client.wait_ready("a")


async def test_watch_shows_each_change_until_it_is_there() -> None:
    statuses: list[str] = []
    async with serving() as plane, client_of(plane) as client:
        await plane.change("a", "creating")
        following = {"creating": "running", "running": "ready"}
        async for one in client.watch("a", timeout=timedelta(seconds=10)):
            statuses.append(one.status)
            if one.status in following:
                await plane.change("a", following[one.status])
    assert statuses == ["creating", "running", "ready"]
