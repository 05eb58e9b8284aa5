"""T12: what the operator sets, other than its default, shows in what the service does."""

import asyncio
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from novita_gpu.contract.idle import CheckView
from novita_gpu.control.idle_check import FACT, LastCheck
from novita_gpu.domain.spec import Activity, OnStartCapacity
from novita_gpu.policies import defaults_of, limits_of, pace_of, policy_of
from novita_gpu.settings import Settings
from tests.plane import IMAGE, KEY, PRODUCT, Service, eventually, serving
from tests.valkey import new_prefix
from tests.webhooks.receiver import OLD_SECRET, Receiver, listening

BASE: dict[str, Any] = {"novita_api_key": "sim-key"}
HOUR = timedelta(hours=1)


Serve = Callable[..., AbstractAsyncContextManager[Service]]


@pytest.fixture
def served(valkey_url: str, tmp_path: Path) -> Serve:
    """A service with these settings on a store and in a folder of its own."""

    def begin(**settings: Any) -> AbstractAsyncContextManager[Service]:
        prefix = new_prefix()
        return serving(tmp_path / prefix, redis_url=valkey_url, prefix=prefix, **settings)

    return begin


def test_policies_reach_those_who_decide() -> None:
    settings = Settings.load(
        **BASE,
        create_settle_seconds=7,
        launch_timeout_minutes=8,
        not_ready_stop_minutes=9,
        orphan_policy="delete",
        orphan_grace_minutes=10,
        auto_stop_enabled=False,
        auto_stop_warn_minutes=11,
        delete_stopped_after_days=12,
        recovery_min_interval_minutes=13,
    )
    policy = policy_of(settings)
    assert policy.settle == timedelta(seconds=7)
    assert (policy.launch_timeout, policy.not_ready_stop) == (timedelta(minutes=8), timedelta(minutes=9))
    assert (policy.orphans.delete, policy.orphans.grace) == (True, timedelta(minutes=10))
    assert (policy.idle.on, policy.idle.warn, policy.idle.discard) == (False, timedelta(minutes=11), timedelta(days=12))
    assert policy.recovery.pause == timedelta(minutes=13)


def test_what_a_request_leaves_out_is_what_the_operator_set() -> None:
    settings = Settings.load(
        **BASE,
        auto_stop_idle_minutes=14,
        auto_stop_activity="any",
        auto_stop_max_idle_minutes=15,
        auto_stop_only_with_network_volume=True,
        recovery_on_reclaim="recreate",
        recovery_max_per_day=16,
        recovery_when_unsure="leave",
        recovery_image_repository="registry.example.com/a",
        recovery_image_auth_id="auth-17",
        on_start_capacity="fail",
    )
    defaults = defaults_of(settings)
    assert (defaults.auto_stop.idle, defaults.auto_stop.activity) == (timedelta(minutes=14), Activity.ANY)
    assert (defaults.ceilings.max_idle, defaults.ceilings.only_with_volume) == (timedelta(minutes=15), True)
    recovery = defaults.recovery
    assert (recovery.on_reclaim, recovery.max_per_day, recovery.when_unsure) == ("recreate", 16, "leave")
    assert (recovery.image_repository, recovery.image_auth_id) == ("registry.example.com/a", "auth-17")
    assert defaults.on_start_capacity is OnStartCapacity.FAIL


def test_limits_and_profile_reach_those_who_keep_them() -> None:
    settings = Settings.load(
        **BASE, max_instances=2, max_burn_usd_per_hour="1.5", max_price_usd_per_hour="0.5", redis_profile="hosted"
    )
    limits = limits_of(settings)
    assert limits.max_instances == 2
    assert limits.max_burn
    assert limits.max_price
    assert pace_of(settings).read > pace_of(Settings.load(**BASE)).read


async def test_a_new_instance_gets_the_operators_policy(served: Serve) -> None:
    unusual = {"auto_stop_activity": "any", "recovery_max_per_day": 1, "auto_stop_idle_minutes": 90}
    async with served(**unusual) as service:
        await service.create()
        shown = await service.instance()
        record = await service.plane.store.view.find("trainer")
    assert (shown["autoStop"]["activity"], shown["autoStop"]["idleMinutes"]) == ("any", 90)
    assert record
    assert record.recovery.max_per_day == 1


async def test_a_budget_stretches_the_time_between_listings(served: Serve) -> None:
    """At most half of 30 calls a minute: one listing in four seconds."""
    async with served(novita_calls_per_minute=30) as service:
        assert await interval(service) == 4


async def test_each_pace_of_listings_is_as_set(served: Serve) -> None:
    async with served(poll_resting_seconds=0.31, poll_moving_seconds=0.12, poll_spot_seconds=0.23) as service:
        await listed_every(service, 0.31)
        service.fault("slow", "create", when="after", seconds=2)
        await service.create("moves")
        await listed_every(service, 0.12)
        await service.gone("moves")
        await service.ready("spot", billingMode="spot")
        await listed_every(service, 0.23)


async def test_regions_are_tried_in_the_operators_order(served: Serve) -> None:
    async with served(default_regions="CN-HK-01,AS-SGP-02") as service:
        assert (await service.create())["region"] == "CN-HK-01"


async def test_the_next_comparison_and_the_next_check_are_as_far_off_as_set(served: Serve) -> None:
    async with served(sync_interval_minutes=600, auto_stop_check_minutes=60) as service:
        await service.post("/instances/sync", {})
        await service.post("/instances/auto-stop/trigger", {"dryRun": False})
        await service.plane.health.check()
        sync = (await service.get("/health")).json["sync"]
        stats = (await service.get("/instances/auto-stop/stats")).json
    assert at(sync["nextSync"]) - at(sync["lastSync"]) > 9 * HOUR
    assert stats["checkIntervalMinutes"] == 60
    assert at(stats["nextCheckAt"]) - at(stats["lastCheckAt"]) == HOUR


async def test_a_check_that_nobody_is_to_make_is_never_late(served: Serve) -> None:
    """The store knows of one, of when auto-stop was on."""
    checked = CheckView(total_checked=0, eligible=0, stopped=0, errors=0, dry_run=False, duration_ms=1)
    began = datetime.now().astimezone() - 3 * HOUR
    before = LastCheck(at=began, next_at=began + HOUR, result=checked, checks=1, errors=0)
    async with served(auto_stop_enabled=False) as service:
        await service.plane.store.facts.put(FACT, msgspec.json.encode(before).decode())
        await eventually(lambda: "lastCheckAt" in msgspec.to_builtins(service.plane.health.view(True).auto_stop))
        told = (await service.get("/health")).json["autoStop"]
        async with service.http.get(f"{service.root}/metrics", headers={"Authorization": f"Bearer {KEY}"}) as answer:
            late = re.search(r"^novita_gpu_auto_stop_late_seconds (.*)$", await answer.text(), re.MULTILINE)
    assert late
    assert ("nextCheckAt" in told, told.get("lateSeconds", 0), float(late[1])) == (False, 0, 0)


@pytest.mark.parametrize("on", [True, False])
async def test_health_tells_since_when_the_store_is_where_it_is_only_if_it_may_move(served: Serve, on: bool) -> None:
    async with served(redis_fallback=on) as service:
        redis = (await service.get("/health")).json["redis"]
    assert (redis["mode"], "since" in redis) == ("redis", on)


async def test_events_older_than_set_are_removed(served: Serve) -> None:
    async with served(event_retention_days=1e-9) as service:
        await service.ready()
        with service.plane.work._in_use() as docket:  # pyright: ignore[reportPrivateUsage] - it is due once an hour
            await docket.replace("trim", datetime.now().astimezone(), "trim:now")()

        async def trimmed() -> bool:
            return not await service.plane.store.events.read()

        async with asyncio.timeout(20):
            while not await trimmed():  # noqa: ASYNC110 - the store tells nobody of it
                await asyncio.sleep(0.05)


async def test_receivers_may_listen_where_the_operator_allows_it(served: Serve) -> None:
    away = "https://example.com:8443/hook"
    own = "http://10.1.2.3/hook"

    async def codes(service: Service) -> list[int]:
        least = {"productName": PRODUCT, "imageUrl": IMAGE}
        return [
            (await service.post("/instances", {**least, "name": f"n{n}", "webhookUrl": url})).status
            for n, url in enumerate((away, own))
        ]

    async with served(webhook_allow_private="") as service:
        assert await codes(service) == [422, 422]
    async with served(webhook_allow_private="", webhook_ports="443,8443") as service:
        assert await codes(service) == [201, 422]
    async with served(webhook_allow_private="10.0.0.0/8") as service:
        assert (await codes(service))[1] == 201


async def test_both_secrets_sign_while_receivers_change_over(served: Serve) -> None:
    async with (
        listening(Receiver()) as receiver,
        served(webhook_url=receiver.url, webhook_secret_before=OLD_SECRET) as service,
    ):
        await service.create()
        await eventually(lambda: receiver.headers)
    assert len(receiver.headers[0]["webhook-signature"].split()) == 2, "the receiver has verified one of them"


async def test_the_key_and_the_folder_are_those_of_the_operator(served: Serve, tmp_path: Path) -> None:
    async with served(admin_api_key="ngpu_another_0123456789", deployment_id="mine1") as service:
        assert (await service.get("/instances")).status == 401
        assert (await service.get("/instances", key="ngpu_another_0123456789")).status == 200
        assert service.plane.settings.data_dir.joinpath("deployment-id").read_text().strip() == "mine1"
    assert service.plane.settings.data_dir.is_relative_to(tmp_path)


async def interval(service: Service) -> float:
    await service.looked()
    mark = await service.plane.store.looks.mark()
    assert mark
    return mark.interval_s


async def listed_every(service: Service, wanted_s: float) -> None:
    async with asyncio.timeout(20):
        while await interval(service) != wanted_s:
            pass


def at(time: str) -> datetime:
    return datetime.fromisoformat(time)


async def test_how_often_one_may_ask_and_from_where_is_as_set(valkey_url: str, tmp_path: Path) -> None:
    how: dict[str, Any] = {
        "redis_url": valkey_url,
        "prefix": new_prefix(),
        "rate_limit_per_minute": 3,
        "rate_limit_shared": True,
        "trusted_proxies": "127.0.0.0/8",
        "allowed_origins": "https://app.example",
    }
    async with serving(tmp_path / "1", **how) as one, serving(tmp_path / "2", cloud=one.cloud, **how) as other:
        first = await one.get("/regions", Origin="https://app.example")
        assert first.headers["access-control-allow-origin"] == "https://app.example"
        assert first.headers["x-ratelimit-limit"] == "3"
        later = [(await replica.get("/regions")).status for replica in (other, one, other)]
        assert later == [200, 200, 429]
        from_there = [await one.get("/regions", key=None, X_Forwarded_For=f"203.0.113.{n}") for n in (1, 1, 1, 1, 2)]
        assert [answer.status for answer in from_there] == [401, 401, 401, 429, 401]


async def test_who_needs_a_key_is_as_set(served: Serve) -> None:
    async with served(auth="off") as service:
        assert (await service.get("/regions", key=None)).status == 200
    async with served(metrics_open=True) as service:
        assert (await service.get("/regions", key=None)).status == 401
        async with service.http.get(f"{service.root}/metrics") as answer:
            assert answer.status == 200
